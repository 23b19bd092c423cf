"""`proxywhirl.testing`: the fleet as its users see it."""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from proxywhirl.testing import Drift, Flap, LogNormal, ProxyFleet, ProxySpec

LOGIN = ("us er", "p@ss:w/rd")

# httpx leaves the socket of a refused SOCKS handshake to the garbage collector.
httpx_leaks = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def fleet() -> Iterator[ProxyFleet]:
    specs = [
        ProxySpec(name="http"),
        ProxySpec(name="login", auth=LOGIN),
        ProxySpec(name="https", scheme="https", auth=LOGIN),
        ProxySpec(name="socks5", scheme="socks5"),
        ProxySpec(name="socks5-login", scheme="socks5", auth=LOGIN),
    ]
    with ProxyFleet(specs) as fleet:
        yield fleet


def client(fleet: ProxyFleet, key: int | str, **options: Any) -> httpx.Client:
    context = fleet.ssl_context()
    proxy = httpx.Proxy(fleet[key].url, ssl_context=context if fleet[key].scheme == "https" else None)
    return httpx.Client(proxy=proxy, verify=context, timeout=5, trust_env=False, **options)


@pytest.mark.parametrize("name", ["http", "login", "https", "socks5", "socks5-login"])
@pytest.mark.parametrize("https", [False, True])
def test_every_protocol_resolves_names_and_names_the_proxy(fleet: ProxyFleet, name: str, https: bool) -> None:
    with client(fleet, name) as http:
        seen = http.get(fleet.site_url("shop.test", "whoami", https=https)).json()
        by_address = fleet.https_url("/whoami") if https else fleet.http_url("/whoami")
        assert http.get(by_address).json()["proxy"] == name
    assert (seen["proxy"], seen["index"]) == (name, fleet[name].index)
    assert (seen["site"], seen["tls"]) == ("shop.test", https)


def test_certificates_satisfy_strict_clients(fleet: ProxyFleet) -> None:
    context = ssl.create_default_context(cafile=fleet.ca_file())
    # The default from Python 3.13 on.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with httpx.Client(proxy=fleet["http"].url, verify=context, trust_env=False) as http:
        for host in ("a.test", "deep.er.test", "origin.test"):
            assert http.get(fleet.site_url(host, https=True)).status_code == 200
        assert http.get(fleet.https_url()).status_code == 200


def test_direct_callers_have_no_proxy(fleet: ProxyFleet) -> None:
    with httpx.Client(verify=fleet.ssl_context(), trust_env=False) as http:
        assert http.get(fleet.http_url("/whoami")).json()["proxy"] is None
        assert http.get(fleet.https_url("whoami")).json()["proxy"] is None
    assert fleet.origin.counters()["direct"] >= 2


def test_the_origins_pages(fleet: ProxyFleet) -> None:
    with client(fleet, "http", base_url="http://shop.test", follow_redirects=True) as http:
        assert "<h1>" in http.get("/").text
        assert http.get("/json").json()["numbers"] == [1, 2, 3]
        assert "captcha" in http.get("/captcha").text
        assert http.get("/bytes/1000").content == bytes(i % 256 for i in range(1000))
        assert len(http.get("/bytes/2000000").content) == 2_000_000
        assert len(http.get("/stream/5").text.splitlines()) == 5
        assert http.get("/drip?bytes=4&ms=40").content == b"\x00\x01\x02\x03"
        assert http.get("/gzip").json()["site"] == http.get("/deflate").json()["site"]
        assert http.get("/cookies/set?a=1&b=2").json() == {"cookies": {"a": "1", "b": "2"}}
        assert len(http.get("/redirect/3").history) == 3
        assert http.get("/redirect-to", params={"url": "/json"}).url.path == "/json"
        for code in (204, 304, 404, 500):
            assert http.get(f"/status/{code}").status_code == code
        assert http.head("/bytes/10").headers["content-length"] == "10"
        assert http.get("/nowhere").status_code == 404
        start = time.monotonic()
        http.get("/delay/50")
        assert time.monotonic() - start >= 0.05


