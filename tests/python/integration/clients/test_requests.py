"""Rotation in requests: the adapter and the session, over proxies that fail in every way."""

from __future__ import annotations

import gc
import os
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from client_fleet import LOGIN, PAGES, PATIENCE, SITE, client_fleet

from proxywhirl import BanPolicy, Outcome, ProxyPool, ProxyPoolEmptyError, ProxyRotator, RetryPolicy
from proxywhirl.exceptions import ProxyAuthenticationError, ProxyBannedError
from proxywhirl.testing import ProxyFleet, ProxySpec

requests = pytest.importorskip("requests")

from proxywhirl.integrations.requests import ProxyWhirlAdapter, ProxyWhirlResponse, ProxyWhirlSession  # noqa: E402

# requests leaves sockets to the garbage collector where it raises.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
QUICK = RetryPolicy(max_attempts=3, base_delay=0.01)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def fleet() -> Iterator[ProxyFleet]:
    with ProxyFleet([ProxySpec(name=name) for name in ("a", "b", "c")]) as fleet:
        yield fleet


def active(pool: Any) -> int:
    return sum(proxy.requests_active for proxy in pool)


def booked(pool: Any) -> tuple[int, int]:
    return sum(proxy.total_successes for proxy in pool), sum(proxy.total_failures for proxy in pool)


# The fleet that every client has to cope with.


@pytest.mark.parametrize("https", [False, True])
def test_every_page(https: bool) -> None:
    with client_fleet() as crawl, ProxyWhirlSession(crawl.urls) as session:
        for _ in range(PAGES):
            page = session.get(crawl.page(https=https), timeout=PATIENCE, verify=crawl.ca_file if https else True)
            crawl.arrived(page.json())
        crawl.check(session.pool)


def test_every_page_by_the_adapter_over_a_rotator() -> None:
    with client_fleet() as crawl, ProxyRotator(proxies=crawl.urls) as rotator, requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, ProxyWhirlAdapter(rotator))
        for _ in range(PAGES):
            with session.get(crawl.page(), timeout=PATIENCE, stream=True) as page:
                crawl.arrived(page.json())
        crawl.check(rotator.pool)


