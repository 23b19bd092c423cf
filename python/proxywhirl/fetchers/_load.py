"""Getting the bytes of a list: over HTTP or from a file, conditionally, bounded in size and time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._httpx.library import default_name, flavour
from proxywhirl._native.redact import scrub_text
from proxywhirl.exceptions import ProxyFetchError
from proxywhirl.fetchers._inward import InwardError, is_public, public_client

if TYPE_CHECKING:
    from pathlib import Path

    from proxywhirl.fetchers._source import Source

_RETRIED = (429, *_core.RETRY_STATUSES)
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10
_LONGEST_WAIT = 60.0
# A list that is many times as long as what was sent of it is made to cost time and memory; so much is free.
_MOST_EXPANSION = 100
_FREE_BYTES = 16 * 1024 * 1024
# Some hosts of public lists refuse clients that do not name themselves.
_AGENT = f"proxywhirl/{_core.__version__}"


@dataclass(frozen=True)
class Limits:
    """What loading may cost.

    Attributes:
        timeout: Seconds for one attempt, from the connection to the last byte.
        max_bytes: Most bytes of a list, decompressed.
        attempts: Most attempts, 1 or more.
        backoff: Seconds of the first pause, doubled each time and drawn between half and all of it.
    """

    timeout: float = 30.0
    max_bytes: int = 256 * 1024 * 1024
    attempts: int = 5
    backoff: float = 1.0


@dataclass(frozen=True)
class Validators:
    """The validators of a list: of HTTP (``ETag``, ``Last-Modified``), or of a file."""

    etag: str | None = None
    last_modified: str | None = None
    stamp: tuple[int, int, int] | None = None

    def headers(self) -> dict[str, str]:
        """The headers of a conditional request."""
        found = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True)
class Loaded:
    """A list as it came.

    Attributes:
        data: Its bytes; ``None`` when it has not changed.
        content_type: What the server calls it.
        validators: For the next, conditional, request.
        status: What the server said; ``None`` of a file.
    """

    data: bytes | None
    content_type: str | None
    validators: Validators
    status: int | None = None


class _Again(Exception):
    """This attempt failed in a way that another may mend."""

    def __init__(self, why: str, wait: float | None = None, status: int | None = None) -> None:
        super().__init__(why)
        self.wait = wait
        self.status = status


class Loader:
    """Loads lists with one client; belongs to one event loop."""

    def __init__(self, limits: Limits, *, http: str | None = None, verify: Any = True, client: Any = None) -> None:
        self._limits = limits
        self._owned = client is None
        if client is not None and type(client).__module__.startswith("httpx2"):
            http = "httpx2"
        self._http: Any = flavour(default_name() if http is None else http).module
        self._verify = verify
        self._headers = {"User-Agent": _AGENT, "Accept": "*/*"}
        self._client: Any = client or self._http.AsyncClient(
            timeout=self._http.Timeout(limits.timeout), headers=self._headers, trust_env=False, verify=verify
        )
        self._public: Any = None

    async def close(self) -> None:
        """Close the connections."""
        public, self._public = self._public, None
        try:
            if public is not None:
                await public.aclose()
        finally:
            if self._owned:
                await self._client.aclose()

    async def load(self, source: Source, known: Validators | None = None, *, allow_local: bool = False) -> Loaded:
        """Load a list.

        The address of a list is the user's own word and may be local. Where it is public, it stays public: neither a
        redirect nor another answer to the look-up of its name leads into the user's own network.

        ``attempt_count`` says how often that was tried, ``status`` in the metadata what the server said last.

        Raises ``ProxyFetchError`` (it can't be had).
        """
        if source.path is not None:
            return await asyncio.to_thread(_read_file, source.path, known, self._limits.max_bytes)
        attempt = 1
        while True:
            try:
                return await asyncio.wait_for(self._attempt(source, known, allow_local), self._limits.timeout)
            except (asyncio.TimeoutError, self._http.TimeoutException):
                failure = _Again(f"no complete answer within {self._limits.timeout:g} s")
            except _Again as again:
                failure = again
            except InwardError as error:
                reason = "it leads into a private network, which a public list may not"
                raise ProxyFetchError(f"{source.name} can't be loaded: {reason}", attempt_count=attempt) from error
            except self._http.RequestError as error:
                reason = scrub_text(str(error)) or type(error).__name__
                raise ProxyFetchError(f"{source.name} can't be loaded: {reason}", attempt_count=attempt) from error
            if attempt >= self._limits.attempts:
                facts: dict[str, Any] = {} if failure.status is None else {"status": failure.status}
                raise ProxyFetchError(f"{source.name} can't be loaded: {failure}", attempt_count=attempt, **facts)
            await asyncio.sleep(self._pause(attempt, failure.wait))
            attempt += 1

    def _pause(self, attempt: int, asked: float | None) -> float:
        if asked is not None:
            return min(asked, _LONGEST_WAIT)
        return min(self._limits.backoff * 2.0 ** (attempt - 1), _LONGEST_WAIT) * random.uniform(0.5, 1.0)

    async def _attempt(self, source: Source, known: Validators | None, allow_local: bool) -> Loaded:
        config = source.config
        own = dict(config.headers)
        conditional = known.headers() if known is not None else {}
        auth: Any = config.auth
        url = self._http.URL(source.key)
        inside = not source.was_public
        for _ in range(_MOST_REDIRECTS + 1):
            client = self._client if inside or allow_local else self._public_client(url)
            request = client.build_request("GET", url, headers={**conditional, **own})
            response = await client.send(request, stream=True, follow_redirects=False, auth=auth)
            try:
                if inside and is_public(response):
                    source.was_public, inside = True, False
                target = response.headers.get("location")
                if response.status_code in _REDIRECTS and target:
                    after = url.join(target)
                    if after.scheme not in ("http", "https"):
                        raise ProxyFetchError(f"{source.name} leads to {scrub_text(str(after))!r}, which isn't HTTP")
                    if _origin(after) != _origin(url):
                        own, auth = {}, None  # the secrets in them were meant for the other server
                    url = after
                    continue
                return await self._receive(source, response, known)
            finally:
                await response.aclose()
        raise ProxyFetchError(f"{source.name} redirects more than {_MOST_REDIRECTS} times")

    def _public_client(self, url: Any) -> Any:
        """The client for what must be public."""
        if _core.address_locality(url.host) != "public":
            raise InwardError
        if not self._owned:
            return self._client  # the caller's, and what it reaches is the caller's to bound
        if self._public is None:
            self._public = public_client(self._http, self._limits.timeout, self._headers, self._verify)
        return self._public

    async def _receive(self, source: Source, response: Any, known: Validators | None) -> Loaded:
        status: int = response.status_code
        if status == 304 and known is not None:
            return Loaded(None, None, known, status)
        if status in _RETRIED:
            raise _Again(f"the server answers {status}", _core.retry_after(response.headers), status)
        if not 200 <= status < 300:
            raise ProxyFetchError(f"{source.name} can't be loaded: the server answers {status}", status=status)
        data = bytearray()
        async for piece in response.aiter_bytes():
            data += piece
            if len(data) > self._limits.max_bytes:
                raise ProxyFetchError(f"{source.name} is longer than {self._limits.max_bytes:,} bytes")
            sent = getattr(response, "num_bytes_downloaded", len(data))
            if len(data) > _FREE_BYTES and len(data) > _MOST_EXPANSION * sent:
                raise ProxyFetchError(f"{source.name} unpacks to more than {_MOST_EXPANSION} times its size")
        headers = response.headers
        validators = Validators(etag=headers.get("etag"), last_modified=headers.get("last-modified"))
        return Loaded(bytes(data), headers.get("content-type"), validators, status)


def _origin(url: Any) -> tuple[str, str, int | None]:
    return (url.scheme, url.host, url.port)


def stamp_of(path: Path) -> tuple[int, int, int]:
    """What changes whenever a file does: the time of its last change, its size, and which file it is."""
    found = path.stat()
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _read_file(path: Path, known: Validators | None, most: int) -> Loaded:
    try:
        stamp = stamp_of(path)
        if known is not None and known.stamp == stamp:
            return Loaded(None, None, known)
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ProxyFetchError(f"{path} can't be read: {error.strerror or error}") from error
    if len(data) > most:
        raise ProxyFetchError(f"{path} is longer than {most:,} bytes")
    return Loaded(data, None, Validators(stamp=stamp))
