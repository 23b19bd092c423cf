"""``proxywhirl setup-geoip``: which database tells where proxies are."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from proxywhirl._native.redact import scrub_text
from proxywhirl.cli.config import remember
from proxywhirl.cli.errors import CommandError, UsageError
from proxywhirl.cli.options import add_config, add_lock
from proxywhirl.cli.settings import configured
from proxywhirl.cli.terminal import printable

HELP = "name the database that tells where proxies are"
DESCRIPTION = "Checks a database of countries in MaxMind's format, and remembers it in the settings."
EPILOG = """\
Nothing is downloaded. Databases (.mmdb) are published by MaxMind (GeoLite2 Country or City, after registration) and by
DB-IP (Country Lite, without); download one, and name the file here. It is looked at whenever proxies without a country
come by: in `pool add`, `fetch` and `get`. The setting is geo_database.

examples:
  proxywhirl setup-geoip ~/Downloads/GeoLite2-Country.mmdb
  proxywhirl setup-geoip --check

exit status:
  0    the database is one, and remembered
  1    it is none, or with --check: none is remembered
  2    wrong usage
  4    another process holds the lock
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("database", metavar="FILE", nargs="?", help="the database")
    parser.add_argument("--check", action="store_true", help="check the one that is remembered")
    add_config(parser)
    add_lock(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check the database and remember it; the exit status.

    Raises ``UsageError`` (there is nothing to do), ``CommandError`` (it is no database, or the settings cannot be
    written).
    """
    if arguments.check == (arguments.database is not None):
        raise UsageError("name a database, or --check for the one that is remembered; where to get one: --help")
    if arguments.check:
        path = configured(arguments, "geo_database")
        if path is None:
            raise CommandError("none is remembered; name one with: proxywhirl setup-geoip FILE")
        print(_described(Path(path).expanduser()))
        return 0
    path = Path(arguments.database).expanduser().absolute()
    text = _described(path)
    file = remember(arguments, "geo_database", str(path))[0]
    print(text)
    print(f"geo_database = {path} in {file}", file=sys.stderr)
    return 0


def _described(path: Path) -> str:
    from proxywhirl.geo import described

    try:
        return printable(f"{path}: {described(path)}")
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ImportError, ValueError) as error:
        raise CommandError(printable(scrub_text(str(error)))) from error
