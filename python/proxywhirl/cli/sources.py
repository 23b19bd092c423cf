"""``proxywhirl sources``: the built-in lists, and which of them still answer."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from proxywhirl.cli import argument_types as types
from proxywhirl.cli.options import add_format
from proxywhirl.cli.output import Rows
from proxywhirl.cli.terminal import counted

if TYPE_CHECKING:
    from proxywhirl.models import ProxySourceConfig

HELP = "list the built-in sources of proxies, and audit them"
DESCRIPTION = "Lists the public lists that are known by name, or asks each whether it still has proxies."
EPILOG = """\
Without --audit nothing is contacted.

examples:
  proxywhirl sources
  proxywhirl sources --protocol socks5 --format csv
  proxywhirl sources --audit --concurrency 30

exit status:
  0    done; with --audit: every source has answered with proxies
  1    with --audit: one has not
  2    wrong usage
  130  interrupted
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--protocol", choices=("http", "socks4", "socks5"), help="only lists of this protocol")
    parser.add_argument("--recommended", action="store_true", help="only the recommended ones")
    parser.add_argument("--audit", action="store_true", help="fetch each, and tell which have proxies")
    parser.add_argument("--timeout", metavar="S", type=types.seconds, default=15.0, help="per source (default 15)")
    parser.add_argument("--concurrency", metavar="N", type=types.AtLeast(1), default=20, help="at a time (default 20)")
    add_format(parser)


def builtin_names() -> dict[str, ProxySourceConfig]:
    """The built-in sources by name."""
    from proxywhirl.sources._builtin import load

    return dict(load().by_name)


def run(arguments: argparse.Namespace) -> int:
    """List the sources, or audit them; the exit status."""
    from proxywhirl.sources import RECOMMENDED_SOURCES

    recommended = {str(source.url) for source in RECOMMENDED_SOURCES}
    chosen = {
        name: source
        for name, source in builtin_names().items()
        if (arguments.protocol is None or _protocol(name) == arguments.protocol)
        and (not arguments.recommended or str(source.url) in recommended)
    }
    if arguments.audit:
        return _audit(chosen, arguments)
    with Rows(("name", "protocol", "format", "url"), arguments.format) as rows:
        for name, source in chosen.items():
            rows.add({"name": name, "protocol": _protocol(name), "format": source.format.value, "url": str(source.url)})
    return 0


def _audit(chosen: dict[str, ProxySourceConfig], arguments: argparse.Namespace) -> int:
    from proxywhirl.sources import validate_sources_sync

    report = validate_sources_sync(list(chosen.values()), timeout=arguments.timeout, concurrency=arguments.concurrency)
    names = {str(source.url): name for name, source in chosen.items()}
    with Rows(("name", "healthy", "status", "bytes", "response_ms", "error"), arguments.format) as rows:
        for result in report.results:
            rows.add(
                {
                    "name": names.get(str(result.source.url), result.name),
                    "healthy": result.is_healthy,
                    "status": result.status_code,
                    "bytes": result.content_length,
                    "response_ms": result.response_time_ms,
                    "error": result.error,
                }
            )
    print(f"{report.healthy_sources} of {counted(report.total_sources, 'source')} have proxies", file=sys.stderr)
    return 0 if report.all_healthy else 1


def _protocol(name: str) -> str:
    return name.rpartition("_")[2].lower()
