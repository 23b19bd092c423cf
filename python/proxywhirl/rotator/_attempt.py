"""One attempt of ``rotator.attempts()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uuid

    from typing_extensions import Self

    from proxywhirl import _core
    from proxywhirl._native.enums import Outcome
    from proxywhirl.rotator._attempts import _Loop


class Attempt:
    """One attempt of a request: a lease, and a word about what came of it.

    Use it as a block, or call :meth:`report`. A block that ends cleanly without a report counts as a success. Of an
    exception that ends the block:

    * one of an HTTP client is reported; the loop goes on with another proxy, or raises its own error with this one as
      the cause;
    * any other, a mistake of one's own or cancellation, is raised, and the proxy is released.

    Not for several threads at once.

    Attributes:
        number: Which attempt it is, from 1.
        time_left: Seconds until the deadline of the policy; ``None`` without one.
    """

    __slots__ = ("_lease", "_loop", "number", "time_left")

    def __init__(self, loop: _Loop, lease: _core.Lease, number: int, time_left: float | None) -> None:
        self._loop = loop
        self._lease = lease
        self.number = number
        self.time_left = time_left

    @property
    def proxy(self) -> _core.Proxy:
        """The proxy."""
        return self._lease.proxy

    @property
    def id(self) -> uuid.UUID:
        """Identifier of the proxy."""
        return self._lease.id

    @property
    def url(self) -> str:
        """URL of the proxy, with credentials."""
        return self._lease.url

    def url_for(self, client: str) -> str:
        """URL of the proxy for a certain client; see ``Lease.url_for``."""
        return self._lease.url_for(client)

    @property
    def requests_proxies(self) -> dict[str, str]:
        """What ``requests`` takes as ``proxies``."""
        return self._lease.requests_proxies

    @property
    def playwright_proxy(self) -> dict[str, str]:
        """What Playwright takes as ``proxy``."""
        return self._lease.playwright_proxy

    @property
    def site(self) -> str | None:
        """Key of the site."""
        return self._lease.site

    @property
    def closed(self) -> bool:
        """Whether the attempt has ended."""
        return not self._loop.is_open(self)

    @property
    def is_last(self) -> bool:
        """Whether the loop ends with this attempt, its answer standing: known once it has been reported."""
        return self._loop.is_delivered(self)

    @property
    def renews(self) -> bool:
        """Whether connections through the proxy are to be closed: a gateway may give the next one another exit.

        Known once the attempt has been reported, until the next one.
        """
        return self._loop.renews

    def outcome_of(self, answer: Any, headers: Any = None, body: Any = None) -> Outcome:
        """Judge an answer as :meth:`report` would, and count nothing: to see by the head whether a body is to be read.

        Args:
            answer: As :meth:`report` takes it.
            headers: As :meth:`report` takes them.
            body: As :meth:`report` takes it.

        Returns:
            The outcome.

        Raises:
            TypeError: The object has no status.
            ValueError: There is no such status.
        """
        return self._loop.outcome_of(answer, headers, body)

    def report(
        self,
        answer: Any = None,
        headers: Any = None,
        body: Any = None,
        error: BaseException | None = None,
        elapsed_ms: float | None = None,
    ) -> Outcome:
        """Say what came of it. The loop goes on where the outcome calls for another attempt, and ends where not.

        Args:
            answer: The answer as any client gives it, or the exception that came instead, or just the HTTP status.
            headers: Headers of the answer; by default its own.
            body: Body of the answer; by default its own as far as it has been read.
            error: The exception that came instead.
            elapsed_ms: Time to the answer in milliseconds; by default since the proxy was taken.

        Returns:
            The outcome; ``TARGET_FAULT`` as well for a failure that may be the proxy's, which further attempts decide.

        Raises:
            RuntimeError: The attempt has ended.
            TypeError: Neither an answer nor an error is given, or an object that has no status.
            ValueError: There is no such status, or the time is negative.
        """
        return self._loop.report(self, answer, headers, body, error, elapsed_ms)

    def release(self) -> None:
        """Give the proxy back as if it had never been chosen, and end the loop. Does nothing after the attempt."""
        self._loop.release(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object = None, error: BaseException | None = None, traceback: object = None) -> bool:
        return self._loop.leave(self, error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: object = None, error: BaseException | None = None, traceback: object = None
    ) -> bool:
        return self._loop.leave(self, error)

    def __repr__(self) -> str:
        return f"<Attempt {self.number} through {self._lease!r}>"
