"""What the adapter for requests is made of: its responses, whose proxies to use, what a redirect stays on, and bodies.

Bodies are those that can be sent only once, and those that are received while a proxy is in use.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import requests
from requests.utils import select_proxy

if TYPE_CHECKING:
    from proxywhirl.rotator._attempt import Attempt
    from proxywhirl.rotator._attempts import Attempts


class ProxyWhirlResponse(requests.Response):
    """A response that says through which proxy it came.

    Attributes:
        proxywhirl: ``proxy_id``, ``host``, ``port``, ``attempts`` and ``outcome``; ``None`` where no proxy was chosen,
            as with ``proxies=`` of the user.
    """

    __attrs__ = [*requests.Response.__attrs__, "proxywhirl"]  # noqa: RUF012
    proxywhirl: dict[str, Any] | None = None

    @property
    def content(self) -> bytes | None:
        """The body."""
        # Of a stream that is read whole after all: ban rules see it, once it is here.
        with getattr(self.raw, "read_whole", nullcontext)():
            return super().content


def are_of_the_user(url: Any, proxies: Any) -> bool:
    """Whether a session was given a proxy for this URL, rather than finding one in the environment."""
    chosen = select_proxy(url, proxies)
    if not chosen:
        return False
    found = getproxies()
    return chosen != found.get(urlsplit(url).scheme, found.get("all"))


class Hooks(dict):  # type: ignore[type-arg]
    """The hooks of a request that was redirected: what it has in common with the request that follows."""

    __slots__ = ("_proxy_id", "_request")

    _proxy_id: Any
    _request: Any

    @classmethod
    def note(cls, request: Any, proxy_id: Any) -> None:
        """The request that follows this one stays on its proxy."""
        hooks = request.hooks = request.hooks if isinstance(request.hooks, cls) else cls(request.hooks)
        hooks._request, hooks._proxy_id = weakref.ref(request), proxy_id

    @classmethod
    def proxy_of(cls, request: Any) -> Any:
        """The proxy that a request has to stay on; ``None`` for any."""
        hooks = request.hooks
        # The same request again is one that the user repeats.
        return hooks._proxy_id if isinstance(hooks, cls) and hooks._request() is not request else None

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


class Once:
    """A body that can be read only once, as a generator, and whether reading has begun."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self.begun = False

    @classmethod
    def of(cls, request: Any) -> Once | None:
        """Put one into the place of a request's body, if that is of this kind."""
        body = request.body
        if body is None or isinstance(body, (str, bytes, bytearray)) or isinstance(request._body_position, int):
            return None
        request.body = once = (_OnceFile if hasattr(body, "read") else cls)(body)
        return once

    def __iter__(self) -> Iterator[Any]:
        # Only once the first part is asked for: the connection is there by then.
        self.begun = True
        yield from self._body


class _OnceFile(Once):
    def read(self, size: int = -1) -> Any:
        self.begun = True
        return self._body.read(size)


class _Held:
    """The attempt of an answer whose body is under way."""

    def __init__(self, response: Any, attempt: Attempt, attempts: Attempts, elapsed_ms: float) -> None:
        # Not the response: the two would keep each other, and the lease, until the garbage is collected.
        self._response = weakref.ref(response)
        self._status: int = response.status_code
        self._attempt: Attempt | None = attempt
        self._attempts = attempts
        self._elapsed_ms = elapsed_ms
        self.depth = 0
        self.is_over = False

    def end(self, error: BaseException | None = None) -> None:
        """The body has come to its end, was closed, or failed."""
        if error is None and self.depth:
            self.is_over = True
            return
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return
        if error is None:
            response = self._response()
            attempt.report(self._status if response is None else response, elapsed_ms=self._elapsed_ms)
        else:
            attempt.__exit__(type(error), error, error.__traceback__)
        # There is no other attempt: the reader has a part of this answer already.
        self._attempts.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While this lasts, the end is not told yet: the body may turn out to be cut short."""
        self.depth += 1
        try:
            yield
        except BaseException as error:
            self.depth -= 1
            if not isinstance(error, GeneratorExit):
                self.end(error)
            raise
        self.depth -= 1
        if self.is_over:
            self.end()


class _Leased:
    """What urllib3's response gets: every way to its end tells the lease."""

    _held: _Held

    def read(self, *args: Any, **options: Any) -> Any:
        with self._held.reading():
            return super().read(*args, **options)  # type: ignore[misc]

    def read1(self, *args: Any, **options: Any) -> Any:
        with self._held.reading():
            return super().read1(*args, **options)  # type: ignore[misc]

    def read_chunked(self, *args: Any, **options: Any) -> Any:
        parts = super().read_chunked(*args, **options)  # type: ignore[misc]
        while True:
            with self._held.reading():
                part = next(parts, None)
            if part is None:
                return
            yield part

    @contextmanager
    def read_whole(self) -> Iterator[None]:
        """While the body is read whole: ban rules see it then."""
        with self._held.reading():
            yield

    def release_conn(self) -> None:
        super().release_conn()  # type: ignore[misc]
        self._held.end()

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        self._held.end()


@functools.cache
def _leased(kind: type) -> type:
    return type(kind.__name__, (_Leased, kind), {})


def hold(response: Any, attempt: Attempt, attempts: Attempts, elapsed_ms: float) -> None:
    """Let the attempt last until the body of the response is read or closed."""
    raw = response.raw
    kind: Any = type(raw)
    raw.__class__ = _leased(kind)
    raw._held = _Held(response, attempt, attempts, elapsed_ms)
