"""Rates, a queue, breakers and credentials that change, over proxies on loopback."""

import time
from concurrent.futures import ThreadPoolExecutor

from proxywhirl import CircuitBreakerConfig, CredentialRotator, ProxyConnectionError, ProxyRotator, RateLimiter
from proxywhirl.rate_limiting import RateLimit
from proxywhirl.testing import ProxyFleet, ProxySpec


def credentials() -> dict[str, str]:
    """What a provider would be asked for every hour."""
    return {"username": "user", "password": "topsecret"}


with ProxyFleet([ProxySpec(auth=("user", "topsecret")) for _ in range(2)]) as fleet:
    page = fleet.site_url("shop.test")
    proxies = [proxy.bare_url for proxy in fleet.proxies]
    login = CredentialRotator(refresh_callback=credentials, refresh_interval=3600)

    # Each proxy may carry five at once, then twenty a second: the rest waits.
    each = RateLimiter(requests_per_second=20, burst_size=5)
    with ProxyRotator(proxies, rate_limiter=each, credential_rotator=login) as rotator:
        began = time.monotonic()
        for _ in range(20):
            rotator.get(page)
        print(f"20 requests, 10 of them at once, took {time.monotonic() - began:.1f} s")

    # All proxies together: what is too much is refused, ...
    shared_limit = RateLimit(max_requests=2, time_window=0.2)
    with ProxyRotator(proxies, rate_limiter=RateLimiter(shared_limit), credential_rotator=login) as rotator:
        try:
            for _ in range(3):
                rotator.get(page)
        except ProxyConnectionError as error:
            print("refused:", error.message.split(":")[0])

    # ... or waits in line.
    config = {"queue_enabled": True, "queue_size": 10}
    with ProxyRotator(proxies, None, config, None, RateLimiter(shared_limit), credential_rotator=login) as rotator:
        with ThreadPoolExecutor(6) as threads:
            requests = [threads.submit(rotator.get, page) for _ in range(6)]
            time.sleep(0.05)
            print("in line:", rotator.get_queue_stats()["size"])
            print("answers:", {request.result().status_code for request in requests})

    pattern = CircuitBreakerConfig(failure_threshold=1)
    with ProxyRotator(proxies, circuit_breaker=pattern, credential_rotator=login) as rotator:
        first = rotator.pool.proxies[0]
        rotator.circuit_breakers[str(first.id)].record_failure()
        print("breakers:", [breaker.state.value for breaker in rotator.circuit_breakers.values()])
        print("statuses:", {rotator.get(page).status_code for _ in range(4)})
        print("through the open one:", first.total_requests)
        print("attempts:", len(rotator.retry_metrics.current_attempts))
