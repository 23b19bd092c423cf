"""Real proxies and an origin on loopback, for tests, demos and benchmarks; and a load test for rotators.

A `ProxyFleet` starts proxies that speak HTTP, HTTPS, SOCKS4 and SOCKS5, each with a behaviour of its own (slow, flaky,
banned, dead), and one origin that tells callers what it saw of them. Nothing leaves the machine: `*.test` names lead to
the origin, other names nowhere.

Example:
    >>> import httpx
    >>> from proxywhirl.testing import ProxyFleet, ProxySpec
    >>> with ProxyFleet([ProxySpec(name="good"), ProxySpec(name="bad", fault="502")]) as fleet:
    ...     with httpx.Client(proxy=fleet["good"].url) as client:
    ...         client.get(fleet.site_url("shop.test", "/whoami")).json()["proxy"]
    'good'

What a fault does depends on how the proxy is used:

- A forwarded request, a CONNECT and a SOCKS request count as one *exchange* each; `fail_rate`, `fail_first`, `flap` and
  drifting latency count exchanges.
- `refuse` as a constant fault (and in a flap by time) closes the port; for a single exchange the connection is reset.
- A status such as `"502"` is the answer to a forwarded request or a CONNECT; in SOCKS it is the nearest error code.
- Bans and rate limits come from the origin, which knows through which proxy a request came: they count requests and
  work inside tunnels, TLS included. Each site has its own count.
- Latency delays each exchange, and in a tunnel each turn of the conversation, TLS handshakes excepted.
- A constant fault set at run time breaks the tunnels that are open.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import ssl
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Union
from urllib.parse import quote

from proxywhirl import _core
from proxywhirl._fork import new_lock
from proxywhirl._load_test import LoadTest, LoadTestResult

__all__ = [
    "Drift",
    "Flap",
    "FleetOrigin",
    "FleetProxy",
    "LoadTest",
    "LoadTestResult",
    "LogNormal",
    "ProxyFleet",
    "ProxySpec",
]


@dataclass(frozen=True)
class Drift:
    """A latency that moves in a straight line from one value to another, and stays there.

    Attributes:
        start: Milliseconds at the first request.
        end: Milliseconds from request number `requests` on.
        requests: Over how many requests, 1 or more.
    """

    start: float
    end: float
    requests: int


@dataclass(frozen=True)
class LogNormal:
    """A latency with a long tail, as real round trips have it.

    Attributes:
        median: Milliseconds; half of all requests are faster.
        sigma: Standard deviation of the logarithm, 0 to 5; 0.5 is a moderate tail.
    """

    median: float
    sigma: float = 0.5


@dataclass(frozen=True)
class Flap:
    """Up for a while, down for a while, and so on, beginning up.

    Attributes:
        up: How long the proxy works, 0 or more.
        down: How long it does not, 0 or more.
        unit: What both are measured in, `"requests"` or `"ms"` (since the behaviour was set).
    """

    up: int
    down: int
    unit: str = "requests"


Latency = Union[None, float, "tuple[float, float]", Drift, LogNormal]


@dataclass(frozen=True)
class ProxySpec:
    """One proxy of a fleet: what it speaks and how it behaves. The default is a perfect HTTP proxy.

    Attributes:
        name: What `/whoami` calls it, unique in its fleet; default `proxy-` and its index.
        scheme: `http` and `https` serve forwarded requests and CONNECT; `socks4`, `socks4a`, `socks5`, `socks5h`.
        auth: User name and password that it demands, at most 255 bytes each. SOCKS4 looks at the user only.
        address: Where it listens, an `IP:PORT` on loopback; default: any free port.
        latency: Milliseconds, `(lo, hi)` for anything between, `Drift` or `LogNormal`.
        fault: What goes wrong always: `refuse`, `hang`, `reset`, `cut`, or a status the proxy answers itself: `403`,
            `407`, `429`, `500`, `502`, `503`, `504`.
        cut_after: How many bytes of the body `cut` lets through; at most half of it where its length is known.
        fail_with: The fault that `fail_rate`, `fail_first` and `flap` fail with; default `502`.
        fail_rate: The probability, 0 to 1, with which an exchange fails; which ones follows from the fleet's seed.
        fail_first: So many exchanges fail before the proxy works.
        ban_after: After so many requests a site answers 403 and a captcha page: for every site, or by host name.
        ban_for: Seconds until a ban ends; default: when the behaviour is changed.
        rate_limit: `(requests, seconds)`: what exceeds them is answered 429 with `Retry-After`, by each site.
        flap: `(up, down)` in requests, or a `Flap`.
        country: A label for the test's own use.
        tags: Labels for the test's own use.

    Raises:
        TypeError: A field has the wrong type; the message begins with its name.
        ValueError: A field has a value out of its range; the message begins with its name.
    """

    name: str | None = None
    scheme: str = "http"
    auth: tuple[str, str] | None = field(default=None, repr=False)
    latency: Latency = None
    fault: str | None = None
    cut_after: int = 64
    fail_with: str = "502"
    fail_rate: float = 0.0
    fail_first: int = 0
    ban_after: int | Mapping[str, int] | None = None
    ban_for: float | None = None
    rate_limit: tuple[int, float] | None = None
    flap: tuple[int, int] | Flap | None = None
    country: str | None = None
    tags: Iterable[str] = frozenset()
    address: str | None = None

    def __post_init__(self) -> None:
        if self.country is not None and not isinstance(self.country, str):
            raise TypeError(f"country: expected a string, not {type(self.country).__name__}")
        if isinstance(self.tags, str):
            raise TypeError("tags: expected several strings, not one")
        tags = frozenset(self.tags)
        if not all(isinstance(tag, str) for tag in tags):
            raise TypeError("tags: expected strings")
        object.__setattr__(self, "tags", tags)
        _core.check_fleet_proxy(self._plain())

    def _plain(self) -> dict[str, Any]:
        """The values in the form that the native module takes."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        for name in ("auth", "rate_limit"):
            if isinstance(plain[name], list):
                plain[name] = tuple(plain[name])
        plain["latency"] = _latency(self.latency)
        plain["flap"] = _flap(self.flap)
        if isinstance(self.ban_after, Mapping):
            plain["ban_after"] = dict(self.ban_after)
        return plain

    @classmethod
    def fast(cls, **fields: Any) -> ProxySpec:
        """A proxy that answers within 1 to 3 ms; `fields` go before its own."""
        return cls(**{"latency": (1.0, 3.0), **fields})

    @classmethod
    def slow(cls, **fields: Any) -> ProxySpec:
        """A proxy with a median of 60 ms and a tail."""
        return cls(**{"latency": LogNormal(60.0, 0.3), **fields})

    @classmethod
    def flaky(cls, **fields: Any) -> ProxySpec:
        """A proxy that fails three times in ten with 502."""
        return cls(**{"latency": (2.0, 10.0), "fail_rate": 0.3, **fields})

    @classmethod
    def hanging(cls, **fields: Any) -> ProxySpec:
        """A proxy that accepts and never answers."""
        return cls(**{"fault": "hang", **fields})

    @classmethod
    def dead(cls, **fields: Any) -> ProxySpec:
        """A proxy whose port is closed."""
        return cls(**{"fault": "refuse", **fields})

    @classmethod
    def login(cls, **fields: Any) -> ProxySpec:
        """A fast proxy that wants a login."""
        return cls(**{"latency": (1.0, 3.0), "auth": ("demo", "s3cret"), **fields})