def test_echo(fleet: ProxyFleet) -> None:
    with client(fleet, "http") as http:
        url = fleet.site_url("shop.test", "/echo/x?a=b%20c")
        seen = http.put(url, content=b"\xff\x00", headers={"X-Y": "z"}).json()
        assert (seen["method"], seen["path"], seen["args"]) == ("PUT", "/echo/x", {"a": "b c"})
        assert (seen["headers"]["x-y"], seen["headers"]["host"]) == ("z", "shop.test")
        assert (seen["body"], seen["body_base64"]) == (None, "/wA=")
        assert http.post(url, content=iter([b"in ", b"chunks"])).json()["body"] == "in chunks"


@httpx_leaks
def test_a_wrong_login_is_refused_and_counted(fleet: ProxyFleet) -> None:
    before = fleet["login"].counters()["auth_failures"]
    with httpx.Client(proxy=fleet["login"].bare_url, trust_env=False) as http:
        response = http.get("http://shop.test/")
        assert response.status_code == 407
        assert response.headers["proxy-authenticate"].startswith("Basic")
        with pytest.raises(httpx.ProxyError, match="407"):
            http.get("https://shop.test/")
    assert fleet["login"].counters()["auth_failures"] == before + 2
    socks = httpx.Client(proxy=fleet["socks5-login"].bare_url, trust_env=False)
    with socks as http, pytest.raises(httpx.ProxyError):
        http.get("http://shop.test/")


@httpx_leaks
def test_the_world_is_out_of_reach(fleet: ProxyFleet) -> None:
    with client(fleet, "http") as http:
        assert http.get("http://example.com/").status_code == 502
        with pytest.raises(httpx.ProxyError, match="502"):
            http.get("https://example.com/")
    with client(fleet, "socks5") as http, pytest.raises(httpx.ProxyError):
        http.get("http://example.com/")


def test_more_names_can_lead_to_the_origin() -> None:
    with ProxyFleet(1, hosts=["www.Example.com"]) as fleet, client(fleet, 0) as http:
        assert http.get("https://www.example.com/whoami").json()["site"] == "www.example.com"


def test_ipv6() -> None:
    specs = [ProxySpec(), ProxySpec(scheme="https"), ProxySpec(scheme="socks5")]
    with ProxyFleet(specs, ipv6=True) as fleet:
        for index in range(3):
            assert fleet[index].host == "::1"
            with client(fleet, index) as http:
                for https in (False, True):
                    seen = http.get(fleet.site_url("a.test", "/whoami", https=https)).json()
                    assert seen["index"] == index
                    assert seen["peer"].startswith("[::1]:")


def test_outages_heal() -> None:
    with ProxyFleet(1) as fleet:
        proxy = fleet[0]
        with client(fleet, 0) as http:
            for https in (False, True):
                url = fleet.site_url(https=https)
                assert http.get(url).status_code == 200
                for fault, error in (
                    ("refuse", httpx.ConnectError),
                    ("reset", (httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)),
                    ("cut", (httpx.RemoteProtocolError, httpx.ConnectError, httpx.ReadError)),
                    ("hang", httpx.TimeoutException),
                ):
                    proxy.fail(fault)
                    # The first request may find a connection that the outage broke.
                    with pytest.raises(httpx.TransportError):
                        http.get(url, timeout=0.3)
                    with client(fleet, 0) as fresh, pytest.raises(error):
                        fresh.get(url, timeout=0.3)
                    proxy.heal()
                    with client(fleet, 0) as fresh:
                        assert fresh.get(url).status_code == 200
                proxy.fail("503")
                if https:
                    with pytest.raises(httpx.ProxyError, match="503"):
                        http.get(url)
                else:
                    assert http.get(url).status_code == 503
                proxy.heal()
        faults = proxy.counters()["faults"]
        assert {"reset", "cut", "hang", "503"} <= set(faults)


def test_bans_work_inside_tunnels_and_are_lifted() -> None:
    with ProxyFleet([ProxySpec(ban_after={"A.test": 2})]) as fleet, client(fleet, 0) as http:
        codes = [http.get(fleet.site_url("a.test", https=True)).status_code for _ in range(4)]
        assert codes == [200, 200, 403, 403]
        assert "captcha" in http.get(fleet.site_url("a.test")).text
        assert http.get(fleet.site_url("b.test")).status_code == 200
        assert fleet[0].counters()["faults"] == {"ban": 3}
        fleet[0].heal()
        assert http.get(fleet.site_url("a.test")).status_code == 200


