"""A local proxy server for programs that cannot be changed: :class:`Relay`.

HTTP forward, ``CONNECT`` and SOCKS on one port of this machine, told apart by the first byte; behind it the rotation
chooses a proxy for each request and tunnel, moves on from those that fail, and learns. It has two threads of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ipaddress
import os
import secrets
import urllib.parse
import weakref
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._base.files import local_path
from proxywhirl._httpx.rotation import error_of
from proxywhirl._httpx.selection import LeaseAcquirer, Selection
from proxywhirl.bans import BanPolicies
from proxywhirl.exceptions import ProxyPoolEmptyError
from proxywhirl.transport._source import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

__all__ = ["Relay"]

# Those that run here, for the end of the program and the child of a fork.
_RUNNING: weakref.WeakSet[Relay] = weakref.WeakSet()


class Relay:
    """A local proxy server in front of a rotation. Begins with :meth:`start` or ``with``; thread-safe.

    A client names what it wants of its proxies in the user name: ``proxywhirl-country-us-session-abc-tag-dc``.

    Args:
        source: A rotator, a pool, proxies, or the path of a list.
        host: The address to listen on. One that other machines reach is taken only with a password.
        port: The port; 0 for a free one.
        username: The user name that clients use, before the words of the grammar.
        password: The password; by default a random one.
        auth: Whether clients have to log in; ``False`` on a loopback address only.
        strategy: Chooses instead of the source's own strategy.
        retry_policy: How often to try; by default the rotator's.
        ban_policy: Ban rules for forwarded requests; by default the rotator's.
        raise_on_ban: Whether an answer that is a ban everywhere is replaced by a 502; by default it is passed on.
        patience: Seconds that a request may wait for a proxy.
        connect_timeout: Seconds for opening the way through one proxy.
        read_timeout: Seconds for one read of a forwarded request.
        idle_timeout: Seconds after which a silent tunnel or client is closed.
        greeting_timeout: Seconds for what a client says before it has asked for something.
        max_connections: Clients at the same time; others wait in the system's queue.

    Raises:
        ValueError: The host is no address, is not a loopback one without a login, a number is out of range, or the path
            is a URL: one proxy is a list of one.
        TypeError: The source is none of those.
        OSError: The list cannot be read.
    """

    def __init__(
        self,
        source: Any,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        username: str = "proxywhirl",
        password: str | None = None,
        auth: bool = True,
        strategy: Any = None,
        retry_policy: Any = None,
        ban_policy: Any = None,
        raise_on_ban: bool = False,
        patience: float = 0.0,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        idle_timeout: float = 300.0,
        greeting_timeout: float = 15.0,
        max_connections: int = 16_384,
    ) -> None:
        address = "127.0.0.1" if host == "localhost" else host
        self._host = ipaddress.ip_address(address)
        if not auth and not self._host.is_loopback:
            raise ValueError("a relay that other machines reach must have a password: leave out auth=False")
        if password == "" or not username or ":" in username:
            raise ValueError("username and password must not be empty, and the username has no colon")
        if max_connections < 1:
            raise ValueError("max_connections must be at least 1")
        self.username = username
        self.password = (secrets.token_urlsafe(16) if password is None else password) if auth else None
        """The password; ``None`` where every client may come in."""
        self._port = port
        lent = Source.of(_read(source), strategy)
        self._chooser = lent.chooser
        if retry_policy is None:
            retry_policy = lent.retry_policy
        if retry_policy is None:
            from proxywhirl.retry import RetryPolicy

            retry_policy = RetryPolicy()
        self._policy = retry_policy
        bans = lent.bans if ban_policy is None else BanPolicies(ban_policy)
        self._judge = _core.ReportJudge() if bans is None else _core.ReportJudge(bans)
        self._raise_on_ban = raise_on_ban
        self._patience = patience
        self._settings: dict[str, Any] = {
            "connect": connect_timeout,
            "read": read_timeout,
            "idle": idle_timeout,
            "greeting": greeting_timeout,
            "most": max_connections,
        }
        # What a rotator keeps beside its pool lives as long as it does.
        self._kept = source
        self._server: _core.RelayServer | None = None

    # -- life

    def start(self) -> Self:
        """Begin to listen. Does nothing if it does already.

        Raises:
            OSError: The address cannot be listened on, or descriptors or threads have run out.
            RuntimeError: This system is no Unix.
        """
        if self._server is None:
            if not hasattr(_core, "RelayServer"):
                raise RuntimeError("the relay needs Unix")
            # The threads must not keep the relay alive, which closes them.
            this: weakref.ref[Relay] = weakref.ref(self)
            self._server = _core.RelayServer(
                _bound(this, "_begin"),
                _bound(this, "_refuse"),
                str(self._host),
                self._port,
                username=self.username,
                password=self.password,
                **self._settings,
            )
            _RUNNING.add(self)
        return self

    def close(self, drain: float = 0.0) -> None:
        """Accept no client any more, and end. Does nothing if it is not running.

        Args:
            drain: Seconds for requests and tunnels that are under way; idle connections are closed at once.

        Raises:
            RuntimeError: This process is not the one that started it.
        """
        server = self._server
        if server is not None:
            self._server = None
            _RUNNING.discard(self)
            server.close(drain)

    async def aclose(self, drain: float = 0.0) -> None:
        """As :meth:`close`, without holding up the event loop."""
        await asyncio.get_running_loop().run_in_executor(None, self.close, drain)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        server = getattr(self, "_server", None)
        if server is not None and server.is_here:
            server.close(0.0)

    def _running(self) -> _core.RelayServer:
        if self._server is None:
            raise RuntimeError("the relay is not running: use it in a `with` block, or call start()")
        if not self._server.is_here:
            raise RuntimeError("the relay runs in the process that started it; a fork's child has to start its own")
        return self._server

    # -- what clients are told

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return str(self._host)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._running().port

    @property
    def url(self) -> str:
        """What clients take as the URL of an HTTP proxy, with the login."""
        return self.url_for()

    @property
    def socks_url(self) -> str:
        """What clients take as the URL of a SOCKS5 proxy that looks names up, with the login."""
        return self.url_for(scheme="socks5h")

    def url_for(
        self,
        *,
        session_id: str | None = None,
        country: str | None = None,
        region: str | None = None,
        tags: Sequence[str] = (),
        scheme: str = "http",
    ) -> str:
        """The URL with wishes in the user name.

        Args:
            session_id: Requests of the same id use the same proxy.
            country: Country of the proxy.
            region: Region of the proxy.
            tags: Tags that the proxy must have, all of them.
            scheme: ``http``, ``socks5`` or ``socks5h``.

        Raises:
            ValueError: A value is empty or has a hyphen, which separates the words.
            RuntimeError: The relay is not running here.
        """
        port = self._running().port
        user = self.username
        wishes = [("session", session_id), ("country", country), ("region", region), *(("tag", tag) for tag in tags)]
        for word, value in wishes:
            if value is None:
                continue
            if not value or "-" in value:
                raise ValueError(f"a {word} in a user name must not be empty, and has no hyphen")
            user += f"-{word}-{value}"
        login = ""
        if self.password is not None or user != self.username:
            password = "any" if self.password is None else self.password
            login = f"{urllib.parse.quote(user, safe='')}:{urllib.parse.quote(password, safe='')}@"
        host = f"[{self._host}]" if self._host.version == 6 else str(self._host)
        return f"{scheme}://{login}{host}:{port}"

    @property
    def playwright_proxy(self) -> dict[str, str]:
        """What Playwright takes as ``proxy``: browsers know a login for HTTP proxies only, and this one takes it."""
        port = self._running().port
        host = f"[{self._host}]" if self._host.version == 6 else str(self._host)
        proxy = {"server": f"http://{host}:{port}"}
        if self.password is not None:
            proxy.update(username=self.username, password=self.password)
        return proxy

    def stats(self) -> dict[str, int]:
        """What it has done so far.

        Returns:
            ``connections_open`` and ``connections`` (accepted) of clients, ``tunnels`` opened, ``answers`` passed on,
            ``denied`` (clients that were not let in), ``failed`` (requests without a proxy that works),
            ``failed_attempts``, ``bytes_sent`` and ``bytes_received``. Bytes of single proxies stand on the proxies.

        Raises:
            RuntimeError: It is not running here.
        """
        return dict(self._running().counts())

    def __repr__(self) -> str:
        server = self._server
        return f"<Relay on {self._host}:{server.port}>" if server is not None and server.is_here else "<Relay closed>"

    # -- called by the server's second thread

    def _begin(
        self,
        method: str,
        url: str,
        session_id: str | None,
        country: str | None,
        region: str | None,
        tags: list[str] | None,
        replayable: bool,
    ) -> tuple[_core._Rotation, LeaseAcquirer, _core.ReportJudge]:
        from proxywhirl.retry.policy import rotation_of

        selection = _PLAIN
        if session_id is not None or country is not None or region is not None or tags is not None:
            selection = Selection(session_id=session_id, country=country, region=region, tags=tags)
        take = LeaseAcquirer(self._chooser, url, selection, method=method)
        rotation = rotation_of(
            self._policy,
            take,
            method,
            url,
            replayable=replayable,
            streaming=True,
            raise_on_ban=self._raise_on_ban,
            patience=self._patience,
        )
        return rotation, take, self._judge

    def _refuse(self, rotation: _core._Rotation, method: str, url: str) -> tuple[int, str]:
        error = error_of(rotation, method, url, self._policy)
        status = 504 if rotation.failure == "deadline" else 503 if isinstance(error, ProxyPoolEmptyError) else 502
        return status, _core.scrub_text(str(error))


_PLAIN = Selection()


def _read(source: Any) -> Any:
    """A pool of what a file lists; anything else as it is."""
    if not isinstance(source, (str, os.PathLike)):
        return source
    pool = _core.ProxyPool(name="relay", max_pool_size=2**31 - 1)
    pool.load_file(local_path(source), allow_local=True)
    return pool


def _bound(this: weakref.ref[Relay], name: str) -> Any:
    def call(*arguments: Any) -> Any:
        relay = this()
        if relay is None:
            raise RuntimeError("the relay is gone")
        return getattr(relay, name)(*arguments)

    return call


def _close_all() -> None:
    for relay in list(_RUNNING):
        with contextlib.suppress(RuntimeError):
            relay.close()


def _abandon_all() -> None:
    for relay in list(_RUNNING):
        if relay._server is not None:
            relay._server._abandon()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