#: The fields of a `ProxySpec` that the native module knows.
_PLAIN = tuple(f.name for f in dataclasses.fields(ProxySpec) if f.name not in ("country", "tags"))
#: The fields of a `ProxySpec` that can be changed while it runs.
_BEHAVIOUR = tuple(name for name in _PLAIN if name not in ("name", "scheme", "auth", "address"))


def _latency(latency: Latency) -> tuple[str, float, float, int] | None:
    # The twin of `latency` in src/py/fleet.rs.
    if latency is None:
        return None
    if isinstance(latency, Drift):
        return ("drift", latency.start, latency.end, latency.requests)
    if isinstance(latency, LogNormal):
        return ("lognormal", latency.median, latency.sigma, 0)
    if isinstance(latency, (tuple, list)):
        if len(latency) != 2:
            raise ValueError(f"latency: expected (lo, hi), not {len(latency)} values")
        return ("uniform", latency[0], latency[1], 0)
    if isinstance(latency, (int, float)):
        return ("fixed", latency, 0.0, 0)
    raise TypeError(f"latency: expected milliseconds, (lo, hi), Drift or LogNormal, not {type(latency).__name__}")


def _flap(flap: tuple[int, int] | Flap | None) -> tuple[int, int, str] | None:
    if flap is None:
        return None
    if isinstance(flap, Flap):
        return (flap.up, flap.down, flap.unit)
    if not isinstance(flap, (tuple, list)):
        raise TypeError(f"flap: expected (up, down) or Flap, not {type(flap).__name__}")
    if len(flap) != 2:
        raise ValueError(f"flap: expected (up, down), not {len(flap)} values")
    return (flap[0], flap[1], "requests")


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class FleetProxy:
    """One proxy of a running fleet. Made by `ProxyFleet`.

    Attributes:
        index: Its place in the fleet.
        name: What `/whoami` calls it.
        host: The address it listens on.
        port: The port it listens on; it stays the same while the proxy is dead.
        spec: What it was made from.
    """

    def __init__(self, native: _core.Fleet, index: int, spec: ProxySpec) -> None:
        self._native = native
        self._now = spec
        self.index = index
        self.spec = spec
        self.name: str = native.names[index]
        self.host, self.port = native.addresses[index]

    @property
    def scheme(self) -> str:
        """The scheme of its URL."""
        return self.spec.scheme

    @property
    def url(self) -> str:
        """Its URL, with credentials where it wants them."""
        login = ""
        if self.spec.auth is not None:
            user, password = (quote(part, safe="") for part in self.spec.auth)
            login = f"{user}:{password}@"
        return f"{self.scheme}://{login}{_authority(self.host, self.port)}"

    @property
    def bare_url(self) -> str:
        """Its URL without credentials."""
        return f"{self.scheme}://{_authority(self.host, self.port)}"

    @property
    def username(self) -> str | None:
        """The user name it demands."""
        return None if self.spec.auth is None else self.spec.auth[0]

    @property
    def password(self) -> str | None:
        """The password it demands."""
        return None if self.spec.auth is None else self.spec.auth[1]

    @property
    def country(self) -> str | None:
        """The country its specification names."""
        return self.spec.country

    @property
    def tags(self) -> frozenset[str]:
        """The tags its specification names."""
        return frozenset(self.spec.tags)

    @property
    def behaviour(self) -> ProxySpec:
        """How it behaves now, as a specification."""
        return self._now

    def counters(self) -> dict[str, Any]:
        """What it has counted since the start.

        Returns:
            `connections`, `active_connections`, `requests` (HTTP, past the login), `tunnels`, `socks_handshakes`,
            `auth_failures`, `blocked` (destinations refused), `bad_requests`, `bytes_up`, `bytes_down`, and `faults`, a
            dictionary of those that happened, `ban` and `rate_limit` included.
        """
        return self._native.counters(self.index)

    def set_behaviour(self, **changes: Any) -> None:
        """Changes fields of its behaviour; the others stay. Schedules begin anew and bans are lifted.

        When this returns, the port is open or closed as the behaviour wants it.

        Args:
            **changes: Fields of `ProxySpec`, from `latency` to `flap`.

        Raises:
            TypeError: A field that is no behaviour, or of the wrong type.
            ValueError: A value out of its range.
            RuntimeError: The fleet is stopped.
        """
        for name in changes:
            if name not in _BEHAVIOUR:
                known = ", ".join(_BEHAVIOUR)
                raise TypeError(f"{name}: not a behaviour that can be changed; those are {known}")
        self._become(dataclasses.replace(self._now, **changes))

    def fail(self, fault: str = "refuse") -> None:
        """Lets everything fail, until `heal` or another behaviour ends it.

        Args:
            fault: As `ProxySpec.fault`.

        Raises:
            ValueError: There is no such fault.
            RuntimeError: The fleet is stopped.
        """
        self.set_behaviour(fault=fault)

    def heal(self) -> None:
        """Ends everything that goes wrong: faults, luck, schedules, bans, limits. The latency stays.

        Raises:
            RuntimeError: The fleet is stopped.
        """
        healthy = ProxySpec()
        names = (name for name in _BEHAVIOUR if name != "latency")
        self.set_behaviour(**{name: getattr(healthy, name) for name in names})

    def restore(self) -> None:
        """Goes back to the behaviour it was made with, from its beginning.

        Raises:
            RuntimeError: The fleet is stopped.
        """
        self._become(self.spec)

    def _become(self, spec: ProxySpec) -> None:
        self._native.set_behaviour(self.index, spec._plain())
        self._now = spec

    def __repr__(self) -> str:
        login = "" if self.spec.auth is None else "***:***@"
        address = _authority(self.host, self.port)
        return f"FleetProxy(name={self.name!r}, url='{self.scheme}://{login}{address}')"


