"""Any client can be rotated with a lease; here the standard library's. The rotator hears how it went."""

import json
import urllib.error
import urllib.request

from proxywhirl import ProxyRotator
from proxywhirl.testing import ProxyFleet, ProxySpec

with ProxyFleet([ProxySpec(name="good"), ProxySpec.login(name="locked"), ProxySpec.dead(name="dead")]) as fleet:
    page = fleet.site_url("shop.test", "/whoami")
    with ProxyRotator(proxies=fleet.urls) as rotator:
        for _ in range(6):
            try:
                # Left without a verdict, the block is a success; a network error that leaves it is the proxy's failure.
                with rotator.lease(page) as lease:
                    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": lease.url}))
                    with opener.open(page, timeout=5) as response:
                        print(response.status, "through", json.load(response)["proxy"])
            except urllib.error.URLError as error:
                print("failed:", error.reason)
        for proxy, member in zip(rotator.pool, fleet):
            print(f"{member.name}: {proxy.health_status.value}, {proxy.total_successes} of {proxy.total_requests}")
