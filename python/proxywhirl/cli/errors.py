"""What ends a command: a message for the user and an exit status."""

from __future__ import annotations

from typing import ClassVar


class CommandError(Exception):
    """The command failed; the text is shown without a traceback."""

    status: ClassVar[int] = 1
    """The exit status."""


class UsageError(CommandError):
    """The command line asks for something that cannot be done."""

    status: ClassVar[int] = 2
