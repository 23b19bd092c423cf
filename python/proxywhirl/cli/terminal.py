"""What is known about the terminal, and rich, which is needed only there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from proxywhirl.cli.errors import CommandError

if TYPE_CHECKING:
    from rich.console import Console


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can do more than print lines."""
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    return stream.isatty() and os.environ.get("TERM") != "dumb" and encoding == "utf8"


def rich_console(stream: TextIO) -> Console:
    """A console of rich on a terminal. Raises ``CommandError`` (rich is not installed; the message names the extra)."""
    try:
        from rich.console import Console
    except ImportError as error:
        raise CommandError("this needs rich; install it with: pip install 'proxywhirl-rs[cli]'") from error
    return Console(file=stream, markup=False, highlight=False)


def printable(text: str) -> str:
    r"""A text from elsewhere without characters that would control the terminal."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)


def counted(number: int, one: str, many: str = "") -> str:
    """A number and its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
