"""Scrapy's add-on and middlewares: crawls in processes of their own, over a fleet in which half of the proxies fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from client_fleet import LOGIN, PAGES, SITE, ClientFleet, client_fleet

from proxywhirl.testing import ProxyFleet, ProxySpec

pytest.importorskip("scrapy", reason="Scrapy is not installed")
# Each crawl is a process of its own, and several are needed for some tests.
pytestmark = pytest.mark.timeout(240)

PROGRAM = Path(__file__).parents[2] / "support" / "scrapy_crawl.py"
ADDON = {"ADDONS": {"proxywhirl.scrapy.Addon": 500}}
SELECT = {"TWISTED_REACTOR": "twisted.internet.selectreactor.SelectReactor"}
ONE_AT_A_TIME = {"CONCURRENT_REQUESTS": 1}
# On a busy machine a crawl lasts for longer than a bad proxy rests by default, and would try it again.
LONG_RESTS = {"ROTATING_PROXY_BACKOFF_BASE": 36_000, "ROTATING_PROXY_BACKOFF_CAP": 36_000}


class Crawled:
    """What a crawl printed."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.returncode == 0, done.stderr
        self.log = done.stderr
        found = json.loads(done.stdout)
        self.pages: list[dict[str, Any]] = found["pages"]
        self.errors: list[dict[str, str]] = found["errors"]
        self.reason: str = found["reason"]
        self.stats: dict[str, Any] = found["stats"]
        self.pool = [SimpleNamespace(**proxy) for proxy in found["proxies"]]

    def by_number(self) -> dict[int, dict[str, Any]]:
        return {page["number"]: page for page in self.pages}


