"""The arguments of ``proxywhirl get``, which is also called ``request``."""

from __future__ import annotations

import argparse

from proxywhirl.cli import argument_types as types
from proxywhirl.cli.options import add_config, add_verbose

HELP = "send one request through a rotated proxy"
DESCRIPTION = "Sends one request through a proxy of a list, and through others if that fails."
EPILOG = """\
examples:
  proxywhirl get https://example.com --proxies proxies.txt
  proxywhirl get https://example.com/form --proxies proxies.txt -d 'name=value' -i
  proxywhirl pool add @proxies.txt && proxywhirl get https://example.com
  proxywhirl get https://example.com --proxies proxies.json --country DE --retries 5
  cat proxies.txt | proxywhirl get https://example.com --proxies - --format json | jq .proxy

FILE is a list in any form that `proxywhirl fetch` reads, such as one proxy per line: http://host:port,
socks5://user:password@host:port, host:port, user:password@host:port or host:port:user:password. Entries that cannot
be read are skipped and reported by line. A file whose name ends in .json may be a pool, with the country and the tags
of each proxy. Without --proxies the proxies are those of the configuration, else those of the stored pool
(`proxywhirl pool add`). Of the configuration count: proxies, proxy_file, storage_path, rotation_strategy, timeout,
max_retries, follow_redirects, verify_ssl.

exit status:
  0    the site answered with 2xx or 3xx
  1    no proxy could get the page, or the site answered with 4xx or 5xx
  2    wrong usage
  130  interrupted
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("url", metavar="URL", help="what to fetch, http:// or https://")
    parser.add_argument("--proxies", metavar="FILE", help="list of proxies; - reads standard input")

    request = parser.add_argument_group("request")
    request.add_argument("-X", "--request", metavar="METHOD", type=types.method, help="default GET, or POST with -d")
    request.add_argument(
        "-H", "--header", metavar="'K: V'", type=types.header, action="append", default=[], help="may be repeated"
    )
    request.add_argument(
        "-d", "--data", metavar="DATA", help="body, sent as a form unless -H says else; @FILE reads it"
    )
    request.add_argument("--timeout", metavar="S", type=types.seconds, help="for each step of an attempt (default 30)")
    trust = request.add_mutually_exclusive_group()
    trust.add_argument("-k", "--insecure", action="store_true", help="accept any certificate")
    trust.add_argument("--cacert", metavar="FILE", help="certificates to trust instead of the usual ones")

    choice = parser.add_argument_group("choice of the proxy")
    choice.add_argument("--strategy", metavar="NAME", help="default random: each run begins with another proxy")
    choice.add_argument("--country", metavar="CODE", help="only proxies of this country, two letters")
    choice.add_argument(
        "--session", metavar="ID", type=types.session, help="the same id and list begin with the same proxy (if random)"
    )
    choice.add_argument("--retries", metavar="N", type=types.retries, help="further attempts, 0 to 9 (default 2)")

    output = parser.add_argument_group("output")
    output.add_argument("-i", "--include", action="store_true", help="show status and headers before the body")
    output.add_argument("-o", "--output", metavar="FILE", help="write to FILE instead of standard output")
    output.add_argument(
        "-f", "--format", choices=("text", "json"), default=argparse.SUPPRESS, help="json: one line with all there is"
    )
    add_config(output)
    add_verbose(output)
