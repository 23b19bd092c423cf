"""Bars on a terminal while lists are read and proxies checked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Optional

if TYPE_CHECKING:
    from typing_extensions import Self

Progress = Optional[Callable[[int, int, int], Any]]
"""Called with how many are done, of how many, and how many were found good among them."""


class Bars:
    """Two bars on standard error, with what the user's own callbacks hear passed on to them.

    Raises ``ImportError`` (bars are wanted and ``rich`` is not installed; the text names the extra).
    """

    def __init__(self, wanted: bool | None) -> None:
        self._bars: Any = None
        self._states: dict[Any, tuple[int, int, int]] = {}
        if wanted is False or (wanted is None and not sys.stderr.isatty()):
            return
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress
        except ImportError as error:
            if wanted is None:
                return
            raise ImportError("progress bars need rich: pip install 'proxywhirl-rs[cli]'") from error
        states = self._states

        class Live(RichProgress):
            """Looks at the numbers when it draws, ten times a second, however often they change."""

            def get_renderables(self) -> Any:
                for task, (done, total, found) in list(states.items()):
                    self.update(task, completed=done, total=total, found=found)
                return super().get_renderables()

        self._bars = Live(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[found]:,} {task.fields[what]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            # What is printed into a pipe belongs there, not above the bar.
            redirect_stdout=sys.stdout.isatty(),
            transient=True,
        )

    def watch(self, title: str, what: str, also: Progress) -> Progress:
        """A callback that moves a bar and tells the user's callback."""
        if self._bars is None:
            return also
        bars, states = self._bars, self._states
        task: Any = None

        def moved(done: int, total: int, found: int) -> None:
            nonlocal task
            if task is None:
                task = bars.add_task(title, total=total, found=found, what=what)
            states[task] = (done, total, found)
            if also is not None:
                also(done, total, found)

        return moved

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._bars is not None:
            self._bars.stop()
