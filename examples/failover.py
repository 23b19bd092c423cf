"""Every page arrives, although one proxy is dead, one answers 502 half of the time, and one wants another password."""

from proxywhirl import ProxyRotator, RetryPolicy
from proxywhirl.testing import ProxyFleet, ProxySpec

SPECS = [
    ProxySpec.fast(name="good"),
    ProxySpec.fast(name="also-good"),
    ProxySpec.flaky(name="flaky", fail_rate=0.5),
    ProxySpec.dead(name="dead"),
    ProxySpec(name="locked", fault="407"),
]

with ProxyFleet(SPECS, seed=1) as fleet:
    patient = RetryPolicy(max_attempts=6, base_delay=0.01)
    with ProxyRotator(proxies=fleet.urls, retry_policy=patient) as rotator:
        for number in range(20):
            response = rotator.get(fleet.site_url("shop.test", "/whoami"))
            summary = response.extensions["proxywhirl"]
            print(f"page {number:2}: through {response.json()['proxy']:9} after {summary['attempts']} attempt(s)")
        for proxy, member in zip(rotator.pool, fleet):
            print(f"{member.name:9} {proxy.health_status.value:9} {proxy.total_successes:3} pages")
        stats = rotator.get_pool_stats()
        print(f"{stats['total_successes']} of 20 pages, {stats['total_failures']} failures on the way")