class FleetOrigin:
    """The origin of a running fleet. Made by `ProxyFleet`.

    Its pages: `/` (HTML), `/whoami` (which proxy came, as JSON), `/echo` (method, path, headers, body), `/bytes/N`,
    `/delay/MS`, `/status/CODE`, `/cookies`, `/cookies/set?name=value`, `/redirect/N`, `/redirect-to?url=`, `/gzip`,
    `/deflate`, `/stream/N` (chunked), `/drip?bytes=&ms=`, `/json`, `/captcha`.
    """

    def __init__(self, native: _core.Fleet) -> None:
        self._native = native
        #: Host and port over HTTP.
        self.http_address: tuple[str, int] = native.http
        #: Host and port over HTTPS.
        self.https_address: tuple[str, int] = native.https

    def counters(self) -> dict[str, Any]:
        """What it has counted since the start.

        Returns:
            `connections`, `active_connections`, `tls_handshakes`, `requests`, `direct` (those through no proxy),
            `by_proxy` (by name) and `by_site` (by host name).
        """
        return self._native.origin_counters()

    def __repr__(self) -> str:
        return f"FleetOrigin('http://{_authority(*self.http_address)}')"


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

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> ProxyFleet:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
        return f"http://{_authority(*self.origin.http_address)}/{path.lstrip('/')}"

    def https_url(self, path: str = "/") -> str:
        """The URL of an origin's page over HTTPS, by address.

        Args:
            path: Path and query, beginning with a slash or not.
        """
        return f"https://{_authority(*self.origin.https_address)}/{path.lstrip('/')}"

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
