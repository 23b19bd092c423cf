"""What a rotator reports: events as they happen, and counts at the end."""

from proxywhirl import ProxyEvent, ProxyRotator
from proxywhirl.testing import ProxyFleet, ProxySpec

fleet = ProxyFleet([ProxySpec(name="good"), ProxySpec(name="banned", ban_after=2), ProxySpec.dead(name="dead")])

with fleet, ProxyRotator(proxies=fleet.urls, enable_metrics=True) as rotator:

    @rotator.on("request_failure")
    def complain(event: ProxyEvent) -> None:
        print(f"attempt {event.attempt}: {event.metadata['outcome']}, {event.error}")

    @rotator.on("proxy_benched")
    def bench(event: ProxyEvent) -> None:
        print(f"{event.metadata['site']} does not want it for {event.metadata['seconds']:.0f} s")

    for _ in range(12):
        rotator.get(fleet.site_url("shop.test", "/whoami"))

    metrics = rotator.get_metrics()
    print(f"{metrics['total_requests']} attempts, {metrics['success_rate']:.0%} of them successful")
    print(f"median {metrics['p50_latency_ms']:.1f} ms, p99 {metrics['p99_latency_ms']:.1f} ms")
    for outcome, counts in rotator.get_metrics(by="outcome").items():
        print(f"{outcome}: {counts['total_requests']}")