def command(task: dict[str, Any], **more: Any) -> tuple[list[str], dict[str, Any]]:
    paths = [str(PROGRAM.parent), *more.pop("paths", ())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return [sys.executable, "-W", "error::DeprecationWarning:proxywhirl", str(PROGRAM), json.dumps(task)], {
        "env": environment,
        "text": True,
        **more,
    }


def run(settings: dict[str, Any], requests: list[dict[str, Any]], **more: Any) -> Crawled:
    paths = more.pop("paths", ())
    task = {"settings": {**ADDON, "DOWNLOAD_TIMEOUT": 1.0, **settings}, "requests": requests, **more}
    arguments, options = command(task, paths=paths)
    return Crawled(subprocess.run(arguments, capture_output=True, timeout=200, check=False, **options))


def pages_of(crawl: ClientFleet, count: int = PAGES, **more: Any) -> list[dict[str, Any]]:
    return [{"url": crawl.page(), **more}] * count


def arrived(crawl: ClientFleet, found: Crawled) -> None:
    for page in found.pages:
        crawl.arrived(json.loads(page["body"]))


@pytest.mark.parametrize("more", [{}, SELECT, {"PROXYWHIRL_LATE": True}], ids=["asyncio", "select", "late"])
def test_every_page_one_at_a_time(more: dict[str, Any]) -> None:
    with client_fleet(socks=False) as crawl:
        found = run({"PROXYWHIRL_PROXIES": crawl.urls, **ONE_AT_A_TIME, **LONG_RESTS, **more}, pages_of(crawl))
        arrived(crawl, found)
        crawl.check(found.pool)
    assert found.stats["bans/status/403"] == 1
    assert (found.stats["proxies/good"], found.stats["proxies/dead"]) == (6, 4)
    assert found.stats["proxywhirl/retry/count"] == 5
    assert found.reason == "finished"
    assert all(secret not in found.log for secret in (*LOGIN, "p%40s"))


@pytest.mark.parametrize(
    "more",
    [{}, SELECT, {"PROXYWHIRL_LATE": True}, {**SELECT, "PROXYWHIRL_LATE": True}],
    ids=["asyncio", "select", "late", "select-late"],
)
def test_every_page_side_by_side(more: dict[str, Any]) -> None:
    with client_fleet(socks=False) as crawl:
        found = run({"PROXYWHIRL_PROXIES": crawl.urls, **LONG_RESTS, **more}, pages_of(crawl))
        arrived(crawl, found)
        # Sixteen at a time: as many may have begun with a proxy before the first has failed.
        crawl.check(found.pool, tries=16, connections=16)
    assert found.errors == []


def test_https_through_a_login_full_of_signs() -> None:
    with ProxyFleet([ProxySpec(auth=LOGIN), ProxySpec(auth=("müller", "pä:ß"))]) as fleet:
        urls = [fleet.site_url(SITE, "/whoami", https=https) for https in (True, True, False, False)]
        found = run({"PROXYWHIRL_PROXIES": fleet.urls, **ONE_AT_A_TIME}, [{"url": url} for url in urls])
        assert [page["status"] for page in found.pages] == [200] * 4
        assert all(proxy.total_successes == 2 for proxy in found.pool)
        # The login is not left where callbacks and logs see it.
        assert all("@" not in page["proxy"] for page in found.pages)


def test_a_project_of_scrapy_rotating_proxies_moves_by_one_line(tmp_path: Path) -> None:
    with client_fleet(socks=False) as crawl:
        listed = tmp_path / "proxies.txt"
        listed.write_text("# ours\n" + "\n".join(url.replace("http://", "") for url in crawl.urls) + "\n")
        (tmp_path / "project_settings.py").write_text(
            f"ROTATING_PROXY_LIST_PATH = {str(listed)!r}\n"
            "ROTATING_PROXY_PAGE_RETRY_TIMES = 6\n"
            "ROTATING_PROXY_BACKOFF_BASE = 36000\n"
            "ROTATING_PROXY_BACKOFF_CAP = 36000\n"
            "ROTATING_PROXY_LOGSTATS_INTERVAL = 1\n"
            "ROTATING_PROXY_BAN_POLICY = 'scrapy_crawl.Policy'\n"
            "DOWNLOADER_MIDDLEWARES = {\n"
            "    'rotating_proxies.middlewares.RotatingProxyMiddleware': 610,\n"
            "    'rotating_proxies.middlewares.BanDetectionMiddleware': 620,\n"
            "}\n"
            "DOWNLOAD_TIMEOUT = 1\n"
            "CONCURRENT_REQUESTS = 1\n"
            "ADDONS = {'proxywhirl.scrapy.Addon': 500}\n"
        )
        task = {"module": "project_settings", "requests": pages_of(crawl)}
        arguments, options = command(task, paths=[str(tmp_path)])
        found = Crawled(subprocess.run(arguments, capture_output=True, timeout=200, check=False, **options))
        arrived(crawl, found)
        crawl.check(found.pool)
        assert {"proxies/good", "proxies/dead", "proxies/unchecked", "proxies/reanimated"} <= set(found.stats)


def test_a_policy_and_a_spider_say_what_a_ban_is() -> None:
    with ProxyFleet(3) as fleet:
        captcha = {"url": fleet.site_url(SITE, "/captcha")}
        settings = {"ROTATING_PROXY_LIST": fleet.urls, **ONE_AT_A_TIME}
        unasked = run(settings, [captcha])
        by_policy = run({**settings, "ROTATING_PROXY_BAN_POLICY": "scrapy_crawl.Policy"}, [captcha])
        by_spider = run(settings, [captcha], hooks="captcha")
    assert "bans/status/200" not in unasked.stats
    for found in (by_policy, by_spider):
        # All three are tried, and the last answer is what the spider gets: there is no fourth.
        assert found.stats["bans/status/200"] == found.stats["downloader/request_count"] == 3
        assert [(page["status"], page["tried"]) for page in found.pages] == [(200, 3)]
        assert all((proxy.total_failures, proxy.requests_active) == (0, 0) for proxy in found.pool)


def test_most_proxies_to_try_and_dont_retry() -> None:
    with ProxyFleet([ProxySpec(ban_after=0) for _ in range(6)]) as fleet:
        url = fleet.site_url(SITE, "/whoami")
        requests = [
            {"url": url, "meta": {"max_proxies_to_try": 1}},
            {"url": fleet.site_url("other.test", "/whoami"), "meta": {"dont_retry": True}},
        ]
        for request in requests:
            request["meta"]["handle_httpstatus_all"] = True
        found = run({"PROXYWHIRL_PROXIES": fleet.urls, **ONE_AT_A_TIME}, requests)
    assert {number: (page["status"], page["tried"]) for number, page in found.by_number().items()} == {
        0: (403, 1),
        1: (403, 0),
    }
    assert found.stats["downloader/request_count"] == 3


def test_a_request_that_may_have_arrived_is_not_repeated() -> None:
    with ProxyFleet([ProxySpec.dead(), ProxySpec.hanging(), ProxySpec()]) as fleet:
        url = fleet.site_url(SITE, "/echo")
        posts = [{"url": url, "method": "POST", "body": str(number)} for number in range(3)]
        found = run({"PROXYWHIRL_PROXIES": fleet.urls, "RETRY_ENABLED": False, **ONE_AT_A_TIME}, posts)
        # Through the dead proxy nothing was sent; what the hanging one swallowed may be anywhere.
        assert len(found.pages) == 2
        assert [error["kind"] for error in found.errors] == ["DownloadTimeoutError"]


def test_a_request_with_a_proxy_of_its_own_is_left_alone() -> None:
    with ProxyFleet([ProxySpec(name="pool"), ProxySpec(name="own")]) as fleet:
        requests = [
            {"url": fleet.site_url(SITE, "/whoami"), "meta": {"proxy": fleet["own"].url}},
            {"url": fleet.http_url("/whoami"), "meta": {"proxy": None}},
            {"url": fleet.site_url(SITE, "/whoami")},
        ]
        found = run({"PROXYWHIRL_PROXIES": [fleet["pool"].url]}, requests)
        assert {number: json.loads(page["body"])["proxy"] for number, page in found.by_number().items()} == {
            0: "own",
            1: None,
            2: "pool",
        }
        assert found.pool[0].total_requests == 1


def test_sessions_keep_their_proxy_and_their_cookies() -> None:
    with ProxyFleet(4) as fleet:
        requests = []
        for number in range(4):
            for session in ("a", "b"):
                meta = {"proxywhirl": {"session_id": session}}
                path = f"/cookies/set?who={session}" if number == 0 else "/cookies" if number == 1 else "/redirect/1"
                requests.append({"url": fleet.site_url(SITE, path), "meta": meta})
        found = run({"PROXYWHIRL_PROXIES": fleet.urls, **ONE_AT_A_TIME}, requests)
        pages = found.by_number()
        assert len(pages) == len(requests)
        assert len({pages[number]["proxy"] for number in (0, 2, 4, 6)}) == 1, "redirects stay on it"
        assert len({pages[number]["proxy"] for number in (1, 3, 5, 7)}) == 1
        assert "a" in pages[2]["body"]
        assert "b" in pages[3]["body"]
        assert pages[2]["body"] != pages[3]["body"]


def test_each_proxy_has_a_slot_at_each_site() -> None:
    # Three: Scrapy takes turns between the sites, and the rotation between the proxies.
    with ProxyFleet(3) as fleet:
        urls = [fleet.site_url(host, "/whoami") for host in ("a.test", "b.test")] * 9
        found = run({"PROXYWHIRL_PROXIES": fleet.urls, **ONE_AT_A_TIME}, [{"url": url} for url in urls])
        assert len({page["slot"] for page in found.pages}) == 6
        late = run({"PROXYWHIRL_PROXIES": fleet.urls, "PROXYWHIRL_LATE": True}, [{"url": url} for url in urls])
        assert {page["slot"] for page in late.pages} == {"a.test", "b.test"}


def test_a_late_proxy_is_chosen_after_the_delay() -> None:
    with ProxyFleet(2) as fleet:
        settings = {"PROXYWHIRL_PROXIES": fleet.urls, "DOWNLOAD_DELAY": 0.05, "PROXYWHIRL_LATE": True}
        found = run(settings, [{"url": fleet.site_url(SITE, "/whoami")}] * 10)
        assert len(found.pages) == 10
        assert [proxy.total_successes for proxy in found.pool] == [5, 5]


@pytest.mark.parametrize("more", [{}, SELECT], ids=["asyncio", "select"])
def test_a_crawl_that_is_kept_on_disk(tmp_path: Path, more: dict[str, Any]) -> None:
    with client_fleet(socks=False) as crawl:
        settings = {"PROXYWHIRL_PROXIES": crawl.urls, "JOBDIR": str(tmp_path), **ONE_AT_A_TIME, **more}
        found = run(settings, pages_of(crawl, 40))
        assert len(found.pages) == 40
        assert found.stats["scheduler/enqueued/disk"] > 40, "requests that are tried again are kept, too"


def test_the_spider_is_closed_when_no_proxy_is_left() -> None:
    with ProxyFleet([ProxySpec.dead() for _ in range(3)]) as fleet:
        settings = {"ROTATING_PROXY_LIST": fleet.urls, "ROTATING_PROXY_CLOSE_SPIDER": True, **ONE_AT_A_TIME}
        found = run(settings, [{"url": fleet.site_url(SITE, "/whoami")}] * 50)
    assert found.reason == "no_proxies"
    assert found.pages == []
    assert found.stats["downloader/request_count"] < 50


def test_an_interrupt_ends_the_wait_for_a_proxy() -> None:
    with ProxyFleet([ProxySpec.dead()]) as fleet:
        settings = {
            **ADDON,
            "PROXYWHIRL_PROXIES": fleet.urls,
            "PROXYWHIRL_POOL_TIMEOUT": 300,
            **LONG_RESTS,
        }
        task = {"settings": settings, "requests": [{"url": fleet.site_url(SITE, "/whoami")}] * 3}
        arguments, options = command(task)
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        try:
            # The only proxy has failed, and is waited for.
            assert any("request failed through the proxy" in line for line in process.stderr)
            process.send_signal(signal.SIGINT)
            output, log = process.communicate(timeout=100)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        assert process.returncode == 0, log
        assert json.loads(output)["reason"] == "shutdown"


def test_requests_that_never_come_back_hold_no_proxy() -> None:
    with ProxyFleet(2) as fleet:
        found = run({"PROXYWHIRL_PROXIES": fleet.urls}, [{"url": fleet.site_url(SITE, "/whoami")}] * 20, lose=True)
        assert len(found.pages) == 20
        assert [proxy.requests_active for proxy in found.pool] == [0, 0]


def test_what_a_handler_cannot_do_is_said_at_the_start() -> None:
    with ProxyFleet([ProxySpec(scheme="socks5"), ProxySpec()]) as fleet:
        page = [{"url": fleet.site_url(SITE, "/whoami")}] * 4
        found = run({"PROXYWHIRL_PROXIES": fleet.urls}, page)
        assert "1 of 2 proxies are not used: no download handler of this project speaks socks5" in found.log
        assert len(found.pages) == 4
        none = run({"PROXYWHIRL_PROXIES": fleet.urls[:1]}, [])
        assert "no download handler of this project can use any of the proxies" in none.log


def test_without_proxies_the_reason_is_said() -> None:
    found = run({}, [])
    assert "no proxies are set: PROXYWHIRL_PROXIES" in found.log
    assert "PROXYWHIRL_ENABLED is off" in run({"PROXYWHIRL_ENABLED": False, "PROXYWHIRL_PROXIES": ["a.test:1"]}, []).log


def test_socks_proxies_behind_a_relay() -> None:
    from proxywhirl import Relay

    with ProxyFleet([ProxySpec(scheme="socks5", auth=LOGIN), ProxySpec(scheme="socks5")]) as fleet:
        with Relay(fleet.urls) as relay:
            urls = [fleet.site_url(SITE, "/whoami", https=https) for https in (False, True)] * 4
            found = run({"PROXYWHIRL_PROXIES": [relay.url]}, [{"url": url} for url in urls])
        assert [page["status"] for page in found.pages] == [200] * 8
        assert all(member.counters()["socks_handshakes"] for member in fleet)
