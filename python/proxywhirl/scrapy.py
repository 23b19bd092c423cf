"""What ``proxywhirl.integrations.scrapy`` has, under the name that settings of a project have."""

from proxywhirl.integrations.scrapy import *  # noqa: F403
