"""Rotators over a fleet of real proxies with every kind of behaviour."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections import Counter
from typing import Any

import httpx
import pytest

from proxywhirl import (
    AsyncProxyRotator,
    Outcome,
    ProxyAuthenticationError,
    ProxyConnectionError,
    ProxyPool,
    ProxyPoolEmptyError,
    ProxyRotator,
    RetryPolicy,
    SelectionContext,
    SessionNotFoundError,
)
from proxywhirl.exceptions import ProxyWhirlError
from proxywhirl.testing import ProxyFleet, ProxySpec
from proxywhirl.transport import AsyncRotatingTransport, RotatingTransport

QUICK = RetryPolicy(base_delay=0.01, max_backoff_delay=0.05)
SCHEMES = ("http", "https", "socks4", "socks5")


def rotator_over(fleet: ProxyFleet, **options: Any) -> ProxyRotator:
    options.setdefault("retry_policy", QUICK)
    return ProxyRotator(proxies=fleet.urls, verify=fleet.ca_file(), **options)


def async_rotator_over(fleet: ProxyFleet, **options: Any) -> AsyncProxyRotator:
    options.setdefault("retry_policy", QUICK)
    return AsyncProxyRotator(proxies=fleet.urls, verify=fleet.ca_file(), **options)


def served_by(response: Any) -> str:
    name: str = response.json()["proxy"]
    return name


def assert_at_rest(pool: Any) -> None:
    for proxy in pool:
        assert proxy.requests_active == 0
        assert proxy.requests_started == proxy.requests_completed


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("auth", [None, ("n@me", "p@ss/w:rd")])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_protocol(scheme: str, auth: Any, secure: bool) -> None:
    with ProxyFleet([ProxySpec(name="only", scheme=scheme, auth=auth)]) as fleet:
        url = fleet.site_url("shop.test", "/whoami", https=secure)
        with rotator_over(fleet) as rotator:
            for _ in range(3):
                assert served_by(rotator.get(url)) == "only"
            assert_at_rest(rotator.pool)

        async def no_blocking() -> None:
            async with async_rotator_over(fleet) as rotator:
                answers = await asyncio.gather(*(rotator.get(url) for _ in range(10)))
                assert {served_by(answer) for answer in answers} == {"only"}
                assert_at_rest(rotator.pool)

        asyncio.run(no_blocking())


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_wrong_password(scheme: str, secure: bool) -> None:
    with ProxyFleet([ProxySpec(name="locked", scheme=scheme, auth=("name", "right"))]) as fleet:
        wrong = fleet["locked"].url.replace("name", "stranger").replace("right", "topsecret")
        url = fleet.site_url("shop.test", https=secure)
        with ProxyRotator(proxies=[wrong], verify=fleet.ca_file(), retry_policy=QUICK) as rotator:
            with pytest.raises(ProxyAuthenticationError) as caught:
                rotator.get(url)
            assert "topsecret" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
            assert_at_rest(rotator.pool)


def test_failover_is_immediate_and_spares_the_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def pause(*arguments: Any) -> float:
        raise AssertionError("the policy's pause of one second is not for moving on")

    monkeypatch.setattr(RetryPolicy, "calculate_delay", pause)
    specs = [ProxySpec.dead(), ProxySpec(name="good"), ProxySpec(name="bad", fault="502"), ProxySpec(fault="reset")]
    policy = RetryPolicy(max_attempts=4)
    with ProxyFleet(specs) as fleet, ProxyRotator(proxies=fleet.urls, retry_policy=policy) as rotator:
        for _ in range(8):
            response = rotator.get(fleet.site_url("shop.test", "/whoami"))
            assert served_by(response) == "good"
        good = rotator.pool.get_proxy_by_url(fleet["good"].url)
        assert good is not None
        assert good.total_successes == 8
        facts = response.extensions["proxywhirl"]
        assert facts["outcome"] is Outcome.SUCCESS
        assert facts["proxy_id"] == good.id
        assert facts["elapsed_ms"] > 0
        assert_at_rest(rotator.pool)


def test_a_hanging_proxy_costs_its_timeout_once() -> None:
    with ProxyFleet([ProxySpec.hanging(), ProxySpec(name="good")]) as fleet, rotator_over(fleet) as rotator:
        response = rotator.get(fleet.site_url("shop.test", "/whoami"), timeout=2.0)
        assert (served_by(response), response.extensions["proxywhirl"]["attempts"]) == ("good", 2)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("secure", [False, True])
def test_hanging_in_every_protocol(scheme: str, secure: bool) -> None:
    specs = [ProxySpec(scheme=scheme, fault="hang"), ProxySpec(name="good")]
    with ProxyFleet(specs) as fleet:
        url = fleet.site_url("shop.test", "/whoami", https=secure)
        with rotator_over(fleet) as rotator:
            assert served_by(rotator.get(url, timeout=2.0)) == "good"

        async def no_blocking() -> None:
            async with async_rotator_over(fleet) as rotator:
                assert served_by(await rotator.get(url, timeout=2.0)) == "good"

        asyncio.run(no_blocking())


def test_a_body_cut_short_is_asked_for_again() -> None:
    specs = [ProxySpec(name="cutter", fault="cut", cut_after=100), ProxySpec(name="good")]
    with ProxyFleet(specs) as fleet, rotator_over(fleet) as rotator:
        for _ in range(4):
            assert len(rotator.get(fleet.site_url("shop.test", "/bytes/5000")).content) == 5000
        assert rotator.pool.proxies[0].total_failures > 0
        assert_at_rest(rotator.pool)


def test_a_streamed_body_cut_short_is_the_readers_and_the_proxys_to_know() -> None:
    with ProxyFleet([ProxySpec(fault="cut", cut_after=100)]) as fleet, rotator_over(fleet) as rotator:
        with rotator.stream("GET", fleet.site_url("shop.test", "/bytes/5000")) as response:
            assert rotator.pool.proxies[0].requests_active == 1
            with pytest.raises(httpx.RemoteProtocolError):
                response.read()
        assert response.extensions["proxywhirl"]["outcome"] is Outcome.TARGET_FAULT
        only = rotator.pool.proxies[0]
        assert (only.total_requests, only.total_successes, only.total_failures) == (1, 0, 0), (
            "there is no other to tell"
        )
        assert_at_rest(rotator.pool)


def test_a_streamed_body_cut_short_is_the_proxys_where_the_site_answers_through_another() -> None:
    specs = [ProxySpec(name="cutter", fault="cut", cut_after=100), ProxySpec(name="good")]
    with ProxyFleet(specs) as fleet, rotator_over(fleet) as rotator:
        cutter, good = rotator.pool
        page = fleet.site_url("shop.test", "/bytes/5000")
        with rotator.stream("GET", page) as response, pytest.raises(httpx.RemoteProtocolError):
            response.read()
        assert (cutter.total_failures, good.total_requests) == (0, 0)
        assert len(rotator.get(page).content) == 5000
        assert (cutter.total_requests, cutter.total_failures, good.total_successes) == (1, 1, 1)


def test_streams_hold_their_lease_until_they_are_closed() -> None:
    with ProxyFleet(1) as fleet, rotator_over(fleet) as rotator:
        (proxy,) = rotator.pool
        with rotator.stream("GET", fleet.site_url("shop.test", "/bytes/3000000")) as response:
            assert proxy.requests_active == 1
            next(response.iter_raw(1000))
        assert (proxy.requests_active, proxy.total_successes) == (0, 1)
        with rotator.stream("GET", fleet.site_url("shop.test", "/bytes/3000000")) as response:
            assert len(response.read()) == 3_000_000
        assert (proxy.requests_active, proxy.total_successes) == (0, 2)


def test_post_is_sent_once() -> None:
    specs = [ProxySpec(name="cutter", fault="reset"), ProxySpec(name="good")]
    with ProxyFleet(specs) as fleet, rotator_over(fleet) as rotator:
        url = fleet.site_url("shop.test", "/echo")
        with pytest.raises(ProxyConnectionError, match="failed after 1 attempt"):
            rotator.post(url, content=b"order")
        assert fleet.origin.counters()["requests"] == 0
        assert rotator.post(url, content=b"order").json()["body"] == "order"
        assert fleet.origin.counters()["requests"] == 1


def test_post_moves_on_while_nothing_was_sent() -> None:
    with ProxyFleet([ProxySpec.dead(), ProxySpec(name="good")]) as fleet, rotator_over(fleet) as rotator:
        assert rotator.post(fleet.site_url("shop.test", "/echo"), json={"a": 1}).status_code == 200


def test_httpx_arguments_mean_what_they_mean() -> None:
    with ProxyFleet(2) as fleet, rotator_over(fleet) as rotator:
        url = fleet.site_url("shop.test", "/echo")
        echo = rotator.put(url, params={"q": "x y"}, headers={"X-Mine": "1"}, json={"a": [1]}, auth=("u", "p")).json()
        assert echo["method"] == "PUT"
        assert any(query in str(echo) for query in ("q=x+y", "q=x%20y")), echo
        headers = {name.lower(): value for name, value in dict(echo["headers"]).items()}
        assert headers["x-mine"] == "1"
        assert headers["authorization"].startswith("Basic ")
        assert b"upload" in rotator.post(url, files={"file": b"upload"}).content
        for method in ("get", "post", "put", "patch", "delete", "head", "options"):
            assert getattr(rotator, method)(url).status_code == 200
        assert rotator.get(fleet.site_url("shop.test", "/gzip")).status_code == 200
        with rotator.session() as session:
            session.get(fleet.site_url("shop.test", "/cookies/set?flavour=oat"))
            assert "oat" in session.get(fleet.site_url("shop.test", "/cookies")).text


def test_redirects_stay_on_one_proxy() -> None:
    with ProxyFleet(5) as fleet, rotator_over(fleet) as rotator:
        names = set()
        for _ in range(5):
            response = rotator.get(fleet.site_url("shop.test", "/redirect/3"))
            used = {hop.extensions["proxywhirl"]["proxy_id"] for hop in (*response.history, response)}
            assert len(response.history) == 3
            assert len(used) == 1
            names.add(served_by(response))
        assert len(names) == 5, "each request of its own goes to the next"
        response = rotator.get(fleet.site_url("shop.test", "/redirect/1"), follow_redirects=False)
        assert response.status_code == 302


def test_sessions_stick_under_any_strategy() -> None:
    with ProxyFleet(6) as fleet:
        url = fleet.site_url("shop.test", "/whoami")
        for strategy in ("round-robin", "random", "session", "least-used"):
            with rotator_over(fleet, strategy=strategy) as rotator:
                with rotator.session("user-session-123", timeout_seconds=60) as session:
                    first = served_by(session.request("GET", url))
                    assert {served_by(session.get(url)) for _ in range(8)} == {first}
                    assert session.proxy is rotator.pool.get_proxy_by_url(fleet[first].url)
                    bound = rotator.get_session("user-session-123")
                    assert str(bound.proxy_id) == str(session.proxy.id)
                with pytest.raises(SessionNotFoundError):
                    rotator.get_session("user-session-123")
                assert len({served_by(rotator.get(url, session_id="abc")) for _ in range(6)}) == 1
                with rotator.session() as session:
                    session.get(url)
                with rotator.session("kept", keep=True) as session:
                    kept = served_by(session.get(url))
                rotator.set_strategy("random")
                assert served_by(rotator.get(url, session_id="kept")) == kept, "a swap keeps sessions"
                assert_at_rest(rotator.pool)


def test_a_session_moves_when_its_proxy_dies() -> None:
    with ProxyFleet(3) as fleet, rotator_over(fleet) as rotator:
        url = fleet.site_url("shop.test", "/whoami")
        with rotator.session("sticky") as session:
            first = served_by(session.get(url))
            fleet[first].fail()
            later = {served_by(session.get(url)) for _ in range(5)}
            assert len(later) == 1
            assert later != {first}


def test_wishes_of_one_request() -> None:
    with ProxyFleet(4) as fleet:
        places = [("DE", {"fast"}), ("US", {"fast"}), ("DE", {"slow"}), ("US", set())]
        proxies = [
            {"url": url, "country_code": country, "tags": tags} for url, (country, tags) in zip(fleet.urls, places)
        ]
        url = fleet.site_url("shop.test", "/whoami")
        names = [proxy.name for proxy in fleet]
        with ProxyRotator(proxies=proxies, strategy="geo-targeted", retry_policy=QUICK) as rotator:
            assert {served_by(rotator.get(url, country="DE")) for _ in range(6)} == {names[0], names[2]}
            assert {served_by(rotator.get(url, tags={"fast"})) for _ in range(6)} == {names[0], names[1]}
            assert {served_by(rotator.get(url, country="US", tags=["fast"])) for _ in range(3)} == {names[1]}
            context = SelectionContext(exclude_proxy_ids={rotator.pool.proxies[0].id})
            assert names[0] not in {served_by(rotator.get(url, context=context)) for _ in range(6)}
            with pytest.raises(ProxyPoolEmptyError):
                rotator.get(url, tags={"unknown-tag"})
            with pytest.raises(TypeError):
                rotator.get(url, tags="fast")


def test_hot_swap_under_load() -> None:
    with ProxyFleet(4) as fleet, rotator_over(fleet) as rotator:
        url = fleet.site_url("shop.test", "/whoami")
        stop = threading.Event()
        failures: list[BaseException] = []
        served = Counter[str]()

        def work() -> None:
            while not stop.is_set():
                try:
                    served[served_by(rotator.get(url))] += 1
                except Exception as error:
                    failures.append(error)
                    return

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        taken = []
        for name in ("random", "least-used", "performance-based", "round-robin") * 3:
            began = time.monotonic()
            rotator.set_strategy(name)
            taken.append(time.monotonic() - began)
            time.sleep(0.02)
        for _ in range(5):
            extra = rotator.pool.get_proxy_by_url(fleet.urls[3])
            assert extra is not None
            rotator.remove_proxy(extra.id)
            time.sleep(0.02)
            rotator.add_proxy(fleet.urls[3])
            time.sleep(0.02)
        stop.set()
        for thread in threads:
            thread.join(10)
        assert failures == []
        # The quickest: what the machine does besides is not the swap's.
        assert min(taken) < 0.1
        assert rotator.strategy_version == 12
        assert sum(served.values()) > 50
        assert_at_rest(rotator.pool)


def test_round_robin_is_exact() -> None:
    with ProxyFleet(7) as fleet, rotator_over(fleet) as rotator:
        served = Counter(served_by(rotator.get(fleet.site_url("shop.test", "/whoami"))) for _ in range(70))
        assert set(served.values()) == {10}


def test_many_tasks_on_one_rotator() -> None:
    async def main(fleet: ProxyFleet) -> None:
        async with async_rotator_over(fleet) as rotator:
            url = fleet.site_url("shop.test", "/whoami")
            answers = await asyncio.gather(*(rotator.get(url) for _ in range(400)))
            assert all(answer.status_code == 200 for answer in answers)
            assert sum(proxy.total_requests for proxy in rotator.pool) >= 400
            assert_at_rest(rotator.pool)

    with ProxyFleet(10) as fleet:
        asyncio.run(main(fleet))


def test_cancellation_gives_everything_back() -> None:
    async def main(fleet: ProxyFleet) -> None:
        async with async_rotator_over(fleet) as rotator:
            for path, secure in (("/delay/5000", False), ("/delay/5000", True), ("/drip?bytes=500&ms=10", False)):
                url = fleet.site_url("shop.test", path, https=secure)
                tasks = [asyncio.create_task(rotator.get(url)) for _ in range(12)]
                await asyncio.sleep(0.15)
                for task in tasks:
                    task.cancel()
                done = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(result, asyncio.CancelledError) for result in done)
            for proxy in rotator.pool:
                assert proxy.requests_active == proxy.requests_started == proxy.total_requests == 0
            # What was cancelled holds no connection: the pools have room for everyone.
            answers = await asyncio.gather(*(rotator.get(fleet.site_url("shop.test", "/whoami")) for _ in range(60)))
            assert len(answers) == 60

    with ProxyFleet([ProxySpec(), ProxySpec(scheme="socks5"), ProxySpec(scheme="https")]) as fleet:
        asyncio.run(main(fleet))


@pytest.mark.parametrize("secure", [False, True])
def test_cancellation_at_every_moment(secure: bool) -> None:
    """Cancel at ever later moments, so that every step of an exchange is hit: no connection stays busy for ever."""

    async def main(fleet: ProxyFleet) -> None:
        async with async_rotator_over(fleet, config={"pool_connections": 4}) as rotator:
            url = fleet.site_url("shop.test", "/delay/10", https=secure)
            for moment in range(240):
                try:
                    await asyncio.wait_for(rotator.get(url), 0.0005 * (moment % 60))
                except asyncio.TimeoutError:
                    continue
            assert all(proxy.total_failures == 0 for proxy in rotator.pool)
            assert_at_rest(rotator.pool)
            answers = await asyncio.gather(*(rotator.get(url, timeout=5) for _ in range(48)))
            assert {answer.status_code for answer in answers} == {200}

    with ProxyFleet([ProxySpec(scheme=scheme) for scheme in SCHEMES]) as fleet:
        asyncio.run(main(fleet))


def test_cancelling_a_stream() -> None:
    async def main(fleet: ProxyFleet) -> None:
        async with async_rotator_over(fleet) as rotator:

            async def read() -> None:
                async with rotator.stream("GET", fleet.site_url("shop.test", "/drip?bytes=1000&ms=20")) as response:
                    async for _ in response.aiter_raw():
                        pass

            task = asyncio.create_task(read())
            await asyncio.sleep(0.2)
            assert sum(proxy.requests_active for proxy in rotator.pool) == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for proxy in rotator.pool:
                assert proxy.requests_active == proxy.total_failures == 0

    with ProxyFleet(1) as fleet:
        asyncio.run(main(fleet))


def test_one_rotator_in_several_event_loops() -> None:
    with ProxyFleet(2) as fleet:
        rotator = async_rotator_over(fleet)
        url = fleet.site_url("shop.test", "/whoami", https=True)
        for _ in range(3):
            answers = asyncio.run(_several(rotator, url))
            assert len(answers) == 6
        assert fleet.origin.counters()["active_connections"] >= 0
        gc.collect()
        asyncio.run(rotator.aclose())


async def _several(rotator: AsyncProxyRotator, url: str) -> list[httpx.Response]:
    return list(await asyncio.gather(*(rotator.get(url) for _ in range(6))))


def test_leases_for_other_clients() -> None:
    with ProxyFleet(2) as fleet, rotator_over(fleet) as rotator:
        url = fleet.site_url("shop.test", "/whoami")
        with rotator.lease(url, session_id="abc") as lease, httpx.Client(proxy=lease.url) as client:
            first = served_by(client.get(url))
        with rotator.lease(url, session_id="abc") as lease:
            assert lease.url == fleet[first].url
        with rotator.lease(exclude=[rotator.pool.proxies[0].id]) as lease:
            assert lease.id == rotator.pool.proxies[1].id
        with pytest.raises(ProxyPoolEmptyError):
            rotator.lease(exclude=[proxy.id for proxy in rotator.pool])
        assert_at_rest(rotator.pool)

        async def no_blocking() -> None:
            async with async_rotator_over(fleet) as other:
                async with other.lease(url) as lease:
                    assert lease.proxy.requests_active == 1
                lease = await other.lease(url)
                lease.release()
                assert_at_rest(other.pool)

        asyncio.run(no_blocking())


@pytest.mark.parametrize("read_bodies", [False, True])
def test_transports_on_their_own(read_bodies: bool) -> None:
    with ProxyFleet([ProxySpec.dead(), ProxySpec(name="a"), ProxySpec(name="b")]) as fleet:
        url = fleet.site_url("shop.test", "/whoami", https=True)
        pool = ProxyPool(proxies=fleet.urls)
        options: dict[str, Any] = {"verify": fleet.ca_file(), "retry_policy": QUICK, "read_bodies": read_bodies}
        with httpx.Client(transport=RotatingTransport(pool, **options)) as client:
            assert {served_by(client.get(url)) for _ in range(6)} == {"a", "b"}
            wishes = {"proxywhirl": {"session_id": "x"}}
            assert len({served_by(client.get(url, extensions=wishes)) for _ in range(6)}) == 1
            assert wishes == {"proxywhirl": {"session_id": "x"}}, "the caller's dictionary is left alone"
            with pytest.raises(TypeError):
                client.get(url, extensions={"proxywhirl": {"colour": "red"}})
            request = client.build_request("GET", url)
            assert {served_by(client.send(request)) for _ in range(6)} == {"a", "b"}, (
                "sending it again is another request"
            )
        assert_at_rest(pool)

        async def no_blocking() -> None:
            transport = AsyncRotatingTransport(fleet.urls, strategy="random", **options)
            async with httpx.AsyncClient(transport=transport) as client:
                for _ in range(6):
                    assert served_by(await client.get(url)) in ("a", "b")
            assert_at_rest(transport.pool)

        asyncio.run(no_blocking())


def test_httpx2() -> None:
    httpx2 = pytest.importorskip("httpx2")
    with ProxyFleet([ProxySpec.dead(), ProxySpec(name="a")]) as fleet:
        url = fleet.site_url("shop.test", "/whoami", https=True)
        with rotator_over(fleet, http="httpx2") as rotator:
            response = rotator.get(url)
            assert isinstance(response, httpx2.Response)
            assert served_by(response) == "a"
            with rotator.stream("GET", url) as streamed:
                assert served_by(httpx2.Response(200, content=streamed.read())) == "a"
            with pytest.raises(httpx2.UnsupportedProtocol):
                rotator.get("ftp://shop.test/")


def test_faults_of_the_request_are_httpxs() -> None:
    with ProxyFleet(1) as fleet, rotator_over(fleet) as rotator:
        with pytest.raises(httpx.UnsupportedProtocol):
            rotator.get("ftp://shop.test/")
        with pytest.raises(httpx.UnsupportedProtocol):
            rotator.get("/no-host")
        with pytest.raises(httpx.InvalidURL):
            rotator.get("http://shop.test:port/")
        # No Punycode: httpx lets the error of idna pass.
        with pytest.raises(httpx.InvalidURL):
            rotator.get("http://xn--a/")
        with pytest.raises(httpx.InvalidURL), rotator.stream("GET", "http://xn--a/"):
            pass
        with pytest.raises(httpx.TooManyRedirects):
            rotator.get(fleet.site_url("shop.test", "/redirect/50"))
        with pytest.raises(ZeroDivisionError):
            rotator.post(fleet.site_url("shop.test", "/echo"), content=(b"x" * (1 // 0) for _ in "a"))
        assert rotator.pool.proxies[0].total_failures == 0
        assert_at_rest(rotator.pool)


async def test_a_host_that_is_no_name_is_httpxs_error_in_async_code_too() -> None:
    with ProxyFleet(1) as fleet:
        async with AsyncProxyRotator(proxies=fleet.urls) as rotator:
            with pytest.raises(httpx.InvalidURL):
                await rotator.get("http://xn--a/")
            with pytest.raises(httpx.InvalidURL):
                async with rotator.stream("GET", "http://xn--a/"):
                    pass


def test_an_untrusted_certificate() -> None:
    with ProxyFleet(2) as fleet, ProxyRotator(proxies=fleet.urls, retry_policy=QUICK) as rotator:
        with pytest.raises(ProxyConnectionError, match=r"failed after 3 attempts.*[Cc]ertificate"):
            rotator.get(fleet.site_url("shop.test", https=True))
        # The site's fault, or ours; either way the proxies did what they were asked.
        assert all(proxy.total_failures == 0 for proxy in rotator.pool)
        assert_at_rest(rotator.pool)
    with ProxyFleet(1) as fleet, ProxyRotator(proxies=fleet.urls, verify=False) as rotator:
        assert rotator.get(fleet.site_url("shop.test", https=True)).status_code == 200


def test_many_proxies_bounded_connections() -> None:
    with ProxyFleet(60) as fleet:
        transport = RotatingTransport(fleet.urls, max_proxies=10, retry_policy=QUICK)
        with httpx.Client(transport=transport) as client:
            served = Counter(served_by(client.get(fleet.site_url("shop.test", "/whoami"))) for _ in range(180))
            assert set(served.values()) == {3}
            assert len(transport.carrier.routes) == 10


def test_a_route_is_not_closed_under_a_request() -> None:
    with ProxyFleet(4) as fleet:
        transport = RotatingTransport(fleet.urls, max_proxies=1, retry_policy=QUICK)
        with httpx.Client(transport=transport) as client:
            with client.stream("GET", fleet.site_url("shop.test", "/bytes/3000000")) as response:
                for _ in range(8):
                    client.get(fleet.site_url("shop.test", "/whoami"))
                assert len(response.read()) == 3_000_000


def test_dropped_rotators_leave_nothing(recwarn: pytest.WarningsRecorder) -> None:
    with ProxyFleet(2) as fleet:
        url = fleet.site_url("shop.test", "/whoami")
        threads = threading.active_count()
        for _ in range(50):
            rotator = rotator_over(fleet)
            rotator.get(url)
        del rotator
        gc.collect()
        assert threading.active_count() == threads
        deadline = time.monotonic() + 60
        while any(counters["active_connections"] for counters in fleet.counters().values()):
            assert time.monotonic() < deadline, fleet.counters()
            time.sleep(0.02)
    assert [str(warning.message) for warning in recwarn if warning.category is ResourceWarning] == []


def test_no_credential_in_any_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    specs = [ProxySpec(auth=("user", "topsecret")), ProxySpec.dead(auth=("user", "topsecret"))]
    with ProxyFleet(specs) as fleet, rotator_over(fleet) as rotator:
        for secure in (False, True):
            for _ in range(3):
                rotator.get(fleet.site_url("shop.test", https=secure))
        assert any(record.name == "proxywhirl.rotation" for record in caplog.records)
        ours = [record for record in caplog.records if record.name.startswith("proxywhirl")]
        assert all("topsecret" not in f"{record.getMessage()} {record.__dict__}" for record in ours)


def test_dynamic_timeout() -> None:
    with ProxyFleet([ProxySpec(name="learned")]) as fleet:
        with rotator_over(fleet, config={"dynamic_timeout": True, "timeout": 30}) as rotator:
            url = fleet.site_url("shop.test", "/delay/2600")
            rotator.pool.proxies[0].average_response_time_ms = 1.0
            with pytest.raises(ProxyConnectionError):
                rotator.get(url, retry_policy=RetryPolicy(max_attempts=1))
            assert rotator.get(url, timeout=10).status_code == 200


def test_the_total_budget() -> None:
    with ProxyFleet([ProxySpec.hanging() for _ in range(4)]) as fleet, rotator_over(fleet) as rotator:
        began = time.monotonic()
        with pytest.raises(ProxyConnectionError, match="Request timeout"):
            rotator.get(fleet.site_url("shop.test"), retry_policy=RetryPolicy(timeout=0.5, max_attempts=10))
        # The attempts would take ten times the budget, and each hangs for half a minute.
        assert 0.4 < time.monotonic() - began < 20
        assert_at_rest(rotator.pool)


def test_requests_and_sessions_demand_a_protocol() -> None:
    specs = [ProxySpec(name="web"), ProxySpec(name="socks", scheme="socks5"), ProxySpec(name="old", scheme="socks4")]

    async def several(fleet: ProxyFleet, url: str) -> set[str]:
        async with AsyncProxyRotator(proxies=fleet.urls) as rotator:
            return {served_by(await rotator.get(url, protocol=["socks4", "socks5"])) for _ in range(4)}

    with ProxyFleet(specs) as fleet, ProxyRotator(proxies=fleet.urls) as rotator:
        url = fleet.site_url("shop.test", "/whoami")
        assert {served_by(rotator.get(url, protocol="socks5")) for _ in range(4)} == {"socks"}
        assert {served_by(rotator.get(url, protocol={"http", "https"})) for _ in range(4)} == {"web"}
        assert {served_by(rotator.get(url)) for _ in range(6)} == {"web", "socks", "old"}
        assert asyncio.run(several(fleet, url)) == {"socks", "old"}
        with httpx.Client(transport=RotatingTransport(rotator)) as client:
            assert served_by(client.get(url, extensions={"proxywhirl": {"protocol": "socks4"}})) == "old"
        fleet["socks"].fail("refuse")
        with pytest.raises(ProxyWhirlError):
            rotator.get(url, protocol="socks5")
        assert {proxy.total_failures for proxy in rotator.pool if proxy.protocol != "socks5"} == {0}
