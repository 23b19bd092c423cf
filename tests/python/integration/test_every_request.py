"""What a rotator says of all its requests (headers, cookies, a base URL, ...): the same with both engines and rotators."""

from __future__ import annotations

import asyncio
import http.cookiejar
from collections.abc import Coroutine, Iterator
from typing import Any

import httpx
import pytest
from scripted_site import ScriptedSite

from proxywhirl import AsyncProxyRotator, ProxyRotator, RetryPolicy, RotatingTransport, __version__
from proxywhirl.testing import ProxyFleet

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ANSWERS = {
    "/": OK,
    "/api/items": OK,
    "/moved": b"HTTP/1.1 302 Found\r\nLocation: /\r\nSet-Cookie: hop=1\r\nContent-Length: 0\r\n\r\n",
    "/away": b"HTTP/1.1 302 Found\r\nLocation: http://other.test/\r\nContent-Length: 0\r\n\r\n",
    "/sets": b"HTTP/1.1 200 OK\r\nSet-Cookie: of_site=1\r\nContent-Length: 2\r\n\r\nok",
}
SITE = "http://shop.test"
# That httpx advises against them does not concern what they mean here.
PER_REQUEST = pytest.mark.filterwarnings("ignore:Setting per-request cookies:DeprecationWarning")


class Maker:
    """Makes rotators of one kind and engine, and calls them without ``await``."""

    def __init__(self, kind: type[Any], engine: str) -> None:
        self.is_async = kind is AsyncProxyRotator
        self._kind, self._engine = kind, engine
        self._loop = asyncio.new_event_loop()
        self._made: list[Any] = []

    def rotator(self, proxies: Any, **options: Any) -> Any:
        options.setdefault("retry_policy", RetryPolicy(max_attempts=1))
        self._made.append(self._kind(proxies=proxies, engine=self._engine, **options))
        return self._made[-1]

    def run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work) if isinstance(work, Coroutine) else work

    def close(self) -> None:
        for one in self._made:
            self.run(one.close())
        self._loop.close()


@pytest.fixture(params=[ProxyRotator, AsyncProxyRotator])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["native", "httpx"])
def make(request: pytest.FixtureRequest, kind: type[Any]) -> Iterator[Maker]:
    made = Maker(kind, request.param)
    yield made
    made.close()


@pytest.fixture
def site() -> Iterator[ScriptedSite]:
    with ScriptedSite(ANSWERS) as made:
        yield made


def fields(request: bytes) -> dict[str, str]:
    lines = request.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def names(request: bytes) -> list[str]:
    return [line.partition(":")[0] for line in request.decode().split("\r\n\r\n")[0].split("\r\n")[1:]]


def test_the_default_user_agent_names_the_package(make: Maker, site: ScriptedSite) -> None:
    make.run(make.rotator([site.url]).get(f"{SITE}/"))
    assert fields(site.asked[0])["user-agent"] == f"proxywhirl/{__version__}"
    # Where httpx has its own.
    assert names(site.asked[0]) == ["Host", "Accept", "Accept-Encoding", "Connection", "User-Agent"]


@pytest.mark.parametrize(
    ("options", "agent"),
    [
        ({"user_agent": "mine/1"}, "mine/1"),
        ({"headers": {"user-agent": "header/1"}}, "header/1"),
        ({"headers": {"User-Agent": "header/1"}, "user_agent": "mine/1"}, "header/1"),
    ],
)
def test_the_user_agent_can_be_replaced(make: Maker, site: ScriptedSite, options: dict[str, Any], agent: str) -> None:
    rotator = make.rotator([site.url], **options)
    make.run(rotator.get(f"{SITE}/"))
    make.run(rotator.get(f"{SITE}/", headers={"User-Agent": "once"}))
    assert [fields(asked)["user-agent"] for asked in site.asked] == [agent, "once"]


def test_a_client_of_the_users_keeps_its_own_user_agent(site: ScriptedSite) -> None:
    with httpx.Client(transport=RotatingTransport([site.url])) as client:
        client.get(f"{SITE}/")
    assert fields(site.asked[0])["user-agent"] == f"python-httpx/{httpx.__version__}"


def test_headers_of_the_rotator_the_session_and_the_request(make: Maker, site: ScriptedSite) -> None:
    rotator = make.rotator([site.url], headers={"X-A": "rotator", "X-B": "rotator", "X-C": "rotator"})
    session = rotator.session(headers={"x-b": "session", "X-C": "session"})
    make.run(session.get(f"{SITE}/", headers={"X-c": "request"}))
    make.run(session.get(f"{SITE}/moved"))
    make.run(rotator.get(f"{SITE}/"))
    first, moved, followed, plain = [{name: fields(a)[name] for name in ("x-a", "x-b", "x-c")} for a in site.asked]
    assert first == {"x-a": "rotator", "x-b": "session", "x-c": "request"}
    assert moved == followed == {"x-a": "rotator", "x-b": "session", "x-c": "session"}
    assert plain == {"x-a": "rotator", "x-b": "rotator", "x-c": "rotator"}


