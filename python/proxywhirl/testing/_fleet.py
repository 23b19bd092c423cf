"""A fleet of proxies and an origin on loopback."""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from proxywhirl import _core
from proxywhirl._base.fork import new_lock
from proxywhirl.testing._parts import FleetOrigin, FleetProxy, authority
from proxywhirl.testing._spec import ProxySpec


class ProxyFleet:
    """Proxies and an origin on loopback, started and stopped as a context manager.

    It serves on threads of its own, which never touch the interpreter. A stopped fleet is not started again. A child
    forked from the process that started it can read addresses but not change anything; stopping it there does nothing.

    Args:
        proxies: How many perfect HTTP proxies, or one specification for each proxy.
        seed: What all randomness follows from, 0 to 2**64 - 1.
        workers: How many threads serve, 1 to 256.
        ipv6: Whether proxies and origin listen on `::1` (the origin on 127.0.0.1 as well).
        hosts: Host names that lead to the origin beside `*.test`.

    Raises:
        TypeError: An argument of the wrong type; the message begins with its name.
        ValueError: An argument out of its range; the message begins with its name.
    """

    def __init__(
        self,
        proxies: int | Sequence[ProxySpec] = 4,
        *,
        seed: int = 0,
        workers: int = 1,
        ipv6: bool = False,
        hosts: Iterable[str] = (),
    ) -> None:
        if isinstance(proxies, int):
            if proxies < 0:
                raise ValueError(f"proxies: {proxies} is less than 0")
            proxies = [ProxySpec() for _ in range(proxies)]
        self._specs = tuple(proxies)
        for spec in self._specs:
            if not isinstance(spec, ProxySpec):
                raise TypeError(f"proxies: expected ProxySpec, not {type(spec).__name__}")
        for name, number, least, most in (
            ("seed", seed, 0, 2**64 - 1),
            ("workers", workers, 1, 256),
        ):
            if not isinstance(number, int):
                raise TypeError(f"{name}: expected a whole number, not {type(number).__name__}")
            if not least <= number <= most:
                raise ValueError(f"{name}: {number} is not between {least} and {most}")
        if isinstance(hosts, str):
            raise TypeError("hosts: expected several names, not one string")
        self._seed = seed
        self._workers = workers
        self._ipv6 = ipv6
        self._hosts = list(hosts)
        self._lock = new_lock()
        self._native: _core.Fleet | None = None
        self._proxies: tuple[FleetProxy, ...] = ()
        self._origin: FleetOrigin | None = None
        self._ca_file: tuple[str, weakref.finalize[Any, Any]] | None = None

    @classmethod
    def demo(cls, count: int = 24, *, seed: int = 0, workers: int = 1, addresses: Iterable[str] = ()) -> ProxyFleet:
        """A mixed fleet: mostly fast and slow ones, some flaky, a few hanging or dead, one with a login.

        Args:
            count: How many proxies, 6 or more so that each kind is there.
            seed: As in the constructor.
            workers: As in the constructor.
            addresses: Where the first ones listen, `IP:PORT` on loopback; the others on any free port.

        Raises:
            ValueError: `count` is below 6.
        """
        if count < 6:
            raise ValueError(f"count: {count} is less than 6")
        rare = max(1, count // 12)
        kinds = [("hanging", rare), ("dead", rare), ("login", 1), ("flaky", max(1, count // 6))]
        kinds.append(("slow", max(1, count // 4)))
        kinds.insert(0, ("fast", count - sum(n for _, n in kinds)))
        specs = []
        places = iter(addresses)
        for kind, number in kinds:
            make = getattr(ProxySpec, kind)
            specs += [make(name=f"{kind}-{i + 1}", tags={kind}, address=next(places, None)) for i in range(number)]
        return cls(specs, seed=seed, workers=workers)

    def start(self) -> ProxyFleet:
        """Starts it, unless it runs. When this returns, every port is open.

        Returns:
            Itself.

        Raises:
            RuntimeError: It was stopped already.
            OSError: No ports or threads are to be had.
        """
        with self._lock:
            if self._native is None:
                native = _core.Fleet(
                    [spec._plain() for spec in self._specs],
                    seed=self._seed,
                    workers=self._workers,
                    ipv6=self._ipv6,
                    hosts=self._hosts,
                )
                self._proxies = tuple(FleetProxy(native, index, spec) for index, spec in enumerate(self._specs))
                self._origin = FleetOrigin(native)
                self._native = native
            elif not self._native.running:
                raise RuntimeError("the fleet was stopped; make another one")
            return self

    def stop(self) -> None:
        """Stops it: closes every socket, joins every thread, removes the certificate's file. Counters stay readable."""
        with self._lock:
            if self._native is not None:
                self._native.stop()
            if self._ca_file is not None:
                self._ca_file[1]()

    def __enter__(self) -> ProxyFleet:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    async def __aenter__(self) -> ProxyFleet:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_exception: object) -> None:
        await asyncio.to_thread(self.stop)

    def _started(self) -> _core.Fleet:
        if self._native is None:
            raise RuntimeError("the fleet is not started; use `with ProxyFleet(...) as fleet:`")
        return self._native

    @property
    def running(self) -> bool:
        """Whether it serves."""
        return self._native is not None and self._native.running

    @property
    def proxies(self) -> tuple[FleetProxy, ...]:
        """The proxies, in order.

        Raises:
            RuntimeError: It is not started.
        """
        self._started()
        return self._proxies

    @property
    def urls(self) -> list[str]:
        """The URLs of the proxies, in order, with credentials.

        Raises:
            RuntimeError: It is not started.
        """
        return [proxy.url for proxy in self.proxies]

    @property
    def origin(self) -> FleetOrigin:
        """The origin.

        Raises:
            RuntimeError: It is not started.
        """
        if self._origin is None:
            raise RuntimeError("the fleet is not started; use `with ProxyFleet(...) as fleet:`")
        return self._origin

    def http_url(self, path: str = "/") -> str:
        """The URL of an origin's page over HTTP, by address.

        Args:
            path: Path and query, beginning with a slash or not.
        """
        return f"http://{authority(*self.origin.http_address)}/{path.lstrip('/')}"

    def https_url(self, path: str = "/") -> str:
        """The URL of an origin's page over HTTPS, by address.

        Args:
            path: Path and query, beginning with a slash or not.
        """
        return f"https://{authority(*self.origin.https_address)}/{path.lstrip('/')}"

    def site_url(self, host: str = "origin.test", path: str = "/", *, https: bool = False) -> str:
        """The URL of a page on a site that only the proxies can resolve.

        Args:
            host: A name below `test`, or one given as `hosts`; it may carry any port.
            path: Path and query, beginning with a slash or not.
            https: Whether over HTTPS.
        """
        return f"http{'s' if https else ''}://{host}/{path.lstrip('/')}"

    @property
    def ca_pem(self) -> str:
        """The certificate to trust for the origin over HTTPS and for TLS proxies.

        Raises:
            RuntimeError: It is not started.
        """
        return self._started().ca_pem

    def ca_file(self) -> str:
        """The same certificate as a file, for clients that want a path; it is removed when the fleet stops.

        Returns:
            The path.

        Raises:
            RuntimeError: It is not started, or stopped.
        """
        pem = self.ca_pem
        with self._lock:
            if not self.running:
                raise RuntimeError("the fleet is stopped")
            if self._ca_file is None:
                descriptor, path = tempfile.mkstemp(prefix="proxywhirl-fleet-", suffix=".pem")
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.write(pem)
                self._ca_file = (path, weakref.finalize(self, _remove, path, os.getpid()))
            return self._ca_file[0]

    def ssl_context(self) -> ssl.SSLContext:
        """A client context that trusts the fleet's certificates and no others.

        Raises:
            RuntimeError: It is not started.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.ca_pem)
        return context

    def counters(self) -> dict[str, dict[str, Any]]:
        """What each proxy has counted, by name; see `FleetProxy.counters`.

        Raises:
            RuntimeError: It is not started.
        """
        return {proxy.name: proxy.counters() for proxy in self.proxies}

    def __len__(self) -> int:
        return len(self._specs)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[FleetProxy]:
        return iter(self.proxies)

    def __getitem__(self, key: int | str) -> FleetProxy:
        """The proxy of this index or name.

        Raises:
            IndexError: There is no such index.
            KeyError: There is no such name.
            RuntimeError: The fleet is not started.
        """
        if isinstance(key, str):
            for proxy in self.proxies:
                if proxy.name == key:
                    return proxy
            raise KeyError(key)
        return self.proxies[key]

    def __repr__(self) -> str:
        state = "running" if self.running else "new" if self._native is None else "stopped"
        return f"<ProxyFleet of {len(self)} proxies, {state}>"


def _remove(path: str, process: int) -> None:
    """Removes a file, unless in a child of the process that made it."""
    if os.getpid() == process:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