def test_rate_limits_say_when_to_come_back() -> None:
    with ProxyFleet([ProxySpec(rate_limit=(1, 60))]) as fleet, client(fleet, 0) as http:
        assert http.get(fleet.site_url()).status_code == 200
        response = http.get(fleet.site_url())
        assert response.status_code == 429
        assert 50 <= int(response.headers["retry-after"]) <= 60


def test_behaviour_changes_and_goes_back() -> None:
    spec = ProxySpec(latency=1.0, fail_first=1, fail_with="504")
    with ProxyFleet([spec]) as fleet, client(fleet, 0) as http:
        codes = [http.get(fleet.site_url()).status_code for _ in range(2)]
        fleet[0].restore()
        codes.append(http.get(fleet.site_url()).status_code)
        fleet[0].set_behaviour(flap=(1, 1), fail_with="503", fail_first=0)
        codes += [http.get(fleet.site_url()).status_code for _ in range(4)]
        assert codes == [504, 200, 504, 200, 503, 200, 503]
        assert fleet[0].behaviour.latency == 1.0
        with pytest.raises(TypeError, match=r"^scheme: "):
            fleet[0].set_behaviour(scheme="https")


def test_latency() -> None:
    for latency in (30.0, (30, 40), Drift(30, 60, 10), LogNormal(60, 0.01)):
        with ProxyFleet([ProxySpec(latency=latency)]) as fleet, client(fleet, 0) as http:
            start = time.monotonic()
            http.get(fleet.site_url())
            assert time.monotonic() - start >= 0.03


def test_a_flap_by_time_closes_the_port() -> None:
    spec = ProxySpec(flap=Flap(200, 200, "ms"), fail_with="refuse")
    with ProxyFleet([spec]) as fleet:
        address = (fleet[0].host, fleet[0].port)
        states: list[bool] = []
        # Until it has been seen open, closed and open again, however late the machine looks.
        deadline = time.monotonic() + 60
        while sum(a != b for a, b in zip(states, states[1:])) < 2:
            assert time.monotonic() < deadline
            try:
                socket.create_connection(address, timeout=1).close()
                states.append(True)
            except ConnectionRefusedError:
                states.append(False)
            time.sleep(0.005)
        assert {True, False} == set(states)


