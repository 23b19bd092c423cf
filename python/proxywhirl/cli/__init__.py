"""The command line of ``proxywhirl``.

Exit statuses, the same for all commands: 0 success, 1 failure, 2 wrong usage, 4 lock held, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Optional

from proxywhirl.cli.errors import CommandError
from proxywhirl.cli.secrecy import Secrecy

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_READER_LEFT = 1
# These tell by themselves what they do.
_TALKATIVE = ("get", "request")
# These write rows, in the format that the user likes best.
_WITH_ROWS = ("check", "fetch", "pool", "sources", "health", "stats", "top", "cleanup", "db-stats")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command."""
    from proxywhirl.cli.parser import build_parser

    secrecy = Secrecy(argv)
    try:
        arguments = build_parser().parse_args(argv)
        try:
            if arguments.verbose and arguments.command not in _TALKATIVE:
                _show_log()
            if arguments.format is None and arguments.command in _WITH_ROWS:
                arguments.format = _configured_format(arguments)
            status: int = arguments.run(arguments)
            sys.stdout.flush()
            return status
        except CommandError as error:
            print(f"proxywhirl {arguments.command}: error: {secrecy.hide(str(error))}", file=sys.stderr)
            return error.status
    except SystemExit as stop:
        # argparse's way of ending --help, --version and usage errors.
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # `| head` has read enough. Python would complain again when it flushes at exit, so nothing is left to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_LEFT
    except Exception as error:  # noqa: BLE001
        # cryptography is an extra, so its exception is known by name only.
        if type(error).__name__ == "InvalidToken":
            reason = "the credentials are encrypted with another key, or belong to another proxy or field"
            print(f"proxywhirl: error: {reason}", file=sys.stderr)
        else:
            # A fault of the program: all of it is worth reporting, but for the secrets.
            report = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            print(secrecy.hide(report), end="", file=sys.stderr)
        return CommandError.status


def _show_log() -> None:
    from proxywhirl.utils import configure_logging

    configure_logging("DEBUG", "text")


def _configured_format(arguments: argparse.Namespace) -> Optional[str]:
    from proxywhirl.cli.settings import configured

    given: Optional[str] = configured(arguments, "default_format")
    return given
