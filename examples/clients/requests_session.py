"""Twenty pages by requests: three proxies are no good, one wants a login, one speaks SOCKS5, and every page arrives."""

from collections import Counter

from proxywhirl import ProxyRotator
from proxywhirl.integrations.requests import ProxyWhirlSession
from proxywhirl.testing import ProxyFleet, ProxySpec

SPECS = [
    ProxySpec.dead(),
    ProxySpec.hanging(),
    ProxySpec(ban_after=0),
    ProxySpec(name="login", auth=("us@er", "p:ss/w%rd")),
    ProxySpec(name="socks", scheme="socks5"),
]

with ProxyFleet(SPECS) as fleet, ProxyRotator(proxies=fleet.urls) as rotator:
    page = fleet.site_url("shop.test", "/whoami")
    with ProxyWhirlSession(rotator) as session:
        seen = Counter(session.get(page, timeout=1).json()["proxy"] for _ in range(20))
        print(sum(seen.values()), "of 20 pages, through", ", ".join(sorted(seen)))

    # One proxy, and cookies of its own, for all requests of a session.
    for name in ("customer-7", "customer-8"):
        with ProxyWhirlSession(rotator, session_id=name) as session:
            session.get(fleet.site_url("shop.test", f"/cookies/set?who={name}"))
            print(name, "has", session.get(fleet.site_url("shop.test", "/cookies")).json()["cookies"])
