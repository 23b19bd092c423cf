"""Checks of proxies, for all commands that have them: how they are asked for, counted, shown and interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional

from proxywhirl._native.redact import scrub_text
from proxywhirl._native.urls import masked_url
from proxywhirl.cli.errors import UsageError
from proxywhirl.cli.output import Rows
from proxywhirl.cli.terminal import counted, printable

if TYPE_CHECKING:
    from proxywhirl import Proxy
    from proxywhirl._core import CheckResult
    from proxywhirl.validation import Checks

Show = Callable[["Proxy", "CheckResult"], None]


class Tally:
    """What checks have found."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.seconds = 0.0
        self.reasons: Counter[str] = Counter()
        """How many are not good, by reason."""
        self.latencies: list[float] = []
        """Milliseconds, of the good ones."""
        self.interrupted = False
        """Whether Ctrl-C has ended the checks before all were done."""
        self._good: dict[int, Proxy] = {}

    def note(self, proxy: Proxy, result: CheckResult) -> None:
        """Count a result."""
        self.done += 1
        if result.is_valid:
            self._good[result.index] = proxy
            if result.response_time_ms is not None:
                self.latencies.append(result.response_time_ms)
        else:
            self.reasons[result.error or "unknown"] += 1

    @property
    def found(self) -> int:
        """How many are good."""
        return len(self._good)

    @property
    def good(self) -> list[Proxy]:
        """The good ones, in the order of the list; with the protocol that was found."""
        return [self._good[index] for index in sorted(self._good)]

    def summary(self) -> str:
        """The counts of the checks, as one line."""
        checked = counted(self.done, "proxy", "proxies")
        of = f"{checked} of {self.total:,}" if self.interrupted else checked
        text = f"{self.found:,} good, {of} checked in {self.seconds:.1f} s"
        why = ", ".join(f"{number:,} {reason}" for reason, number in self.reasons.most_common())
        return f"{text} ({why})" if why else text


def check(proxies: Sequence[Proxy], arguments: argparse.Namespace, show: Optional[Show] = None) -> Tally:
    """Check proxies; results are recorded on them. On a terminal a bar shows how far it is.

    The first Ctrl-C ends the checks in good order; the second raises ``KeyboardInterrupt``.

    Raises ``UsageError`` (the arguments ask for something that cannot be done).
    """
    from proxywhirl.fetchers._progress import Bars
    from proxywhirl.validation import Checks

    options = _options(arguments)
    tally = Tally(len(proxies))
    try:
        checks = Checks(proxies, record=True, **options)
    except ValueError as error:
        raise UsageError(printable(scrub_text(str(error)))) from error
    began = time.perf_counter()
    with checks, Bars(False if getattr(arguments, "quiet", False) else None) as bars:
        move = bars.watch("checking", "good", None)
        if move is not None:
            move(0, tally.total, 0)
        with _ended_by_interrupt(checks, tally):
            for result in checks:
                proxy = _as_found(proxies[result.index], result)
                tally.note(proxy, result)
                if show is not None:
                    show(proxy, result)
                if move is not None:
                    move(tally.done, tally.total, tally.found)
    tally.seconds = time.perf_counter() - began
    return tally


@contextmanager
def rows_of_checks(arguments: argparse.Namespace) -> Iterator[Rows]:
    """Rows for results, which are written as they come."""
    columns = {"proxy": 36, "ok": 3, "latency_ms": 10}
    level = _level(arguments)
    if level != "basic":
        columns["status"] = 6
    if level == "full":
        columns.update(anonymity=11, exit_address=15)
    columns["reason"] = 0
    with Rows(list(columns), arguments.format, widths=list(columns.values())) as rows:
        yield rows


def show_into(rows: Rows, *, good_only: bool = False) -> Show:
    """What shows results as rows."""

    def show(proxy: Proxy, result: CheckResult) -> None:
        if result.is_valid or not good_only:
            rows.add(_row(proxy, result))

    return show


def _row(proxy: Proxy, result: CheckResult) -> dict[str, Any]:
    return {
        "proxy": masked_url(proxy),
        "ok": result.is_valid,
        "protocol": result.protocol,
        # Of one that is not good it would be the time of its connection, which is another thing.
        "latency_ms": result.response_time_ms if result.is_valid else None,
        "status": result.status,
        "anonymity": result.anonymity,
        "exit_address": result.exit_address,
        "stage": result.stage,
        "error": result.error,
        "reason": result.reason,
    }


def _as_found(proxy: Proxy, result: CheckResult) -> Proxy:
    """The proxy, or one that speaks what was found out."""
    if not result.is_valid or result.protocol == proxy.protocol:
        return proxy
    from proxywhirl import Proxy

    return Proxy(url=result.url, country_code=proxy.country_code, tags=proxy.tags, source=proxy.source)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of ``Checks``."""
    level = _level(arguments)
    if level != "basic" and arguments.url is None:
        raise UsageError(f"--level {level} needs --url")
    statuses, contains = getattr(arguments, "status", None), getattr(arguments, "contains", None)
    if level == "basic" and (statuses is not None or contains is not None):
        raise UsageError("--status and --contains need --url")
    return {
        "level": level,
        "targets": None if arguments.url is None else [arguments.url],
        "judge": arguments.url if level == "full" else None,
        "statuses": None if statuses is None else sorted(statuses),
        "contains": None if contains is None else contains.encode("utf-8", "surrogateescape"),
        "timeout": arguments.timeout,
        "concurrency": arguments.concurrency,
        "detect": getattr(arguments, "detect", False),
        "verify": _authorities(getattr(arguments, "cacert", None)),
    }


def _level(arguments: argparse.Namespace) -> str:
    given: Optional[str] = getattr(arguments, "level", None)
    return given or ("basic" if arguments.url is None else "standard")


def _authorities(name: Optional[str]) -> Any:
    if name is None:
        return True
    try:
        return Path(name).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror or error}") from error


@contextmanager
def _ended_by_interrupt(checks: Checks, tally: Tally) -> Iterator[None]:
    """Let the first Ctrl-C end the checks, so that no result that was ready gets lost."""
    # An exception could come between a result and its record.
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return

    def stop(number: int, frame: object) -> None:
        del number, frame
        tally.interrupted = True
        signal.signal(signal.SIGINT, before)
        checks.cancel()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def tell(text: str, arguments: argparse.Namespace) -> None:
    """Say something on standard error, unless the user wants quiet."""
    if not getattr(arguments, "quiet", False):
        print(text, file=sys.stderr)
