"""Any client can be rotated with a lease; here the standard library's. It reports what it gets, or raises."""

import json
import urllib.request

from proxywhirl import ProxyRotator
from proxywhirl.testing import ProxyFleet, ProxySpec


def fetch(rotator: ProxyRotator, url: str) -> bytes:
    for _ in range(5):
        # urllib speaks no SOCKS, so the lease asks for what it does speak.
        lease = rotator.lease(url, protocol="http")
        handler = urllib.request.ProxyHandler({"http": lease.url_for("urllib")})
        try:
            with urllib.request.build_opener(handler).open(url, timeout=5) as response:
                body: bytes = response.read()
                lease.report(response, body=body)
                return body
        except OSError as error:
            print("failed:", lease.report(error).value)
    raise RuntimeError("five proxies in a row failed")


specs = [ProxySpec.dead(name="dead"), ProxySpec(name="banned", ban_after=0), ProxySpec(name="good")]
with ProxyFleet([*specs, ProxySpec(name="socks", scheme="socks5")]) as fleet:
    page = fleet.site_url("shop.test", "/whoami")
    with ProxyRotator(proxies=fleet.urls) as rotator:
        for _ in range(5):
            print("through", json.loads(fetch(rotator, page))["proxy"])
        for proxy, member in zip(rotator.pool, fleet):
            print(f"{member.name}: {proxy.health_status.value}, {proxy.total_successes} of {proxy.total_requests}")
