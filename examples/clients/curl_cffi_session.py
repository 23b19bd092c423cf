"""Twenty pages by curl_cffi, with a browser's fingerprint: three proxies are no good, and every page arrives."""

from collections import Counter

from proxywhirl.integrations.curl_cffi import ProxyWhirlSession
from proxywhirl.testing import ProxyFleet, ProxySpec

SPECS = [
    ProxySpec.dead(),
    ProxySpec.hanging(),
    ProxySpec(ban_after=0),
    ProxySpec(name="login", auth=("us@er", "p:ss/w%rd")),
    ProxySpec(name="socks", scheme="socks5"),
]

with ProxyFleet(SPECS) as fleet:
    page = fleet.site_url("shop.test", "/whoami")
    seen: Counter[str] = Counter()
    with ProxyWhirlSession(fleet.urls, impersonate="chrome", timeout=1) as session:
        for _ in range(20):
            response = session.get(page)
            response.raise_for_status()
            seen[response.json()["proxy"]] += 1
        print(sum(seen.values()), "of 20 pages, through", ", ".join(sorted(seen)))

        # One proxy, and cookies of its own, for all requests of a session.
        session.get(fleet.site_url("shop.test", "/cookies/set?basket=7"), session_id="customer-7")
        for name in ("customer-7", "customer-8"):
            response = session.get(fleet.site_url("shop.test", "/cookies"), session_id=name)
            print(name, "has", response.json()["cookies"])
