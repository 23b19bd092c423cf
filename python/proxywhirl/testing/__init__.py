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

from proxywhirl._base.exports import names_in, on_first_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proxywhirl.testing._fleet import ProxyFleet as ProxyFleet
    from proxywhirl.testing._load_test import LoadTest as LoadTest
    from proxywhirl.testing._load_test import LoadTestResult as LoadTestResult
    from proxywhirl.testing._parts import FleetOrigin as FleetOrigin
    from proxywhirl.testing._parts import FleetProxy as FleetProxy
    from proxywhirl.testing._spec import Drift as Drift
    from proxywhirl.testing._spec import Flap as Flap
    from proxywhirl.testing._spec import LogNormal as LogNormal
    from proxywhirl.testing._spec import ProxySpec as ProxySpec

# pytest imports the plugin that lies here in every project.
_HOMES = {
    "proxywhirl.testing._fleet": "ProxyFleet",
    "proxywhirl.testing._load_test": "LoadTest LoadTestResult",
    "proxywhirl.testing._parts": "FleetOrigin FleetProxy",
    "proxywhirl.testing._spec": "Drift Flap LogNormal ProxySpec",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)
__all__ = names_in(_HOMES)
