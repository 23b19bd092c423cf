"""``proxywhirl relay``: a local proxy server over a list of proxies."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from typing import Any

from proxywhirl.cli import argument_types as types
from proxywhirl.cli.errors import CommandError, UsageError
from proxywhirl.cli.options import add_config
from proxywhirl.cli.proxy_list import read_proxies
from proxywhirl.cli.settings import configured
from proxywhirl.cli.terminal import counted, printable

HELP = "run a local proxy that rotates through a list"
DESCRIPTION = (
    "Listens on one port of this machine for HTTP, CONNECT and SOCKS5, and sends every request through a proxy of a "
    "list, through others where that fails. Prints the URL that clients take. Ctrl-C or SIGTERM ends it."
)
EPILOG = """\
examples:
  proxywhirl relay --proxies proxies.txt
  proxywhirl relay --proxies proxies.txt --port 8080 --no-auth
  curl -x "$URL" https://example.com

The user name may ask for a proxy, in the way of providers: proxywhirl-country-us-session-abc-tag-dc.

exit status:
  0    it was ended
  1    the list has no proxies, or the port cannot be had
  2    wrong usage
"""

_OK = 0


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--proxies", metavar="FILE", required=True, help="list of proxies; - reads standard input")
    listen = parser.add_argument_group("where it listens")
    listen.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="default 127.0.0.1")
    listen.add_argument("--port", metavar="N", type=_port, default=0, help="default a free one")
    listen.add_argument("--username", metavar="NAME", default="proxywhirl", help="default proxywhirl")
    login = listen.add_mutually_exclusive_group()
    login.add_argument("--password", metavar="TEXT", help="default a random one")
    login.add_argument("--no-auth", action="store_true", help="let every program of this machine in")
    choice = parser.add_argument_group("choice of the proxy")
    choice.add_argument("--strategy", metavar="NAME", help="default round-robin")
    choice.add_argument("--retries", metavar="N", type=types.retries, help="further attempts, 0 to 9 (default 2)")
    end = parser.add_argument_group("end")
    end.add_argument(
        "--drain", metavar="S", type=types.seconds, default=5.0, help="for what is under way at the end (default 5)"
    )
    add_config(end)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError("must be a port, 0 to 65535")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Listen until the program is told to end.

    Raises ``UsageError`` (the arguments ask for something that cannot be done), ``CommandError`` (the list has no
    proxies, or the port cannot be had).
    """
    from proxywhirl import ProxyPool, Relay, RetryPolicy

    pool = ProxyPool(name="relay", max_pool_size=2**31 - 1)
    report = read_proxies(pool, arguments.proxies)
    for complaint in report.complaints:
        print(complaint, file=sys.stderr)
    if not report.added:
        raise CommandError(f"{report.name} has no proxy that can be used")
    options: dict[str, Any] = {"strategy": arguments.strategy or configured(arguments, "rotation_strategy")}
    if arguments.retries is not None:
        options["retry_policy"] = RetryPolicy(max_attempts=arguments.retries + 1)
    try:
        relay = Relay(
            pool,
            host=arguments.host,
            port=arguments.port,
            username=arguments.username,
            password=arguments.password,
            auth=not arguments.no_auth,
            **options,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(printable(str(error))) from error
    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        try:
            relay.start()
        except OSError as error:
            raise CommandError(f"the port cannot be had: {error.strerror or error}") from error
        print(relay.url, flush=True)
        print(f"{counted(report.added, 'proxy', 'proxies')}; Ctrl-C ends it", file=sys.stderr)
        # In slices: a wait without an end is not interrupted on every platform.
        while not ended.wait(0.5):
            pass
        stats = relay.stats()
        relay.close(arguments.drain)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    print(
        f"{counted(stats['tunnels'], 'tunnel')}, {counted(stats['answers'], 'answer')}, {stats['failed']} failed",
        file=sys.stderr,
    )
    return _OK
