"""``proxywhirl top``: the proxies of a pool, or the sites that have banned some, live."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import sys
import time
from collections.abc import Iterator
from typing import Callable, Optional

from proxywhirl.cli import argument_types as types
from proxywhirl.cli.options import add_config, add_format
from proxywhirl.cli.output import Rows
from proxywhirl.cli.stored_pool import pool_path
from proxywhirl.cli.terminal import is_terminal, printable
from proxywhirl.cli.top_view import Origin, SavedPool, Snapshot, columns_of, sort_column, sorted_rows

HELP = "watch the proxies of a pool, or the sites that ban them"
DESCRIPTION = "Shows a stored pool per proxy or per site, again and again as other programs save to it."
EPILOG = """\
On a terminal it takes the whole screen until q or Ctrl-C: s sorts by the next column, r turns the order round, p shows
proxies and h sites. With --once, or where output is no terminal, it prints one table and ends.

examples:
  proxywhirl top
  proxywhirl top --by site --sort=-banned
  proxywhirl top --once --sort failures --rows 10
  proxywhirl top --once --format json | jq 'select(.benched > 0)'

exit status:
  0    done
  1    there is no such pool
  2    wrong usage
  130  interrupted
"""

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _TO_LINE_END, _TO_SCREEN_END = "\x1b[H", "\x1b[K", "\x1b[J"


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--pool", metavar="FILE", help="the stored pool")
    parser.add_argument("--by", choices=("proxy", "site"), default="proxy", help="default proxy")
    parser.add_argument("--sort", metavar="COLUMN", help="column to sort by; --sort=-COLUMN the other way round")
    parser.add_argument("--rows", metavar="N", type=types.AtLeast(1), help="at most so many rows")
    parser.add_argument(
        "-i", "--interval", metavar="S", type=types.seconds, default=2.0, help="between two looks (default 2)"
    )
    parser.add_argument("--once", action="store_true", help="print it once, and end")
    add_config(parser)
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the pool; the exit status.

    Raises ``UsageError`` (there is no such column), ``CommandError`` (there is no pool), ``KeyboardInterrupt``.
    """
    view = _View(arguments)
    origin = SavedPool(pool_path(arguments))
    if arguments.once or arguments.format in ("json", "csv") or not is_terminal(sys.stdout):
        view.print_once(origin.take(), arguments.format)
        return 0
    _watch(origin, view, arguments.interval)
    return 0


class _View:
    """What is shown of a snapshot, and in which order."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.by: str = arguments.by
        self.column, self.reverse = sort_column(self.by, arguments.sort)
        self.most: Optional[int] = arguments.rows

    def press(self, key: str) -> bool:
        """Do what a key says; whether to go on."""
        if key in ("q", "Q", "\x1b", "\x04"):
            return False
        if key == "s":
            columns = columns_of(self.by)
            self.column = columns[(columns.index(self.column) + 1) % len(columns)]
        elif key == "r":
            self.reverse = not self.reverse
        elif key in ("p", "h"):
            self.by = "proxy" if key == "p" else "site"
            self.column, self.reverse = sort_column(self.by, None)
        return True

    def print_once(self, snapshot: Snapshot, format: Optional[str], most: Optional[int] = None) -> None:
        """Write the rows to standard output."""
        rows = sorted_rows(
            snapshot.proxies if self.by == "proxy" else snapshot.sites, self.column, reverse=self.reverse
        )
        limits = [limit for limit in (self.most, most) if limit is not None]
        with Rows(columns_of(self.by), format, title=snapshot.title) as out:
            out.extend(rows[: min(limits)] if limits else rows)

    def lines(self, snapshot: Snapshot, columns: int, height: int) -> list[str]:
        """What fits on a screen of that size."""
        room = max(1, height - 3)
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            self.print_once(snapshot, "text", most=room)
        order = "reversed" if self.reverse else "what matters first"
        head = [printable(snapshot.title), f"by {self.column}, {order}; s r p h q", ""]
        return [line[:columns] for line in (*head, *text.getvalue().splitlines())][:height]


def _watch(origin: Origin, view: _View, interval: float) -> None:
    # Asked before the screen is taken: a complaint belongs on the user's own.
    snapshot = origin.take()
    with _screen() as key_within:
        while True:
            size = shutil.get_terminal_size()
            lines = view.lines(snapshot, size.columns, size.lines)
            sys.stdout.write(_HOME + f"{_TO_LINE_END}\r\n".join(lines) + _TO_LINE_END + _TO_SCREEN_END)
            sys.stdout.flush()
            key = key_within(interval)
            if key is None:
                snapshot = origin.take()
            elif not all(map(view.press, key)):
                return


@contextlib.contextmanager
def _screen() -> Iterator[Callable[[float], Optional[str]]]:
    """The terminal's other screen, without a cursor; left however the block ends. What it gives waits for a key."""
    sys.stdout.write(_ENTER)
    sys.stdout.flush()
    try:
        with _keys() as key_within:
            yield key_within
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], Optional[str]]]:
    """Keys as they are pressed, where standard input is a terminal of POSIX; elsewhere there are none."""
    try:
        import select
        import termios
        import tty
    except ImportError:
        yield _wait
        return
    if not sys.stdin.isatty():
        yield _wait
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def key_within(seconds: float) -> Optional[str]:
        if not select.select([descriptor], [], [], seconds)[0]:
            return None
        read = os.read(descriptor, 16).decode("ascii", "replace")
        # Keys that send several bytes, as arrows do, are of no use. Nothing at all comes from a terminal that is gone.
        return "" if len(read) > 1 and read.startswith("\x1b") else read or "q"

    try:
        tty.setcbreak(descriptor)
        yield key_within
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _wait(seconds: float) -> Optional[str]:
    time.sleep(seconds)
    return None
