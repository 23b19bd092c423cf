"""The proxies and the origin of a running fleet."""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import quote

from proxywhirl import _core
from proxywhirl.testing._spec import BEHAVIOUR, ProxySpec


def authority(host: str, port: int) -> str:
    """Host and port as URLs have them."""
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
        return f"{self.scheme}://{login}{authority(self.host, self.port)}"

    @property
    def bare_url(self) -> str:
        """Its URL without credentials."""
        return f"{self.scheme}://{authority(self.host, self.port)}"

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
            if name not in BEHAVIOUR:
                known = ", ".join(BEHAVIOUR)
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
        names = (name for name in BEHAVIOUR if name != "latency")
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
        address = authority(self.host, self.port)
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
        return f"FleetOrigin('http://{authority(*self.http_address)}')"