def test_a_session_replaces_the_user_agent(make: Maker, site: ScriptedSite) -> None:
    rotator = make.rotator([site.url], user_agent="rotator/1")
    make.run(rotator.session(headers={"User-Agent": "session/1"}).get(f"{SITE}/"))
    assert fields(site.asked[0])["user-agent"] == "session/1"


def jar_of(**cookies: str) -> http.cookiejar.CookieJar:
    made = httpx.Cookies(cookies)
    return made.jar


@PER_REQUEST
@pytest.mark.parametrize("given", [{"a": "1"}, [("a", "1")], httpx.Cookies({"a": "1"}), jar_of(a="1")])
def test_cookies_of_every_request(make: Maker, site: ScriptedSite, given: Any) -> None:
    rotator = make.rotator([site.url], cookies=given)
    for path in ("/sets", "/", "/moved"):
        make.run(rotator.get(f"{SITE}{path}"))
    make.run(rotator.get(f"{SITE}/", cookies={"b": "2"}))
    make.run(rotator.get(f"{SITE}/", cookies={"a": "mine"}))
    make.run(rotator.get(f"{SITE}/", headers={"Cookie": "all=mine"}))
    sent = [sorted(fields(asked)["cookie"].split("; ")) for asked in site.asked]
    # What a site sets is kept for its redirects, and no longer.
    assert sent == [["a=1"], ["a=1"], ["a=1"], ["a=1", "hop=1"], ["a=1", "b=2"], ["a=mine"], ["all=mine"]]
    if isinstance(given, (httpx.Cookies, http.cookiejar.CookieJar)):
        assert len(getattr(given, "jar", given)) == 1


def test_cookies_that_sessions_begin_with(make: Maker, site: ScriptedSite) -> None:
    rotator = make.rotator([site.url], cookies={"a": "1"})
    one, two = rotator.session(), rotator.session()
    for session in (one, one, two):
        make.run(session.get(f"{SITE}/sets"))
    sent = [sorted(fields(asked)["cookie"].split("; ")) for asked in site.asked]
    assert sent == [["a=1"], ["a=1", "of_site=1"], ["a=1"]]
    assert dict(two.cookies) == {"a": "1", "of_site": "1"}


@PER_REQUEST
def test_cookies_of_a_request_complete_a_shared_jar(make: Maker, site: ScriptedSite) -> None:
    rotator = make.rotator([site.url], cookies="shared")
    make.run(rotator.get(f"{SITE}/sets"))
    make.run(rotator.get(f"{SITE}/", cookies={"b": "2"}))
    assert sorted(fields(site.asked[1])["cookie"].split("; ")) == ["b=2", "of_site=1"]


def test_a_base_url(make: Maker, site: ScriptedSite) -> None:
    rotator = make.rotator([site.url], base_url=f"{SITE}/api")
    for url in ("items", "/items", "http://other.test/"):
        make.run(rotator.get(url))
    make.run(rotator.session().post("/items?a=b", json={}))
    targets = [asked.split(b" ")[1].decode() for asked in site.asked]
    assert targets == [f"{SITE}/api/items", f"{SITE}/api/items", "http://other.test/", f"{SITE}/api/items?a=b"]


class Bearer(httpx.Auth):
    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = "Bearer token"
        yield request


def signed(request: httpx.Request) -> httpx.Request:
    request.headers["Authorization"] = "Bearer token"
    return request


@pytest.mark.parametrize(
    ("auth", "value"),
    [(("user", "secret"), "Basic dXNlcjpzZWNyZXQ="), (Bearer(), "Bearer token"), (signed, "Bearer token")],
)
def test_auth(make: Maker, site: ScriptedSite, auth: Any, value: str) -> None:
    rotator = make.rotator([site.url], auth=auth)
    make.run(rotator.get(f"{SITE}/away"))
    make.run(rotator.get(f"{SITE}/", auth=("other", "")))
    make.run(rotator.get(f"{SITE}/", auth=None))
    sent = [fields(asked).get("authorization") for asked in site.asked]
    # Another site does not get it by a redirect.
    assert sent == [value, None, "Basic b3RoZXI6", None]


