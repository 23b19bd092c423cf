"""Scrapy: an add-on, and two downloader middlewares that understand the settings of scrapy-rotating-proxies.

::

    # settings.py
    ADDONS = {"proxywhirl.scrapy.Addon": 500}
    PROXYWHIRL_PROXIES = ["http://user:password@10.0.0.1:8080", "http://10.0.0.2:8080"]
"""

from __future__ import annotations

try:
    import scrapy as _scrapy
except ImportError as error:
    raise ImportError("proxywhirl.integrations.scrapy needs Scrapy: pip install scrapy") from error

from proxywhirl.integrations.scrapy._addon import Addon
from proxywhirl.integrations.scrapy._bans import BanDetectionMiddleware, BanDetectionPolicy
from proxywhirl.integrations.scrapy._late import LateHandler
from proxywhirl.integrations.scrapy._middleware import RotatingProxyMiddleware

del _scrapy
__all__ = ["Addon", "BanDetectionMiddleware", "BanDetectionPolicy", "LateHandler", "RotatingProxyMiddleware"]
