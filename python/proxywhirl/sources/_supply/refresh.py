"""What a refresh gives back: a list that can also be awaited."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from proxywhirl._base.event_loop import caller

if TYPE_CHECKING:
    from proxywhirl import _core


@dataclass
class Report:
    """How a refresh went.

    Attributes:
        proxies: The proxies of all lists that are in the pool now.
        added: Those that came with this refresh.
        removed: Those that left.
        errors: Why lists could not be read, by their address, without credentials; what they had is kept.
    """

    proxies: list[_core.Proxy] = field(default_factory=list)
    added: list[_core.Proxy] = field(default_factory=list)
    removed: list[_core.Proxy] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)


class Refresh(Sequence["_core.Proxy"]):
    """The proxies of all lists after a refresh; a sequence, and awaitable.

    From code without an event loop it is complete when the call returns. Inside a running loop the call does not wait:
    await it, then it is complete.

    Raises:
        RuntimeError: It is read inside a running event loop before it was awaited.
    """

    def __init__(self, future: concurrent.futures.Future[Report]) -> None:
        self._future = future

    def wait(self, timeout: float | None = None) -> Refresh:
        """Wait in this thread until it is complete.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Itself.

        Raises:
            TimeoutError: It was not complete by then.
        """
        concurrent.futures.wait([self._future], timeout)
        if not self._future.done():
            raise TimeoutError(f"the refresh was not complete after {timeout:g} s")
        self._future.result()
        return self

    @property
    def done(self) -> bool:
        """Whether it is complete."""
        return self._future.done()

    @property
    def report(self) -> Report:
        """How it went."""
        if not self._future.done():
            raise RuntimeError("the refresh is still under way: await refresh_proxies()")
        return self._future.result()

    @property
    def added(self) -> list[_core.Proxy]:
        """The proxies that came with this refresh."""
        return self.report.added

    @property
    def removed(self) -> list[_core.Proxy]:
        """The proxies that left."""
        return self.report.removed

    @property
    def errors(self) -> dict[str, str]:
        """Why lists could not be read, by their address."""
        return self.report.errors

    @overload
    def __getitem__(self, index: int) -> _core.Proxy: ...
    @overload
    def __getitem__(self, index: slice) -> list[_core.Proxy]: ...
    def __getitem__(self, index: int | slice) -> _core.Proxy | list[_core.Proxy]:
        return self.report.proxies[index]

    def __len__(self) -> int:
        return len(self.report.proxies)

    def __eq__(self, other: object) -> bool:
        # With lists by content; with each other by identity, so that one may be hashed, as asyncio.gather() does.
        if isinstance(other, list):
            return list(self) == other
        return self is other if isinstance(other, Refresh) else NotImplemented

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        if not self.done:
            return "<Refresh under way>"
        report = self.report
        return f"<Refresh proxies={len(report.proxies)} added={len(report.added)} removed={len(report.removed)}>"

    def __await__(self) -> Generator[Any, None, Refresh]:
        return self._complete().__await__()

    async def _complete(self) -> Refresh:
        await wait_for(self._future)
        self._future.result()
        return self


async def wait_for(future: concurrent.futures.Future[Any], timeout: float | None = None) -> None:
    """Wait for a future of a thread without blocking the loop.

    Giving up, or being cancelled, leaves the future alone: others wait for it too.

    Args:
        future: The future.
        timeout: Seconds to wait at most; then this just returns.
    """
    import anyio

    done = anyio.Event()
    call = caller()
    future.add_done_callback(lambda _: call(done.set))
    with anyio.move_on_after(timeout):
        await done.wait()
