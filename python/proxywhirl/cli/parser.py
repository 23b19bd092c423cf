"""The arguments of all commands."""

from __future__ import annotations

import argparse
import math
import re
from typing import NoReturn, Optional

from proxywhirl import __version__

__all__ = ["build_parser"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_DEMO_KINDS = 6  # the fleet has one proxy of each kind at least
_FEWEST_PAGES = 100  # below that a success rate says nothing
_MOST_RETRIES = 9

_EXAMPLES = """\
examples:
  proxywhirl get https://example.com --proxies proxies.txt
  proxywhirl demo
"""
_GET_EXAMPLES = """\
examples:
  proxywhirl get https://example.com --proxies proxies.txt
  proxywhirl get https://example.com/form --proxies proxies.txt -d 'name=value' -i
  proxywhirl get https://example.com --proxies proxies.json --country DE --retries 5
  cat proxies.txt | proxywhirl get https://example.com --proxies - --format json | jq .proxy

FILE has one proxy per line: http://host:port, socks5://user:password@host:port, host:port,
user:password@host:port or host:port:user:password. Empty lines and lines that begin with # are
skipped, and so are lines that cannot be read; those are reported by number. A file whose name ends
in .json is read as a pool, with the country and the tags of each proxy.

exit status:
  0    the site answered with 2xx or 3xx
  1    no proxy could get the page, or the site answered with 4xx or 5xx
  2    wrong usage
  130  interrupted
"""
_DEMO_EXAMPLES = """\
The demo starts proxies of its own and a site behind them, all on this machine; nothing else is contacted.

examples:
  proxywhirl demo
  proxywhirl demo --proxies 60 --pages 10000
  proxywhirl demo --fast --plain

exit status:
  0    everything promised was kept
  1    something was not; the summary says what
  2    wrong usage
  130  interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    """Make the parser.

    Returns:
        A parser whose result has ``command``, ``run`` (which takes the result and returns the exit status) and the
        arguments of the command.
    """
    parser = argparse.ArgumentParser(
        prog="proxywhirl",
        description="Sends HTTP requests through a pool of proxies.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"proxywhirl {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    get = commands.add_parser(
        "get",
        help="send one request through a rotated proxy",
        description="Sends one request through a proxy of a list, and through others if that fails.",
        epilog=_GET_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _describe_get(get)
    demo = commands.add_parser(
        "demo",
        help="watch the library at work on a fleet of proxies on this machine",
        description="Fetches a few thousand pages through a fleet of fast, slow, flaky, hanging and dead proxies.",
        epilog=_DEMO_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _describe_demo(demo)
    return parser


def _describe_get(get: argparse.ArgumentParser) -> None:
    get.set_defaults(run=_run_get)
    get.add_argument("url", metavar="URL", help="what to fetch, http:// or https://")
    get.add_argument("--proxies", metavar="FILE", required=True, help="list of proxies; - reads standard input")

    request = get.add_argument_group("request")
    request.add_argument("-X", "--request", metavar="METHOD", type=_method, help="default GET, or POST with -d")
    request.add_argument(
        "-H", "--header", metavar="'K: V'", type=_header, action="append", default=[], help="may be repeated"
    )
    request.add_argument(
        "-d", "--data", metavar="DATA", help="body, sent as a form unless -H says else; @FILE reads it"
    )
    request.add_argument("--timeout", metavar="S", type=_seconds, help="for each step of an attempt (default 30)")
    trust = request.add_mutually_exclusive_group()
    trust.add_argument("-k", "--insecure", action="store_true", help="accept any certificate")
    trust.add_argument("--cacert", metavar="FILE", help="certificates to trust instead of the usual ones")

    choice = get.add_argument_group("choice of the proxy")
    choice.add_argument("--strategy", metavar="NAME", help="default random: each run begins with another proxy")
    choice.add_argument("--country", metavar="CODE", help="only proxies of this country, two letters")
    choice.add_argument(
        "--session", metavar="ID", type=_session, help="the same id and list begin with the same proxy (if random)"
    )
    choice.add_argument("--retries", metavar="N", type=_retries, help="further attempts, 0 to 9 (default 2)")

    output = get.add_argument_group("output")
    output.add_argument("-i", "--include", action="store_true", help="show status and headers before the body")
    output.add_argument("-o", "--output", metavar="FILE", help="write to FILE instead of standard output")
    output.add_argument("--format", choices=("text", "json"), default="text", help="json: one line with all there is")
    output.add_argument("-v", "--verbose", action="store_true", help="tell on standard error what is done")


def _describe_demo(demo: argparse.ArgumentParser) -> None:
    demo.set_defaults(run=_run_demo)
    demo.add_argument("--proxies", metavar="N", type=_AtLeast(_DEMO_KINDS), default=24, help="default 24, 6 or more")
    demo.add_argument(
        "--pages", metavar="N", type=_AtLeast(_FEWEST_PAGES), help="default 3000, with --fast 400; 100 or more"
    )
    demo.add_argument("--seed", metavar="N", type=_AtLeast(0), default=0, help="what all randomness follows from")
    demo.add_argument("--plain", action="store_true", help="plain lines, as when the output is not a terminal")
    demo.add_argument("--fast", action="store_true", help="a short one")


def _run_get(arguments: argparse.Namespace) -> int:
    from proxywhirl.cli.get import run

    return run(arguments)


def _run_demo(arguments: argparse.Namespace) -> int:
    from proxywhirl.cli.demo import run

    return run(arguments)


def _refuse(text: str) -> NoReturn:
    raise argparse.ArgumentTypeError(text)


def _method(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        _refuse(f"{text!r} is no method")
    return text.upper()


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not _TOKEN.fullmatch(name) or any(sign in value for sign in "\r\n\0"):
        _refuse(f"{text!r} is not of the form 'Name: value'")
    return name, value.strip()


def _seconds(text: str) -> float:
    seconds = _number(text)
    if seconds is None or not seconds > 0 or math.isinf(seconds):
        _refuse(f"{text!r} is no number of seconds above 0")
    return seconds


def _number(text: str) -> Optional[float]:
    try:
        return float(text)
    except ValueError:
        return None


def _session(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,256}", text):
        _refuse(f"{text!r} has other signs than letters, digits and hyphens, or more than 256")
    return text


def _retries(text: str) -> int:
    number = _AtLeast(0)(text)
    if number > _MOST_RETRIES:
        _refuse(f"{number} is more than {_MOST_RETRIES}")
    return number


class _AtLeast:
    """A type of argument: whole numbers from a least one on."""

    def __init__(self, least: int) -> None:
        self._least = least

    def __call__(self, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text):
            _refuse(f"{text!r} is no whole number")
        number = int(text)
        if number < self._least:
            _refuse(f"{number} is less than {self._least}")
        return number
