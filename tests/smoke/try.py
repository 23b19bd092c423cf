"""What an installed wheel has to do, whatever the Python; needs nothing but the wheel and its dependencies.

Run by `run.py`, in a process of its own that cannot see the source tree.
"""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import sys
import sysconfig
import threading
import warnings

warnings.simplefilter("error")

import proxywhirl  # noqa: E402
from proxywhirl import (  # noqa: E402
    AsyncProxyRotator,
    CompositeStrategy,
    CostAwareStrategy,
    GeoTargetedStrategy,
    LeastUsedStrategy,
    PerformanceBasedStrategy,
    Proxy,
    ProxyPool,
    ProxyPoolEmptyError,
    ProxyRotator,
    RandomStrategy,
    RetryPolicy,
    RoundRobinStrategy,
    SelectionContext,
    SessionPersistenceStrategy,
    StrategyConfig,
    WeightedStrategy,
)
from proxywhirl.testing import ProxyFleet, ProxySpec  # noqa: E402

COUNTRIES = ["US", "DE", "FR"]


def pool_of(size: int = 9) -> ProxyPool:
    proxies = [Proxy(url=f"http://p{i}.example:80", country_code=COUNTRIES[i % 3]) for i in range(size)]
    return ProxyPool(proxies=proxies)


def every_name_is_there() -> None:
    for name in proxywhirl.__all__:
        getattr(proxywhirl, name)
    assert set(proxywhirl.__all__) <= set(dir(proxywhirl))


def the_lock_stays_off() -> None:
    # An interpreter without the lock takes it again for a module that does not declare that it needs none.
    is_enabled = getattr(sys, "_is_gil_enabled", lambda: None)
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert is_enabled() is False


def every_strategy_selects() -> None:
    strategies = [
        RoundRobinStrategy(),
        RandomStrategy(seed=1),
        WeightedStrategy({"http://p0.example:80": 2.0}, seed=1),
        LeastUsedStrategy(),
        PerformanceBasedStrategy(alpha=0.3, seed=1),
        SessionPersistenceStrategy(timeout_seconds=60),
        GeoTargetedStrategy(preferred_countries=["DE"]),
        CostAwareStrategy(seed=1),
        CompositeStrategy(filters=[GeoTargetedStrategy(preferred_countries=["FR"])], selector="least-used"),
    ]
    for strategy in strategies:
        strategy.configure(StrategyConfig(ema_alpha=0.3))
        pool = pool_of()
        for number in range(50):
            proxy = strategy.select(pool, SelectionContext(session_id="s"))
            strategy.record_result(proxy, number % 5 != 0, 10.0)
            assert proxy in pool
            if proxy.health_status == "unhealthy":
                proxy.health_status = "healthy"
        assert sum(proxy.requests_completed for proxy in pool) == 50, strategy
        assert sum(proxy.requests_active for proxy in pool) == 0, strategy
    try:
        RoundRobinStrategy().select(ProxyPool())
    except ProxyPoolEmptyError:
        return
    raise AssertionError("an empty pool offered a proxy")


def threads_count_right() -> None:
    pool, strategy = pool_of(), LeastUsedStrategy()

    def work() -> None:
        for _ in range(500):
            strategy.record_result(strategy.select(pool), True, 1.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(proxy.requests_completed for proxy in pool) == 2000


def models_and_copies_hold() -> None:
    proxy = Proxy(url="http://user:secret@p.example:80", tags={"a"}, country_code="DE")
    assert "secret" not in repr(proxy) + str(proxy) + proxy.model_dump_json()
    for twin in (pickle.loads(pickle.dumps(proxy)), copy.deepcopy(proxy), proxy.model_copy()):
        assert twin.id == proxy.id
        assert twin.password is not None
        assert twin.password.get_secret_value() == "secret"
    pool = pickle.loads(pickle.dumps(pool_of()))
    assert len(pool) == 9
    try:
        Proxy(url="ftp://p.example:80")
    except ValueError as error:
        assert "scheme" in str(error) or "URL" in str(error), error
    else:
        raise AssertionError("a proxy with a bad scheme was made")


def a_fork_goes_on() -> None:
    if not hasattr(os, "fork"):
        return
    pool, strategy = pool_of(), RandomStrategy()
    strategy.select(pool)
    child = os.fork()
    if child == 0:
        # Nothing of the parent's may run in here, clean-up included.
        status = 1
        try:
            status = 0 if strategy.select(pool) in pool else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def requests_arrive() -> None:
    specs = [ProxySpec(), ProxySpec.login(), ProxySpec(scheme="socks5"), ProxySpec.dead(), ProxySpec(scheme="socks4")]
    with ProxyFleet(specs) as fleet:
        patient = RetryPolicy(max_attempts=5, base_delay=0.01)
        with ProxyRotator(fleet.urls, retry_policy=patient, verify=fleet.ssl_context()) as rotator:
            for number in range(20):
                page = fleet.site_url("shop.test", "/whoami", https=number % 2 == 0)
                assert rotator.get(page).json()["proxy"]
            with rotator.session("one") as session:
                page = fleet.site_url("shop.test", "/whoami")
                assert len({session.get(page).json()["proxy"] for _ in range(4)}) == 1

        async def fetch() -> None:
            async with AsyncProxyRotator(fleet.urls, "performance-based", retry_policy=patient) as rotator:
                page = fleet.site_url("news.test", "/whoami")
                answers = await asyncio.gather(*(rotator.get(page) for _ in range(40)))
                assert [answer.status_code for answer in answers] == [200] * 40

        asyncio.run(fetch())


def main() -> None:
    checks = [
        every_name_is_there,
        the_lock_stays_off,
        every_strategy_selects,
        threads_count_right,
        models_and_copies_hold,
        a_fork_goes_on,  # before the fleet: its threads would make a fork a warning
        requests_arrive,
    ]
    for check in checks:
        check()
    print(f"{len(checks)} checks passed on {sys.version.split()[0]}, {proxywhirl.__file__}")


if __name__ == "__main__":
    main()