def test_every_page_by_several_threads() -> None:
    with client_fleet() as crawl, ProxyWhirlSession(crawl.urls) as session:
        found: list[Any] = []

        def work() -> None:
            for _ in range(PAGES // 4):
                found.append(session.get(crawl.page(), timeout=PATIENCE).json())

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one in found:
            crawl.arrived(one)
        crawl.check(session.pool, tries=4, connections=5)


# Whose proxies.


def test_proxies_of_the_user_go_before(fleet: ProxyFleet) -> None:
    with ProxyWhirlSession(fleet.urls[:2]) as session:
        own = {"http": fleet["c"].url}
        page = session.get(fleet.site_url(SITE, "/whoami"), proxies=own)
        assert (page.json()["proxy"], page.proxywhirl, booked(session.pool)) == ("c", None, (0, 0))
        session.proxies = own
        assert session.get(fleet.site_url(SITE, "/whoami")).json()["proxy"] == "c"


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_those_of_the_environment_do_not(fleet: ProxyFleet, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    # With a login: requests puts that into a header of each request that follows a redirect.
    monkeypatch.setenv(variable, f"http://other:secret@127.0.0.1:{fleet['c'].port}")
    with ProxyWhirlSession(fleet.urls[:2]) as session:
        assert session.get(fleet.site_url(SITE, "/whoami")).json()["proxy"] in ("a", "b")
        page = session.get(fleet.site_url(SITE, "/redirect/2"))
        assert page.status_code == 200
        assert "Proxy-Authorization" not in page.request.headers
        prepared = session.prepare_request(requests.Request("GET", fleet.site_url(SITE, "/whoami")))
        assert session.send(prepared).json()["proxy"] in ("a", "b")
        monkeypatch.setenv("no_proxy", "*")
        assert session.get(fleet.site_url(SITE, "/whoami")).json()["proxy"] in ("a", "b")
    assert fleet["c"].counters()["connections"] == 0


# Redirects.


def test_a_redirect_stays_on_its_proxy(fleet: ProxyFleet) -> None:
    with ProxyWhirlSession(fleet.urls) as session:
        for _ in range(6):
            page = session.get(fleet.site_url(SITE, "/redirect/3"))
            used = {hop.proxywhirl["port"] for hop in (*page.history, page)}
            assert (page.status_code, len(page.history), len(used)) == (200, 3, 1)
        # Each chain is one turn of the rotation.
        assert {proxy.total_successes for proxy in session.pool} == {8}


def test_a_redirect_from_one_scheme_to_another_stays_too(fleet: ProxyFleet) -> None:
    pool = ProxyPool(name="shared")
    for url in fleet.urls:
        pool.add_proxy(url)
    with requests.Session() as session:
        session.mount("http://", ProxyWhirlAdapter(pool))
        session.mount("https://", ProxyWhirlAdapter(pool))
        target = fleet.site_url("other.test", "/whoami", https=True)
        for _ in range(4):
            page = session.get(fleet.site_url(SITE, f"/redirect-to?url={target}"), verify=fleet.ca_file())
            assert page.json()["site"] == "other.test"
            assert page.proxywhirl["port"] == page.history[0].proxywhirl["port"]


def test_a_redirect_that_the_user_follows(fleet: ProxyFleet) -> None:
    with ProxyWhirlSession(fleet.urls) as session:
        prepared = session.prepare_request(requests.Request("GET", fleet.site_url(SITE, "/redirect/1")))
        first = session.send(prepared, allow_redirects=False)
        second = session.send(first.next)
        assert second.proxywhirl["port"] == first.proxywhirl["port"]
        # The same request once more is another one.
        again = session.send(prepared, allow_redirects=False)
        assert again.proxywhirl["port"] != first.proxywhirl["port"]
        assert pickle.loads(pickle.dumps(prepared)).hooks == {"response": []}


def test_a_redirect_goes_on_where_its_proxy_is_lost(fleet: ProxyFleet) -> None:
    with ProxyWhirlSession(fleet.urls, retry_policy=QUICK) as session:
        first = session.get(fleet.site_url(SITE, "/redirect/1"), allow_redirects=False)
        lost = next(member for member in fleet if member.port == first.proxywhirl["port"])
        lost.fail()
        second = session.send(first.next)
        assert (second.status_code, second.proxywhirl["attempts"]) == (200, 2)
        assert second.proxywhirl["port"] != lost.port


# What is said of the proxy.


def test_what_a_response_says_and_what_it_does_not() -> None:
    with ProxyFleet([ProxySpec(auth=LOGIN)]) as fleet, ProxyWhirlSession(fleet.urls) as session:
        page = session.get(fleet.site_url(SITE, "/whoami"))
        assert isinstance(page, ProxyWhirlResponse)
        (proxy,) = session.pool
        assert page.proxywhirl == {
            "proxy_id": proxy.id,
            "host": "127.0.0.1",
            "port": fleet[0].port,
            "attempts": 1,
            "outcome": Outcome.SUCCESS,
        }
        again = pickle.loads(pickle.dumps(page))
        assert (again.json(), again.proxywhirl) == (page.json(), page.proxywhirl)
        shown = f"{page!r} {vars(page)} {page.request.headers} {session.adapters!r}"
        assert LOGIN[1] not in shown
        assert "p%40s" not in shown


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("fault", ["refuse", "hang", "407", "login"])
def test_the_exception_is_that_of_the_client(scheme: str, fault: str) -> None:
    login = fault == "login"
    spec = ProxySpec(scheme=scheme, auth=LOGIN, fault=None if login else fault)
    with ProxyFleet([spec]) as fleet:
        url = fleet[0].url
        if login:
            url = f"{scheme}://someone:els%40e@127.0.0.1:{fleet[0].port}"
        with ProxyWhirlSession([url], retry_policy=QUICK) as session:
            with pytest.raises((requests.RequestException, ProxyAuthenticationError)) as caught:
                session.get(fleet.site_url(SITE, "/whoami"), timeout=0.3)
            error: BaseException | None = caught.value
            # An HTTP proxy answers a forwarded request with 407: there is no exception of the client then.
            assert isinstance(error, requests.RequestException) == (scheme == "socks5" or fault in ("refuse", "hang"))
            while error is not None:
                for secret in (LOGIN[1], "p%40s", "els@e", "els%40e"):
                    assert secret not in f"{error} {error!r}"
                error = error.__cause__ or error.__context__
        assert active(session.pool) == 0


def test_errors_where_the_client_has_none(fleet: ProxyFleet) -> None:
    with ProxyWhirlSession([]) as session, pytest.raises(ProxyPoolEmptyError):
        session.get(fleet.site_url(SITE))
    with ProxyWhirlSession(fleet.urls, raise_on_ban=True) as session, pytest.raises(ProxyBannedError):
        session.get(fleet.site_url(SITE, "/status/403"))
    with ProxyWhirlSession(fleet.urls) as session:
        assert session.get(fleet.site_url(SITE, "/status/403")).status_code == 403
        assert all(
            session.get(fleet.site_url("other.test", f"/status/{code}")).status_code == code for code in (404, 400)
        )


def test_a_request_that_is_wrong_costs_no_proxy(fleet: ProxyFleet) -> None:
    with ProxyWhirlSession(fleet.urls) as session:
        for url in ("http://", "foo://shop.test/"):
            with pytest.raises(requests.RequestException):
                session.get(url)
        with pytest.raises(ValueError, match="timeout"):
            session.get(fleet.site_url(SITE), timeout=(1, 2, 3))
        with pytest.raises(OSError, match="CA certificate"):
            session.get(fleet.site_url(SITE, https=True), verify="/nowhere/ca.pem")
        assert (booked(session.pool), active(session.pool)) == ((0, 0), 0)


# Bodies of requests.


def test_a_post_is_sent_again_only_where_nothing_arrived() -> None:
    specs = [ProxySpec.dead(name="dead"), ProxySpec(name="cuts", fault="reset"), ProxySpec(name="good")]
    with ProxyFleet(specs) as fleet, ProxyWhirlSession(fleet.urls) as session:
        # The dead one is passed by; what came of the one that cuts is not known, so that it is the last.
        with pytest.raises(requests.ConnectionError):
            session.post(fleet.site_url(SITE, "/echo"), data=b"once", timeout=PATIENCE)
        assert fleet.origin.counters()["requests"] == 0
    with ProxyFleet([ProxySpec.hanging()] * 2) as fleet, ProxyWhirlSession(fleet.urls, retry_policy=QUICK) as session:
        with pytest.raises(requests.RequestException):
            session.post(fleet.site_url(SITE, "/echo"), data=b"once", timeout=0.3)
        assert sum(member.counters()["connections"] for member in fleet) == 1
    with ProxyFleet([ProxySpec.dead()] * 2 + [ProxySpec()]) as fleet, ProxyWhirlSession(fleet.urls) as session:
        page = session.post(fleet.site_url(SITE, "/echo"), data=b"once")
        assert (page.json()["body"], page.proxywhirl["attempts"]) == ("once", 3)


def parts(begun: list[int]) -> Iterator[bytes]:
    begun.append(1)
    yield b"on"
    yield b"ce"


def test_a_generator_is_sent_where_none_of_it_was_taken() -> None:
    with ProxyFleet([ProxySpec.dead()] * 2 + [ProxySpec()]) as fleet, ProxyWhirlSession(fleet.urls) as session:
        begun: list[int] = []
        body = parts(begun)
        page = session.put(fleet.site_url(SITE, "/echo"), data=body)
        assert (page.json()["body"], begun, page.request.body) == ("once", [1], body)


@pytest.mark.parametrize("fault", ["hang", "reset"])
def test_a_generator_that_was_begun_is_not_sent_again(fault: str) -> None:
    with ProxyFleet([ProxySpec(fault=fault)] * 2) as fleet, ProxyWhirlSession(fleet.urls) as session:
        with pytest.raises(requests.RequestException):
            session.put(fleet.site_url(SITE, "/echo"), data=parts([]), timeout=0.3)
        assert sum(member.counters()["connections"] for member in fleet) == 1
        assert active(session.pool) == 0


def test_a_generator_that_was_begun_has_the_answer_that_came() -> None:
    with ProxyFleet(2) as fleet, ProxyWhirlSession(fleet.urls, retry_policy=QUICK) as session:
        page = session.put(fleet.site_url(SITE, "/status/503"), data=parts([]))
        assert (page.status_code, page.proxywhirl["attempts"]) == (503, 1)


def test_a_file_is_sent_again_from_where_it_stood(tmp_path: Any) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"--once")
    with ProxyFleet([ProxySpec(fault="reset"), ProxySpec()]) as fleet, path.open("rb") as file:
        file.seek(2)
        with ProxyWhirlSession(fleet.urls) as session:
            page = session.put(fleet.site_url(SITE, "/echo"), data=file)
        assert (page.json()["body"], page.proxywhirl["attempts"]) == ("once", 2)


def test_an_exception_of_the_users_own_blames_no_proxy(fleet: ProxyFleet) -> None:
    def broken() -> Iterator[bytes]:
        yield b"a"
        raise KeyError("mine")

    with ProxyWhirlSession(fleet.urls) as session:
        with pytest.raises(KeyError, match="mine"):
            session.put(fleet.site_url(SITE, "/echo"), data=broken())
        assert (booked(session.pool), active(session.pool)) == ((0, 0), 0)


# Bodies of answers.


def test_a_body_that_is_cut_short_is_asked_for_again() -> None:
    with ProxyFleet([ProxySpec(fault="cut"), ProxySpec(name="good")]) as fleet:
        with ProxyWhirlSession(fleet.urls) as session:
            page = session.get(fleet.site_url(SITE, "/bytes/100000"))
            assert (len(page.content), page.proxywhirl["attempts"]) == (100_000, 2)


@pytest.mark.parametrize("way", ["content", "iter_content", "iter_lines", "raw", "chunked", "close", "with", "drop"])
def test_a_stream_has_its_proxy_until_it_ends(fleet: ProxyFleet, way: str) -> None:
    with ProxyWhirlSession(fleet.urls) as session:
        path = "/stream/5" if way == "chunked" else "/bytes/100000"
        page = session.get(fleet.site_url(SITE, path), stream=True)
        assert (active(session.pool), booked(session.pool)) == (1, (0, 0))
        if way == "content":
            assert len(page.content) == 100_000
        elif way == "iter_content":
            assert sum(map(len, page.iter_content(1000))) == 100_000
        elif way == "iter_lines":
            assert list(page.iter_lines())
        elif way == "raw":
            assert len(page.raw.read(99_999)) == 99_999
            assert active(session.pool) == 1
            assert page.raw.read() is not None
        elif way == "chunked":
            assert len(list(page.iter_content(None))) > 1
        elif way == "close":
            page.close()
        elif way == "with":
            with page:
                next(page.iter_content(10))
        else:
            del page
            gc.collect()
        assert active(session.pool) == 0
        assert booked(session.pool) == (1, 0)
        assert session.get(fleet.site_url(SITE)).status_code == 200


def test_a_stream_that_is_cut_short_is_held_against_its_proxy() -> None:
    with ProxyFleet([ProxySpec(fault="cut"), ProxySpec(name="good")]) as fleet:
        with ProxyWhirlSession(fleet.urls) as session:
            page = session.get(fleet.site_url(SITE, "/bytes/100000"), stream=True)
            with pytest.raises(requests.RequestException):
                list(page.iter_content(1000))
            assert (booked(session.pool)[0], active(session.pool)) == (0, 0)


def test_a_stream_that_is_refused_by_its_head_goes_on(fleet: ProxyFleet) -> None:
    fleet["a"].set_behaviour(ban_after=0)
    with ProxyWhirlSession(fleet.urls) as session:
        for _ in range(6):
            with session.get(fleet.site_url(SITE, "/whoami"), stream=True) as page:
                assert page.json()["proxy"] in ("b", "c")
        assert fleet.origin.counters()["by_proxy"]["a"] == 1


def test_ban_rules_see_a_body_that_is_read(fleet: ProxyFleet) -> None:
    rules = BanPolicy(statuses=(), body=["captcha"])
    with ProxyWhirlSession(fleet.urls, ban_policy=rules) as session:
        assert session.get(fleet.site_url(SITE, "/captcha")).proxywhirl["attempts"] == 3
        assert booked(session.pool) == (0, 0)
    with ProxyWhirlSession(fleet.urls, ban_policy=rules) as session:
        with session.get(fleet.site_url(SITE, "/captcha"), stream=True):
            assert booked(session.pool) == (0, 0)
        assert booked(session.pool) == (1, 0)
        with session.get(fleet.site_url(SITE, "/captcha"), stream=True) as page:
            assert "captcha" in page.text
        assert booked(session.pool) == (1, 0)


# Sessions, connections, pickles.


def test_sticky_sessions_keep_their_proxies_and_cookies_apart(fleet: ProxyFleet) -> None:
    rotator = ProxyRotator(proxies=fleet.urls)
    with ProxyWhirlSession(rotator, session_id="one") as one, ProxyWhirlSession(rotator, session_id="two") as two:
        for name, session in (("1", one), ("2", two)):
            session.get(fleet.site_url(SITE, f"/cookies/set?who={name}"))
        seen = [(s.get(fleet.site_url(SITE, "/cookies")).json(), s) for s in (one, two, one, two)]
        assert ["1" in str(cookies) for cookies, _ in seen] == [True, False, True, False]
        ports = [{s.get(fleet.site_url(SITE)).proxywhirl["port"] for _ in range(5)} for s in (one, two)]
        assert [len(found) for found in ports] == [1, 1]
        assert ports[0] != ports[1]


def test_managers_are_bounded(fleet: ProxyFleet) -> None:
    adapter = ProxyWhirlAdapter(fleet.urls, max_proxies=2, pool_connections=3, pool_maxsize=4)
    with requests.Session() as session:
        session.mount("http://", adapter)
        for _ in range(9):
            assert session.get(fleet.site_url(SITE)).status_code == 200
            assert len(adapter.proxy_manager) <= 2
        manager = next(iter(adapter.proxy_manager.values()))
        assert manager.connection_pool_kw["maxsize"] == 4
    assert all(not manager.pools for manager in adapter.proxy_manager.values())


def test_it_is_pickled_without_its_sockets(fleet: ProxyFleet) -> None:
    with ProxyWhirlSession(fleet.urls, session_id="s", tags=(), max_proxies=7) as session:
        session.get(fleet.site_url(SITE, "/cookies/set?a=b"))
        again = pickle.loads(pickle.dumps(session))
        with again:
            assert "b" in str(again.get(fleet.site_url(SITE, "/cookies")).json())
            assert len(again.pool) == 3
            adapter = again.get_adapter("http://")
            assert adapter is again.get_adapter("https://")
            assert adapter._max_proxies == 7
    with ProxyRotator(proxies=fleet.urls) as rotator, pytest.raises(TypeError, match="give it a pool"):
        pickle.dumps(ProxyWhirlAdapter(rotator))


def test_sources(fleet: ProxyFleet, tmp_path: Any) -> None:
    path = tmp_path / "proxies.txt"
    path.write_text("\n".join(fleet.urls))
    for source in (path, str(path)):
        with ProxyWhirlSession(source) as session:
            assert session.get(fleet.site_url(SITE, "/whoami")).json()["proxy"] in ("a", "b", "c")
            with pickle.loads(pickle.dumps(session)) as again:
                assert len(again.pool) == 3
    with pytest.raises(TypeError, match="source"):
        ProxyWhirlSession(7)
    with ProxyRotator(proxies=fleet.urls) as rotator, pytest.raises(TypeError, match="strategy"):
        ProxyWhirlSession(rotator, strategy="random")
    with pytest.raises(TypeError):
        ProxyWhirlSession(fleet.urls, sessionid="misspelled")


def test_wishes(fleet: ProxyFleet) -> None:
    pool = ProxyPool(name="labelled")
    for country, url in zip(("DE", "FR", "DE"), fleet.urls):
        pool.add_proxy({"url": url, "country_code": country})
    with ProxyWhirlSession(pool, country="FR") as session:
        assert {session.get(fleet.site_url(SITE, "/whoami")).json()["proxy"] for _ in range(4)} == {"b"}


def test_the_time_of_the_policy_bounds_each_attempt() -> None:
    policy = RetryPolicy(max_attempts=5, base_delay=0.01, timeout=0.5)
    with ProxyFleet([ProxySpec.hanging()] * 2) as fleet, ProxyWhirlSession(fleet.urls, retry_policy=policy) as session:
        with pytest.raises(requests.Timeout):
            session.get(fleet.site_url(SITE))
        with pytest.raises(requests.Timeout):
            session.get(fleet.site_url(SITE), timeout=(30, 30))


def test_proxies_with_tls(fleet: ProxyFleet) -> None:
    del fleet
    with ProxyFleet([ProxySpec(scheme="https", auth=LOGIN)]) as secure, ProxyWhirlSession(secure.urls) as session:
        for https in (False, True):
            page = session.get(secure.site_url(SITE, "/whoami", https=https), verify=secure.ca_file())
            assert page.json()["site"] == SITE


def test_a_rotating_gateway_gets_a_new_connection_after_a_ban() -> None:
    from proxywhirl.gateways import Gateway

    with ProxyFleet([ProxySpec(name="gw", ban_after=3, ban_for=0.05)]) as fleet:
        with ProxyWhirlSession([Gateway(fleet["gw"].url)], retry_policy=QUICK) as session:
            for _ in range(3):
                session.get(fleet.site_url(SITE, "/whoami"))
            assert fleet["gw"].counters()["connections"] == 1
            session.get(fleet.site_url(SITE, "/whoami"))
            session.get(fleet.site_url("other.test", "/whoami"))
        assert fleet["gw"].counters()["connections"] >= 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_has_connections_of_its_own(fleet: ProxyFleet) -> None:
    with ProxyWhirlSession(fleet.urls[:1]) as session:
        page = fleet.site_url(SITE, "/whoami")
        assert session.get(page).status_code == 200
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if session.get(page, timeout=5).status_code == 200 else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert session.get(page).status_code == 200
        assert fleet["a"].counters()["connections"] == 2
