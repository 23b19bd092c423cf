"""What logs in has to keep its proxy: a session holds on to one until that proxy dies."""

from proxywhirl import ProxyRotator, RetryPolicy
from proxywhirl.testing import ProxyFleet

with ProxyFleet(4) as fleet:
    page = fleet.site_url("bank.test", "/whoami")
    with ProxyRotator(proxies=fleet.urls, retry_policy=RetryPolicy(base_delay=0.01)) as rotator:
        with rotator.session("customer-7", timeout_seconds=1800) as customer:
            seen = [customer.get(page).json()["proxy"] for _ in range(5)]
            print("the session:", *seen)

            fleet[seen[-1]].fail("refuse")
            print("that proxy died, so now:", customer.get(page).json()["proxy"])
        print("without a session:", *(rotator.get(page).json()["proxy"] for _ in range(4)))
