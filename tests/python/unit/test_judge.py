"""How answers and failures are judged."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import sys
import urllib.error
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from proxywhirl import BanPolicy, Outcome, ProxyPool, RoundRobinStrategy
from proxywhirl._core import LONGEST_HOLD, ReportJudge, RuleJudge, StatusJudge, judge_connect, pause_of, retry_after
from proxywhirl._httpx.judge import outcome_of_error
from proxywhirl._httpx.library import flavour
from proxywhirl._httpx.rotation import Answer, Failure
from proxywhirl._native.enums import AMBIGUOUS
from proxywhirl.bans import BanPolicies

NOW = 1_700_000_000.0

judge_report = ReportJudge()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("-3", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("٣", None),
        ("9" * 5000, LONGEST_HOLD),
        ("99999999", LONGEST_HOLD),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        (formatdate(NOW + 90), 90.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_HOLD),
        ("Fri, 99 Foo 2023 00:00:00 GMT", None),
    ],
)
def test_retry_after(value: str, expected: float | None) -> None:
    assert retry_after({"Retry-After": value}, NOW) == expected
    assert retry_after([(b"retry-after", value.encode())], NOW) == expected or not value.isascii()
    if value.isascii():
        assert retry_after(httpx.Headers({"retry-after": value}), NOW) == expected


def test_a_moment_by_the_sites_own_clock() -> None:
    headers = {"Date": formatdate(5000, usegmt=True), "Retry-After": formatdate(5030, usegmt=True)}
    assert retry_after(headers) == 30.0
    assert retry_after({}) is None
    assert retry_after(None) is None


@pytest.mark.parametrize(("status", "asked"), [(429, 7.0), (503, 7.0), (200, None), (301, None), (500, None)])
def test_which_statuses_may_ask_for_a_pause(status: int, asked: float | None) -> None:
    assert pause_of(status, {"Retry-After": "7"}) == asked
    assert pause_of(status, {}) is None
    for url in ("http://a.test/", "https://a.test/"):
        _, hold, judged = judge_report(url, status, {"Retry-After": "7"})
        assert (hold, judged) == (asked, status)


def test_a_refused_connect_and_its_pause() -> None:
    assert judge_connect(429, "", {"Retry-After": "7"}) == (Outcome.RATE_LIMITED, 7.0)
    assert judge_connect(429) == (Outcome.RATE_LIMITED, None)
    assert judge_connect(503, "", {"Retry-After": "7"}) == (AMBIGUOUS, None)
    assert judge_connect(403, "Traffic limit reached") == (Outcome.PROXY_AUTH, None)
    assert judge_connect(502, "data transfer is over") == (AMBIGUOUS, None)


def answer(status: int, *, tunnel: bool = False, hold: float | None = None) -> Answer:
    return Answer(status, 1.0, None, tunnel=tunnel, retry_after=hold)


@pytest.mark.parametrize(
    ("status", "tunnel", "hold", "expected"),
    [
        (200, False, None, "success"),
        (404, False, None, "success"),
        (403, False, None, "banned"),
        (403, True, None, "banned"),
        (407, False, None, "proxy_auth"),
        (407, True, None, "success"),
        (429, True, None, "rate_limited"),
        (503, False, 3.0, "rate_limited"),
        (503, False, None, "ambiguous"),
        (503, True, None, "target_fault"),
        (500, False, None, "target_fault"),
    ],
)
def test_statuses(status: int, tunnel: bool, hold: float | None, expected: str) -> None:
    assert StatusJudge(BanPolicy()).answer(answer(status, tunnel=tunnel, hold=hold)) == expected


def test_without_rules() -> None:
    judge = StatusJudge(BanPolicy(statuses=()))
    assert judge.answer(answer(403)) is Outcome.SUCCESS
    assert judge.answer(answer(429)) is Outcome.SUCCESS
    assert judge.answer(answer(429, hold=1.0)) is Outcome.RATE_LIMITED, "it was asked for, whatever the rules"


def test_the_core_knows_the_statuses() -> None:
    assert StatusJudge(BanPolicy([])).answer(answer(403)) is Outcome.SUCCESS
    assert StatusJudge().answer(answer(403)) is Outcome.BANNED
    assert StatusJudge().answer(answer(502)) is AMBIGUOUS
    assert StatusJudge().answer(answer(502, tunnel=True)) is Outcome.TARGET_FAULT
    assert StatusJudge(None, (401,)).answer(answer(401)) is Outcome.PROXY_AUTH


def by_rules(policy: BanPolicy, status: int, text: str = "") -> Outcome:
    payload = SimpleNamespace(headers=[(b"Content-Type", b"text/html")], content=text.encode())
    judge = RuleJudge(policy, None, lambda given: httpx.Response(status, content=given.content))
    return judge.answer(Answer(status, 1.0, payload))


def test_rules_come_before_the_status() -> None:
    policy = BanPolicy(body=["captcha"], custom=lambda response: False if response.text == "welcome" else None)
    assert by_rules(policy, 200, "captcha") is Outcome.BANNED
    assert by_rules(policy, 503, "captcha") is Outcome.BANNED
    assert by_rules(policy, 429, "captcha") is Outcome.BANNED
    assert by_rules(policy, 407, "captcha") is Outcome.PROXY_AUTH, "the proxy's own page"
    assert by_rules(policy, 403, "welcome") is Outcome.SUCCESS
    assert by_rules(policy, 403) is Outcome.BANNED
    assert by_rules(policy, 200) is Outcome.SUCCESS


def test_failures() -> None:
    def judged(error: Exception, outcome: Outcome = Outcome.PROXY_DOWN) -> Outcome:
        judge = RuleJudge(BanPolicy(exceptions=[httpx.ReadError]), None, pytest.fail)
        return judge.failure(Failure(outcome, error, sent=True))

    assert judged(httpx.ReadError("")) is Outcome.BANNED
    assert judged(httpx.ReadTimeout("")) is Outcome.PROXY_DOWN
    assert judged(httpx.ReadError(""), Outcome.CLIENT_FAULT) is Outcome.CLIENT_FAULT


def named(package: str, *names: str) -> Exception:
    """An exception of a package that need not be installed: a chain of classes, the base first."""
    cls: type = Exception
    for name in names:
        cls = type(name, (cls,), {"__module__": f"{package}.exceptions"})
    error: Exception = cls("it happened")
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError(""), "proxy_down"),
        (httpx.ReadError(""), "ambiguous"),
        (httpx.PoolTimeout(""), "client_fault"),
        (httpx.TooManyRedirects(""), None),
        (named("requests", "RequestException", "ConnectionError", "ProxyError"), "proxy_down"),
        (named("requests", "RequestException", "Timeout", "ReadTimeout"), "ambiguous"),
        (named("requests", "RequestException", "InvalidURL"), "client_fault"),
        (named("requests", "RequestException", "TooManyRedirects"), None),
        (named("urllib3", "HTTPError", "PoolError", "MaxRetryError"), "ambiguous"),
        (named("urllib3", "HTTPError", "LocationValueError"), "client_fault"),
        (named("aiohttp", "ClientError", "ClientConnectionError", "ClientOSError"), "ambiguous"),
        (named("aiohttp", "ClientError", "InvalidURL"), "client_fault"),
        (named("curl_cffi", "CurlError"), "ambiguous"),
        (named("socks", "ProxyError", "SOCKS5AuthError"), "proxy_auth"),
        (named("socks", "ProxyError", "GeneralProxyError"), "proxy_down"),
        (http.client.RemoteDisconnected(), "ambiguous"),
        (urllib.error.URLError(ConnectionRefusedError()), "proxy_down"),
        (OSError("Tunnel connection failed: 407 Proxy Authentication Required"), "proxy_auth"),
        (socket.gaierror(), "proxy_down"),
        (ssl.SSLError(), "ambiguous"),
        (asyncio.TimeoutError(), "ambiguous"),
        (asyncio.CancelledError(), None),
        (KeyboardInterrupt(), None),
        (FileNotFoundError(2, "no such file"), None),
        (ValueError("a bug"), None),
    ],
)
def test_exceptions_of_any_client(error: BaseException, expected: str | None) -> None:
    assert outcome_of_error(error) == expected


def test_reports() -> None:
    assert judge_report("http://a.test/", 200)[:2] == (Outcome.SUCCESS, None)
    assert judge_report("http://a.test/", 502)[:2] == (AMBIGUOUS, None)
    assert judge_report("https://a.test/", 502)[:2] == (Outcome.TARGET_FAULT, None)
    assert judge_report(None, 429, {"Retry-After": "7"})[:2] == (Outcome.RATE_LIMITED, 7.0)
    assert judge_report(None, 403, [("Retry-After", "7")])[:2] == (Outcome.BANNED, None)
    assert judge_report(None, None, error=ConnectionResetError())[:2] == (AMBIGUOUS, None)
    assert judge_report(None, None, error=ValueError()) == (None, None, None)
    with pytest.raises(TypeError):
        judge_report(None, None)


def test_an_exception_that_stands_for_an_answer() -> None:
    request = httpx.Request("GET", "http://a.test/")
    response = httpx.Response(429, headers={"Retry-After": "4"}, request=request)
    error = httpx.HTTPStatusError("", request=request, response=response)
    assert judge_report("http://a.test/", None, error=error)[:2] == (Outcome.RATE_LIMITED, 4.0)
    assert judge_report(None, None, error=urllib.error.HTTPError("", 403, "", None, None))[:2] == ("banned", None)  # type: ignore[arg-type]


def test_reports_by_the_rules_of_a_rotator() -> None:
    asked: list[Any] = []
    policies = BanPolicies(
        BanPolicy(body=["captcha"], exceptions=[EOFError], custom=lambda response: asked.append(response)),
        {"free.test": BanPolicy(statuses=())},
    )
    judge = ReportJudge(policies, (407,))
    assert (
        judge("http://a.test/", 200, {"Content-Type": "text/html; charset=utf-16"}, "captcha".encode("utf-16"))[0]
        == "banned"
    )
    assert judge("http://a.test/", 200, None, "a CAPTCHA")[0] == "banned"
    assert judge("http://www.free.test/", 403)[0] == "success"
    assert judge("http://a.test/", None, error=EOFError())[:2] == ("banned", None)
    assert asked[1].text == "a CAPTCHA"
    assert (asked[1].status_code, asked[1].url) == (200, "http://a.test/")


def test_no_client_is_imported() -> None:
    import subprocess
    import sys

    code = (
        "import sys, proxywhirl._httpx.judge;"
        "sys.exit([name for name in ('httpx', 'requests', 'aiohttp', 'pydantic') if name in sys.modules] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_both_flavours_have_the_names_of_the_table() -> None:
    from proxywhirl._httpx.judge import _WEB

    kind = flavour("httpx")
    for name in set(_WEB) - {"InvalidURL"}:
        assert isinstance(kind.error(name, ""), Exception)


@pytest.mark.parametrize(
    ("answer", "headers", "outcome"),
    [
        (200, None, "success"),
        (403, None, "banned"),
        (429, {"Retry-After": "1.5"}, "rate_limited"),
        (502, [("Server", "shop")], "target_fault"),
        (httpx.Response(200, text="welcome"), None, "success"),
        (httpx.Response(403), None, "banned"),
    ],
)
def test_a_plain_answer_is_judged_without_python(answer: Any, headers: Any, outcome: str) -> None:
    pool = ProxyPool(name="judged", proxies=["http://10.0.0.1:80", "http://10.0.0.2:80"])
    calls: list[str] = []

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    for _ in range(2):
        # The first time modules may be loaded.
        lease = pool.lease(RoundRobinStrategy(), "https://shop.test/")
        calls.clear()
        sys.setprofile(note)
        try:
            found = lease.report(answer, headers)
        finally:
            sys.setprofile(None)
        assert found == outcome
    assert calls == []


def test_rules_that_look_inside_are_asked() -> None:
    judge = ReportJudge(BanPolicies(BanPolicy(body=["captcha"])))
    pool = ProxyPool(name="judged", proxies=["http://10.0.0.1:80", "http://10.0.0.2:80"])
    for answer, body, outcome in [(200, "a captcha", "banned"), (200, "welcome", "success"), (403, "", "banned")]:
        lease = pool.lease(RoundRobinStrategy(), "https://shop.test/", judge=judge)
        assert lease.report(answer, None, body) == outcome


def test_by_status_each_site_is_judged_without_python() -> None:
    judge = ReportJudge(BanPolicies(None, {"shop.test": BanPolicy(statuses=[404]), "deep.shop.test": {"body": ["x"]}}))
    calls: list[str] = []

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    found = []
    for url in ("https://www.shop.test/", "https://other.test/", "https://deep.shop.test/"):
        for status in (403, 404):
            pool = ProxyPool(name="judged", proxies=["http://10.0.0.1:80", "http://10.0.0.2:80"])
            lease = pool.lease(RoundRobinStrategy(), url, judge=judge)
            sys.setprofile(note)
            try:
                found.append(lease.report(status, {"Server": "x"}))
            finally:
                sys.setprofile(None)
    assert found == ["success", "banned", "banned", "success", "banned", "success"]
    # Only the rules of the last site look inside, at a body that is not there.
    assert calls == []


def test_a_number_that_is_no_status() -> None:
    pool = ProxyPool(name="judged", proxies=["http://10.0.0.1:80"])
    lease = pool.lease(RoundRobinStrategy(), "https://shop.test/")
    with pytest.raises(ValueError, match="1000 is no HTTP status"):
        lease.report(1000)
    lease.release()
