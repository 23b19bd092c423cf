"""An httpx client of one's own, with its cookies, redirects and hooks: rotation is its transport."""

import httpx

from proxywhirl import ProxyPool, RotatingTransport
from proxywhirl.testing import ProxyFleet

with ProxyFleet(3) as fleet:
    pool = ProxyPool(name="mine", max_pool_size=1000)
    report = pool.add_many([*fleet.urls, fleet.urls[0], "ftp://not-a-proxy:21"], on_error="skip")
    print(f"{report.added} added, {report.duplicates} twice, {len(report.errors)} not understood")

    transport = RotatingTransport(pool, strategy="least-used", verify=fleet.ssl_context())
    with httpx.Client(transport=transport, headers={"User-Agent": "example"}, follow_redirects=True) as client:
        for _ in range(6):
            response = client.get(fleet.site_url("shop.test", "/whoami", https=True))
            print(response.status_code, response.json()["proxy"])