def test_event_hooks(make: Maker, site: ScriptedSite) -> None:
    seen: list[tuple[str, str]] = []

    def on_request(request: httpx.Request) -> None:
        request.headers["X-Hooked"] = "1"
        seen.append(("request", request.url.path))

    def on_response(response: httpx.Response) -> None:
        seen.append(("response", response.request.url.path))

    async def on_request_async(request: httpx.Request) -> None:
        on_request(request)

    async def on_response_async(response: httpx.Response) -> None:
        on_response(response)

    hooks: dict[str, Any] = {"request": [on_request], "response": [on_response]}
    if make.is_async:
        hooks = {"request": [on_request_async], "response": [on_response_async]}
    rotator = make.rotator([site.url], event_hooks=hooks)
    make.run(rotator.get(f"{SITE}/moved"))
    assert seen == [("request", "/moved"), ("response", "/moved"), ("request", "/"), ("response", "/")]
    assert [fields(asked)["x-hooked"] for asked in site.asked] == ["1", "1"]


def test_follow_redirects(make: Maker, site: ScriptedSite) -> None:
    rotator = make.rotator([site.url], follow_redirects=False)
    assert make.run(rotator.get(f"{SITE}/moved")).status_code == 302
    assert make.run(rotator.get(f"{SITE}/moved", follow_redirects=True)).status_code == 200
    assert make.run(make.rotator([site.url]).get(f"{SITE}/moved")).status_code == 200
    by_settings = make.rotator([site.url], config={"follow_redirects": False})
    assert make.run(by_settings.get(f"{SITE}/moved")).status_code == 302
    wins = make.rotator([site.url], config={"follow_redirects": False}, follow_redirects=True)
    assert make.run(wins.get(f"{SITE}/moved")).status_code == 200


@pytest.mark.parametrize(
    ("options", "bounds"),
    [
        ({}, {"connect": 30, "read": 30, "write": 30, "pool": 30}),
        ({"config": {"timeout": 17}}, {"connect": 17, "read": 17, "write": 17, "pool": 30}),
        ({"config": {"timeout": 7}, "timeout": 22.5}, dict.fromkeys(("connect", "read", "write", "pool"), 22.5)),
        ({"timeout": None}, dict.fromkeys(("connect", "read", "write", "pool"))),
        ({"timeout": httpx.Timeout(29, read=21)}, {"connect": 29, "read": 21, "write": 29, "pool": 29}),
    ],
)
def test_timeouts(make: Maker, site: ScriptedSite, options: dict[str, Any], bounds: dict[str, Any]) -> None:
    rotator = make.rotator([site.url], **options)
    response = make.run(rotator.get(f"{SITE}/"))
    assert response.request.extensions["timeout"] == bounds
    assert make.run(rotator.get(f"{SITE}/", timeout=23)).request.extensions["timeout"]["read"] == 23


def test_a_timeout_of_the_rotator_ends_a_request(make: Maker) -> None:
    with ProxyFleet(1) as fleet:
        rotator = make.rotator(fleet.urls, timeout=httpx.Timeout(30, read=0.2))
        with pytest.raises(Exception, match="failed after 1 attempt") as caught:
            make.run(rotator.get(fleet.site_url("shop.test", "/delay/20000")))
        assert isinstance(caught.value.__cause__, httpx.ReadTimeout)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"auth": 3}, TypeError),
        ({"auth": ("user",)}, TypeError),
        ({"cookies": 3}, TypeError),
        ({"cookies": "jar"}, ValueError),
        ({"event_hooks": {"answer": []}}, ValueError),
        ({"base_url": 3}, TypeError),
        ({"cert": 3}, TypeError),
        ({"cert": "/nowhere/there.pem"}, FileNotFoundError),
        ({"cert": ("/nowhere/there.pem", "/nowhere/key.pem")}, FileNotFoundError),
    ],
)
def test_what_is_refused(kind: type[Any], options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=f"{next(iter(options))}|certificate"):
        kind(proxies=["http://proxy.test:8080"], **options)


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "http://user:secret@shop.test\0/"},
        {"base_url": "http://user:secret@shop.test:port/"},
        {"base_url": ["secret"]},
        {"auth": "secret"},
        {"cookies": ["secret"]},
        {"cert": "-----BEGIN PRIVATE KEY-----secret"},
        {"cert": ("/nowhere/secret.pem", "/nowhere/secret.key", "secret")},
        {"cert": ("/nowhere/secret.pem", "/nowhere/secret.key", "secret", "secret")},
    ],
)
def test_refusals_quote_nothing(kind: type[Any], options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, OSError)) as caught:
        kind(proxies=["http://proxy.test:8080"], **options)
    error: BaseException | None = caught.value
    while error is not None:
        assert "secret" not in f"{error} {error!r} {vars(error)}"
        error = error.__cause__ or error.__context__
