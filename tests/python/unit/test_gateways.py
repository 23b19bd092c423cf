"""Gateways: what they mint, what they replace, what they refuse."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

from proxywhirl import (
    AsyncProxyRotator,
    Gateway,
    HealthStatus,
    ProxyPool,
    ProxyRotator,
    RotatingTransport,
    RoundRobinStrategy,
)
from proxywhirl.gateways import presets
from proxywhirl.testing import ProxyFleet, ProxySpec

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "http://user-{country}-session-{session}:hunter2@gw.example:7777"


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    with ProxyFleet(1) as running:
        yield running


def over(fleet: ProxyFleet, **options: Any) -> Gateway:
    """A gateway that really carries requests; its proxy asks for no login, so any will do."""
    host, port = fleet.proxies[0].host, fleet.proxies[0].port
    return Gateway(f"http://user-{{session}}:secret@{host}:{port}", **options)


def users(proxies: Iterable[Any]) -> list[str]:
    return [proxy.username.get_secret_value() for proxy in proxies]


class TestMinting:
    def test_what_is_minted(self) -> None:
        gateway = Gateway(URL, size=200, ttl=600, countries=["us", "DE"])
        proxies = list(gateway)
        assert len(proxies) == len(gateway) == 200
        assert len({proxy.url for proxy in proxies}) == 200
        assert Counter(proxy.country_code for proxy in proxies) == {"US": 100, "DE": 100}
        first = proxies[0]
        assert users([first])[0].startswith("user-us-session-")
        assert first.password is not None
        assert first.password.get_secret_value() == "hunter2"
        assert (first.host, first.port, first.ttl) == ("gw.example", 7777, 600)
        assert first.tags == {"source:gateway", "gateway:gw.example"}

    def test_nothing_twice(self) -> None:
        gateway = Gateway("http://u-{session}:p@gw.example:1")
        created: list[str] = []
        lock = threading.Lock()

        def work() -> None:
            mine = [proxy.url for proxy in gateway.mint(500)]
            with lock:
                created.extend(mine)

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert len(set(created)) == len(created) == 2000

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_a_child_mints_others(self) -> None:
        gateway = Gateway("http://u-{session}:p@gw.example:1")
        gateway.mint()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, "\n".join(proxy.url for proxy in gateway.mint(20)).encode())
            os._exit(0)
        os.close(writing)
        theirs = set(os.read(reading, 10_000).decode().split("\n"))
        os.close(reading)
        os.waitpid(child, 0)
        assert len(theirs) == 20
        assert theirs.isdisjoint(proxy.url for proxy in gateway.mint(20))

    def test_ids_of_the_user(self) -> None:
        ids = iter(["a", "a", "b"])
        gateway = Gateway("http://u-{session}:p@gw.example:1", session=lambda: next(ids))
        assert users(gateway.mint(2)) == ["u-a", "u-b"]
        with pytest.raises(RuntimeError, match="there before"):
            Gateway("http://u-{session}:p@gw.example:1", session=lambda: "same").mint(2)
        with pytest.raises(TypeError, match="not empty"):
            Gateway("http://u-{session}:p@gw.example:1", session=lambda: "").mint()

    def test_other_placeholders(self) -> None:
        gateway = Gateway(
            "socks5://{user}-{city}-{COUNTRY}-{minutes}-{seconds}-{session}:{password}@{where}.gw.example:{port}",
            user="me@here", password="p:w/", city=["a", "b"], where="eu", port=[1, 2], countries=["de"], ttl=90, size=4,
        )  # fmt: skip
        proxies = list(gateway)
        assert {(name.rpartition("-")[0], proxy.port) for name, proxy in zip(users(proxies), proxies)} == {
            (f"me@here-{city}-DE-2-90", port) for city in "ab" for port in (1, 2)
        }
        assert proxies[0].host == "eu.gw.example"
        assert proxies[0].protocol == "socks5"
        assert proxies[0].password is not None
        assert proxies[0].password.get_secret_value() == "p:w/"

    def test_without_sessions_there_are_as_many_as_there_are(self) -> None:
        gateway = Gateway("http://u:p@gw.example:{port}", port=range(10_000, 10_003))
        assert gateway.size == 3
        assert [proxy.port for proxy in gateway] == [10_000, 10_001, 10_002]
        assert not gateway.renewable
        with pytest.raises(ValueError, match="3 different proxies"):
            Gateway("http://u:p@gw.example:{port}", port=range(10_000, 10_003), size=4)


class TestRefusals:
    @pytest.mark.parametrize(
        ("url", "options", "match"),
        [
            ("http://u-{}:hunter2@gw.example:1", {}, "empty placeholder"),
            ("http://u-{0}:hunter2@gw.example:1", {}, "name in braces"),
            ("http://u-{session!r}:hunter2@gw.example:1", {}, "name in braces"),
            ("http://u-{session:hunter2}:p@gw.example:1", {}, "name in braces"),
            ("http://u-{session:hunter2@gw.example:1", {}, "single brace"),
            ("http://u-{planet}:hunter2@gw.example:1", {}, r"\{planet\}, but no value"),
            ("http://u-{country}:hunter2@gw.example:1", {}, "no countries"),
            ("http://u-{country}:hunter2@gw.example:1", {"countries": []}, "empty value"),
            ("http://u-{country}:hunter2@gw.example:1", {"countries": ["usa"]}, "two-letter"),
            ("http://u-{city}-{session}:hunter2@gw.example:1", {"city": ""}, "empty value"),
            ("http://u-{session}:hunter2@gw.example:1", {"countries": ["us"]}, r"no \{country\}"),
            ("http://u-{session}:hunter2@gw.example:1", {"city": "x"}, r"no \{city\}"),
            ("http://u-{session}-{minutes}:hunter2@gw.example:1", {}, "no ttl"),
            ("http://u-{session}:hunter2@gw.example:1", {"minutes": 3}, "not by name"),
            ("http://u:hunter2@gw.example:1", {"session": str}, r"no \{session\}"),
            ("http://u:hunter2@gw.example:1", {"ttl": 5}, "nothing to replace"),
            ("http://u-{session}:hunter2@gw.example:1", {"ttl": 0}, "positive"),
            ("http://u-{session}:hunter2@gw.example:1", {"size": 0}, "positive"),
            ("http://u-{session}:hunter2@gw.example", {}, "no proxy URL"),
            ("ftp://u-{session}:hunter2@gw.example:1", {}, "no proxy URL"),
            ("http://u-{session}:hunter2@{host}:1", {"host": ["a.example", "a b"]}, "no proxy URL"),
        ],
    )
    def test_at_construction_and_without_secrets(self, url: str, options: dict[str, Any], match: str) -> None:
        with pytest.raises(ValueError, match=match) as caught:
            Gateway(url, **options)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_types(self) -> None:
        for options in ({"session": 3}, {"size": 2.0}, {"ttl": "1"}, {"city": 1.5}, {"tags": "one"}):
            with pytest.raises(TypeError):
                Gateway("http://u-{session}-{city}:p@gw.example:1", **{"city": "x", **options})
        with pytest.raises(TypeError):
            Gateway(3)  # type: ignore[arg-type]

    def test_secrets_are_masked(self) -> None:
        gateway = Gateway("http://alice-{session}:{password}@gw.example:7777", size=2, ttl=60, password="hunter2")
        shown = repr(gateway) + repr(list(gateway)) + str(gateway)
        assert repr(gateway) == "Gateway('http://***:***@gw.example:7777', size=2, ttl=60)"
        assert "hunter2" not in shown
        assert "alice" not in shown


class TestReplacing:
    def test_the_ill_the_old_and_the_gone(self) -> None:
        pool = ProxyPool()
        gateway_pool = Gateway(
            "http://u-{session}-{country}:p@gw.example:1", size=4, ttl=600, countries=["us", "de"]
        ).attach(pool)
        assert not gateway_pool.maintain(now=True)
        ill, old, gone, well = pool.get_all_proxies()
        ill.health_status = HealthStatus.UNHEALTHY
        old.expires_at = "2020-01-01T00:00:00Z"
        pool.remove_proxy(gone.id)
        ill.start_request()
        assert gateway_pool.maintain(now=True)
        assert len(pool) == 4
        assert [pool.get_proxy_by_id(one.id) for one in (ill, old, gone, well)] == [None, None, None, well]
        assert Counter(proxy.country_code for proxy in pool) == {"US": 2, "DE": 2}
        assert ill.requests_active == 1  # what was under way on it goes on
        assert not gateway_pool.maintain(now=True)

    def test_the_benched(self) -> None:
        pool = ProxyPool()
        gateway_pool = Gateway("http://u-{session}:p@gw.example:1", size=2).attach(pool)
        with pool.lease(RoundRobinStrategy(), "https://shop.example/") as lease:
            benched = lease.proxy
            lease.banned()
        assert gateway_pool.maintain(now=True)
        assert len(pool) == 2
        assert pool.get_proxy_by_id(benched.id) is None

    def test_a_resting_session_is_replaced(self) -> None:
        pool = ProxyPool()
        gateway_pool = Gateway("http://u-{session}:p@gw.example:1", size=2).attach(pool)
        lease = pool.lease(RoundRobinStrategy(), "https://shop.example/")
        lease.failure(ConnectionRefusedError())
        assert gateway_pool.maintain(now=True)
        assert pool.get_proxy_by_id(lease.id) is None
        assert len(pool) == 2

    def test_a_site_that_bans_every_session_meets_new_ones(self) -> None:
        with ProxyFleet([ProxySpec(ban_after={"shop.test": 3})]) as fleet:
            with ProxyRotator(proxies=[over(fleet, size=3)]) as rotator:
                for _ in range(3):
                    assert rotator.get(fleet.site_url("shop.test")).status_code == 200
                before = {proxy.id for proxy in rotator.pool}
                assert rotator.get(fleet.site_url("shop.test")).status_code == 403
                time.sleep(0.25)
                fleet.proxies[0].heal()
                assert rotator.get(fleet.site_url("shop.test")).status_code == 200
                assert not before & {proxy.id for proxy in rotator.pool}

    def test_a_whole_gateway_in_trouble_has_a_limit(self) -> None:
        pool = ProxyPool()
        gateway_pool = Gateway("http://u-{session}:p@gw.example:1", size=5).attach(pool)
        for _ in range(20):
            for proxy in pool:
                proxy.health_status = HealthStatus.DEAD
            gateway_pool.maintain(now=True)
        # Ten at once for the smallest gateway, and one more in six seconds.
        assert gateway_pool.gateway._sessions._number <= 5 + 10 + 1

    def test_what_cannot_be_renewed_stays(self) -> None:
        pool = ProxyPool()
        gateway_pool = Gateway("http://u:p@gw.example:1").attach(pool)
        (only,) = pool
        only.health_status = HealthStatus.DEAD
        assert not gateway_pool.maintain(now=True)
        assert pool.get_all_proxies() == [only]

    def test_looking_is_rare(self) -> None:
        pool = ProxyPool()
        gateway_pool = Gateway("http://u-{session}:p@gw.example:1", size=3).attach(pool)
        gateway_pool.maintain()
        pool.remove_proxy(pool.get_all_proxies()[0].id)
        assert not gateway_pool.maintain()
        time.sleep(0.25)
        assert gateway_pool.maintain()

    def test_a_full_pool(self) -> None:
        pool = ProxyPool(max_pool_size=2)
        with pytest.raises(ValueError, match="maximum capacity"):
            Gateway("http://u-{session}:p@gw.example:1", size=3).attach(pool)


class TestWhereProxiesAreAccepted:
    def test_rotators(self, fleet: ProxyFleet) -> None:
        target = fleet.site_url("shop.test", "/whoami")
        for given in ([over(fleet, size=3)], over(fleet, size=3)):
            with ProxyRotator(proxies=given) as rotator:
                assert len(rotator.pool) == 3
                assert rotator.get(target).status_code == 200
        with ProxyRotator(proxies=[over(fleet, size=2), "http://1.1.1.1:80"]) as rotator:
            assert len(rotator.pool) == 3
            assert rotator.add_proxies([over(fleet, size=2)]) == 2
            rotator.add_proxy(over(fleet, size=2))
            assert len(rotator.pool) == 7

    async def test_async_rotators(self, fleet: ProxyFleet) -> None:
        async with AsyncProxyRotator(proxies=[over(fleet, size=2)]) as rotator:
            assert (await rotator.get(fleet.site_url("shop.test"))).status_code == 200
            await rotator.add_proxy(over(fleet, size=2))
            assert len(rotator.pool) == 4

    def test_transports_and_pools(self, fleet: ProxyFleet) -> None:
        import httpx

        for given in (over(fleet, size=2), [over(fleet, size=2)]):
            with httpx.Client(transport=RotatingTransport(given)) as client:
                assert client.get(fleet.site_url("shop.test")).status_code == 200
        assert len(ProxyPool(proxies=over(fleet, size=2))) == 2

    def test_users_proxies_are_tagged(self) -> None:
        with ProxyRotator(user_proxies=[Gateway("http://u-{session}:p@gw.example:1", size=1)]) as rotator:
            assert {"source:user", "source:gateway"} <= rotator.pool.get_all_proxies()[0].tags

    def test_when_all_have_expired_there_are_new_ones(self, fleet: ProxyFleet) -> None:
        with ProxyRotator(proxies=[over(fleet, size=2, ttl=60)]) as rotator:
            before = rotator.pool.get_all_proxies()
            rotator.get(fleet.site_url("shop.test"))
            for proxy in before:
                proxy.expires_at = "2020-01-01T00:00:00Z"
            assert rotator.get(fleet.site_url("shop.test")).status_code == 200
            assert len(rotator.pool) == 2
            assert not {proxy.id for proxy in before} & {proxy.id for proxy in rotator.pool}

    def test_failing_sessions_are_left_behind(self) -> None:
        with ProxyFleet(1) as fleet:
            with ProxyRotator(proxies=[over(fleet, size=2)]) as rotator:
                before = {proxy.id for proxy in rotator.pool}
                for proxy in rotator.pool:
                    proxy.health_status = HealthStatus.UNHEALTHY
                assert rotator.get(fleet.site_url("shop.test")).status_code == 200
                assert not before & {proxy.id for proxy in rotator.pool}


class TestPresets:
    @pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
    def test_each_makes_proxies(self, preset: Any) -> None:
        values = {name: "x1" for name in preset.needs if name.lower() != "country"}
        countries = ["de"] if any(name.lower() == "country" for name in preset.needs + preset.may_have) else None
        gateway = Gateway.preset(preset.name, size=3, ttl=600, countries=countries, **{"password": "hunter2", **values})
        created = list(gateway)
        assert len({proxy.url for proxy in created}) == 3
        assert {(proxy.host, proxy.port) for proxy in created} == {(preset.host, preset.port)}
        assert preset.note
        assert not any(mark in proxy.url for proxy in created for mark in "{}[]")

    def test_grammars(self) -> None:
        (proxy,) = Gateway.preset("Oxylabs", user="me", password="pw", size=1, ttl=600, countries=["de"])
        (name,) = users([proxy])
        assert name.startswith("customer-me-cc-DE-sessid-")
        assert name.endswith("-sesstime-10")
        (proxy,) = Gateway.preset(
            "iproyal", user="me", password="pw", size=1, host="127.0.0.1", port=5, scheme="socks5"
        )
        assert (proxy.host, proxy.port, proxy.protocol) == ("127.0.0.1", 5, "socks5")
        assert proxy.password is not None
        password = proxy.password.get_secret_value()
        assert password.startswith("pw_session-")
        assert len(password) == len("pw_session-") + 8

    def test_mistakes(self) -> None:
        with pytest.raises(ValueError, match="there is no preset 'unknown'; there are brightdata"):
            Gateway.preset("unknown")
        with pytest.raises(ValueError, match="needs countries, password, user"):
            Gateway.preset("dataimpulse")
        with pytest.raises(ValueError, match=r"no \{planet\}"):
            Gateway.preset("decodo", user="u", password="p", planet="mars")