def test_much_goes_through_a_tunnel_in_both_directions(fleet: ProxyFleet) -> None:
    body = os.urandom(3_000_000)
    for name in ("http", "https", "socks5"):
        with client(fleet, name) as http:
            seen = http.post(fleet.site_url("a.test", "/echo", https=True), content=body).json()
            assert base64.b64decode(seen["body_base64"]) == body


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("scheme", "ftp", ValueError),
        ("scheme", 1, TypeError),
        ("name", 1, TypeError),
        ("name", "a\nb", ValueError),
        ("auth", "us", TypeError),
        ("auth", ("user",), ValueError),
        ("auth", 5, TypeError),
        ("auth", ("", "x"), ValueError),
        ("auth", ("a:b", "x"), ValueError),
        ("latency", -1, ValueError),
        ("latency", "10", TypeError),
        ("latency", (5, 1), ValueError),
        ("latency", (1, 2, 3), ValueError),
        ("latency", Drift(1, 2, 0), ValueError),
        ("fault", "burn", ValueError),
        ("fault", 502, TypeError),
        ("fail_with", "200", ValueError),
        ("fail_rate", 1.1, ValueError),
        ("fail_rate", float("nan"), ValueError),
        ("fail_first", -1, ValueError),
        ("cut_after", "x", TypeError),
        ("ban_after", -1, ValueError),
        ("ban_after", {1: 1}, TypeError),
        ("ban_after", {"": 1}, ValueError),
        ("ban_for", -1.0, ValueError),
        ("rate_limit", (1, 0), ValueError),
        ("rate_limit", (1, 2, 3), ValueError),
        ("flap", (0, 0), ValueError),
        ("flap", Flap(1, 1, "years"), ValueError),
        ("flap", 3, TypeError),
        ("country", 1, TypeError),
        ("tags", "one", TypeError),
    ],
)
def test_wrong_fields_are_named(field: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^{field}: "):
        ProxySpec(**{field: value})


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("proxies", -1, ValueError),
        ("proxies", ["http://x"], TypeError),
        ("seed", -1, ValueError),
        ("seed", "x", TypeError),
        ("workers", 0, ValueError),
        ("hosts", "example.com", TypeError),
    ],
)
def test_wrong_arguments_are_named(field: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^{field}: "):
        ProxyFleet(**{field: value})


def test_a_host_that_is_none_is_named_at_start() -> None:
    with pytest.raises(ValueError, match=r"^hosts: "):
        ProxyFleet(1, hosts=["a b"]).start()


def test_credentials_are_not_shown(fleet: ProxyFleet) -> None:
    assert "p%40ss%3Aw%2Frd" in fleet["login"].url
    for shown in (
        repr(fleet["login"]),
        repr(fleet),
        repr(fleet["login"].spec),
        repr(fleet.proxies),
    ):
        assert "us er" not in shown
        assert "ss:w" not in shown
        assert "p%40" not in shown


def test_the_demo_fleet_has_every_kind() -> None:
    fleet = ProxyFleet.demo()
    with fleet:
        assert len(fleet.urls) == len(fleet) == 24
        kinds = {tag for proxy in fleet for tag in proxy.tags}
        assert kinds == {"fast", "slow", "flaky", "hanging", "dead", "login"}


def test_life_and_death() -> None:
    fleet = ProxyFleet(2)
    assert not fleet.running
    with pytest.raises(RuntimeError, match="not started"):
        _ = fleet.urls
    with fleet:
        assert fleet.start() is fleet
        path = fleet.ca_file()
        assert fleet.ca_file() == path
        ssl.create_default_context(cafile=path)
        with client(fleet, 0) as http:
            http.get(fleet.site_url())
        ports = [proxy.port for proxy in fleet]
    fleet.stop()
    assert not fleet.running
    assert not os.path.exists(path)
    assert fleet.counters()["proxy-0"]["requests"] == 1
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
    with pytest.raises(RuntimeError, match="stopped"):
        fleet.start()
    with pytest.raises(RuntimeError, match="stopped"):
        fleet[0].heal()
    with pytest.raises(RuntimeError, match="stopped"):
        fleet.ca_file()


def native_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def test_forgotten_fleets_leave_neither_threads_nor_files() -> None:
    gc.collect()
    before = native_threads()
    files = [ProxyFleet(1, workers=2).start().ca_file() for _ in range(10)]
    gc.collect()
    deadline = time.monotonic() + 60
    while native_threads() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert native_threads() <= before
    assert not any(map(os.path.exists, files))


def test_async_use_does_not_block_the_loop() -> None:
    async def main() -> list[str]:
        async with ProxyFleet(3) as fleet:

            async def fetch(index: int) -> str:
                proxy = fleet[index].url
                async with httpx.AsyncClient(proxy=proxy, trust_env=False) as http:
                    response = await http.get(fleet.site_url("a.test", "/whoami"))
                    return str(response.json()["proxy"])

            return list(await asyncio.gather(*(fetch(index) for index in range(3))))

    assert asyncio.run(main()) == ["proxy-0", "proxy-1", "proxy-2"]


# From 3.12 on, Python warns of a fork beside threads: which is the case to be tested.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_ends_and_leaves_the_parent_alone() -> None:
    with ProxyFleet(1) as fleet:
        path = fleet.ca_file()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert not fleet.running
                fleet.counters()
                try:
                    fleet[0].fail()
                except RuntimeError:
                    code = 0
                fleet.stop()
                del fleet
                gc.collect()
            finally:
                os._exit(code)
        deadline = time.monotonic() + 60
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                pytest.fail("the child hangs")
            time.sleep(0.01)
        assert os.waitstatus_to_exitcode(status) == 0
        assert os.path.exists(path)
        with client(fleet, 0) as http:
            assert http.get(fleet.site_url()).status_code == 200


def test_counters_add_up_under_threads() -> None:
    with ProxyFleet(4, workers=2) as fleet:

        def work(index: int) -> None:
            with client(fleet, index % 4) as http:
                for _ in range(50):
                    assert http.get(fleet.site_url()).status_code == 200

        threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [proxy.counters()["requests"] for proxy in fleet] == [100] * 4
        assert list(fleet.origin.counters()["by_proxy"].values()) == [100] * 4


def test_importing_it_imports_no_client() -> None:
    code = "import sys, proxywhirl.testing;sys.exit(bool({'httpx', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
