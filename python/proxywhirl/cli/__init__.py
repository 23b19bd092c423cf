"""The command line: ``proxywhirl get`` fetches through rotated proxies, ``proxywhirl demo`` shows the library at work.

Exit statuses, the same for all commands: 0 success, 1 failure, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Optional

from proxywhirl.cli.errors import CommandError

__all__ = ["main"]

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_READER_LEFT = 1


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the program's name; those of the process by default.

    Returns:
        The exit status: 0 success, 1 failure, 2 wrong usage, 130 interrupted.
    """
    from proxywhirl.cli.parser import build_parser

    try:
        arguments = build_parser().parse_args(argv)
        try:
            status: int = arguments.run(arguments)
            sys.stdout.flush()
            return status
        except CommandError as error:
            print(f"proxywhirl {arguments.command}: error: {error}", file=sys.stderr)
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
