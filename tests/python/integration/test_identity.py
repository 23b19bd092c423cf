"""Whose cookies, headers and connections a request uses, with both rotators."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import time
import weakref
from collections.abc import Coroutine, Iterator
from typing import Any

import httpx
import pytest

from proxywhirl import AsyncProxyRotator, Proxy, ProxyAuthenticationError, ProxyRotator, RetryPolicy
from proxywhirl._httpx.cookies import PerProxy
from proxywhirl._httpx.library import flavour
from proxywhirl.rotator._identity import Identities
from proxywhirl.testing import ProxyFleet, ProxySpec
from proxywhirl.transport import RotatingTransport

QUICK = RetryPolicy(base_delay=0.01, max_backoff_delay=0.05)
SIGNED = "Basic c2lnbjpvcmRlcg=="


class Client:
    """A rotator of either kind, used without ``await``."""

    def __init__(self, kind: type[Any], loop: asyncio.AbstractEventLoop, *args: Any, **options: Any) -> None:
        options.setdefault("retry_policy", QUICK)
        self._loop = loop
        self.rotator = kind(*args, **options)
        self.over(self.rotator)

    def over(self, user: Any) -> Any:
        self._user = user
        return self

    def run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work) if isinstance(work, Coroutine) else work

    def request(self, method: str, url: str, user: Any = None, **options: Any) -> httpx.Response:
        made: httpx.Response = self.run((self.rotator if user is None else user).request(method, url, **options))
        return made

    def get(self, url: str, user: Any = None, **options: Any) -> httpx.Response:
        return self.request("GET", url, user, **options)

    def stream(self, url: str, user: Any = None) -> int:
        opened = (self.rotator if user is None else user).stream("GET", url)
        if hasattr(opened, "__enter__"):
            with opened as response:
                response.read()
                return int(response.status_code)

        async def read() -> int:
            async with opened as response:
                await response.aread()
                return int(response.status_code)

        return int(self.run(read()))

    def close(self, user: Any = None) -> None:
        self.run((self.rotator if user is None else user).close())


@pytest.fixture(params=[ProxyRotator, AsyncProxyRotator])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes a client over the proxies of a fleet."""
    loop = asyncio.new_event_loop()
    made: list[Client] = []

    def make(fleet: ProxyFleet, **options: Any) -> Client:
        made.append(Client(request.param, loop, proxies=fleet.urls, verify=fleet.ca_file(), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
    loop.close()


@pytest.fixture
def fleet() -> Iterator[ProxyFleet]:
    with ProxyFleet([ProxySpec(name="a"), ProxySpec(name="b")]) as made:
        yield made


def cookies(response: httpx.Response) -> dict[str, str]:
    found: dict[str, str] = response.json()["cookies"]
    return found


@pytest.mark.parametrize("https", [False, True])
def test_sessions_do_not_see_each_others_cookies(client: Any, fleet: ProxyFleet, https: bool) -> None:
    c = client(fleet)
    setting, seen = (
        fleet.site_url("shop.test", path, https=https) for path in ("/cookies/set?login=alice", "/cookies")
    )
    one, two = c.rotator.session("customer-1"), c.rotator.session("customer-2")
    c.get(setting, one, follow_redirects=True)
    assert cookies(c.get(seen, one)) == {"login": "alice"}
    assert cookies(c.get(seen, two)) == {}
    assert cookies(c.get(seen)) == {}
    assert cookies(c.get(seen, session_id="customer-1")) == {"login": "alice"}
    # Another site does not get them either, as with any jar.
    assert cookies(c.get(fleet.site_url("news.test", "/cookies", https=https), one)) == {}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_no_verb_keeps_cookies_without_a_session(client: Any, fleet: ProxyFleet, method: str) -> None:
    c = client(fleet)
    c.request(method, fleet.site_url("shop.test", "/cookies/set?tracker=1"))
    c.request(method, fleet.site_url("shop.test", "/cookies/set?tracker=1"), session_id="s")
    c.stream(fleet.site_url("shop.test", "/cookies/set?tracker=1"))
    assert cookies(c.get(fleet.site_url("shop.test", "/cookies"))) == {}
    assert cookies(c.get(fleet.site_url("shop.test", "/cookies"), session_id="s")) == {"tracker": "1"}


def test_streams_of_a_session_take_part(client: Any, fleet: ProxyFleet) -> None:
    c = client(fleet)
    session = c.rotator.session()
    c.stream(fleet.site_url("shop.test", "/cookies/set?flavour=oat"), session)
    assert cookies(c.get(fleet.site_url("shop.test", "/cookies"), session)) == {"flavour": "oat"}


def test_without_a_session_the_redirects_of_one_request_share_cookies(client: Any, fleet: ProxyFleet) -> None:
    c = client(fleet)
    # The page that sets the cookie redirects to the one that shows them.
    shown = c.get(fleet.site_url("shop.test", "/cookies/set?step=1"), follow_redirects=True)
    assert shown.history
    assert cookies(shown) == {"step": "1"}
    assert cookies(c.get(fleet.site_url("shop.test", "/cookies"))) == {}


def test_without_a_session_no_cookie_follows_to_another_proxy(client: Any) -> None:
    # The first proxy is banned between the page that sets the cookie and the one that shows them.
    with ProxyFleet([ProxySpec(name="a", ban_after={"shop.test": 1}), ProxySpec(name="b")]) as fleet:
        c = client(fleet)
        shown = c.get(fleet.site_url("shop.test", "/cookies/set?step=1"), follow_redirects=True)
        assert shown.history
        assert shown.extensions["proxywhirl"]["proxy_id"] != shown.history[0].extensions["proxywhirl"]["proxy_id"]
        assert cookies(shown) == {}


def test_cookies_of_one_request_are_merged_into_those_of_the_session(client: Any, fleet: ProxyFleet) -> None:
    c = client(fleet)
    session = c.rotator.session()
    seen = fleet.site_url("shop.test", "/cookies")
    c.get(fleet.site_url("shop.test", "/cookies/set?kept=1"), session)
    with pytest.warns(DeprecationWarning, match="cookies"):
        both = c.get(seen, session, cookies={"own": "2"})
    assert cookies(both) == {"kept": "1", "own": "2"}
    with pytest.warns(DeprecationWarning, match="cookies"):
        own = c.get(seen, session, cookies={"kept": "mine"})
    assert cookies(own) == {"kept": "mine"}
    assert cookies(c.get(seen, session, headers={"Cookie": "only=3"})) == {"only": "3"}
    assert cookies(c.get(seen, session)) == {"kept": "1"}


def test_cookies_may_be_put_into_a_session(client: Any, fleet: ProxyFleet) -> None:
    c = client(fleet)
    session = c.rotator.session()
    session.cookies.set("given", "1", domain="shop.test")
    assert cookies(c.get(fleet.site_url("shop.test", "/cookies"), session)) == {"given": "1"}
    assert cookies(c.get(fleet.site_url("news.test", "/cookies"), session)) == {}


def test_a_jar_shared_by_all(client: Any, fleet: ProxyFleet) -> None:
    c = client(fleet, cookies="shared")
    c.get(fleet.site_url("shop.test", "/cookies/set?all=1"))
    # Round-robin: the next one goes through the other proxy.
    assert [cookies(c.get(fleet.site_url("shop.test", "/cookies"))) for _ in range(3)] == [{"all": "1"}] * 3
    assert cookies(c.get(fleet.site_url("shop.test", "/cookies"), session_id="own")) == {}


def test_a_jar_for_each_proxy(client: Any, fleet: ProxyFleet) -> None:
    c = client(fleet, cookies="proxy")
    setting = fleet.site_url("shop.test", "/cookies/set?mark=")
    c.get(setting + "first")
    c.get(setting + "second")
    seen = [cookies(c.get(fleet.site_url("shop.test", "/cookies")))["mark"] for _ in range(4)]
    assert seen == ["first", "second"] * 2
    store = c.rotator._transport.cookies
    assert isinstance(store, PerProxy)
    c.run(c.rotator.remove_proxy(next(iter(c.rotator.pool)).id))
    assert len(store._jars) == 1


def test_the_attempts_of_one_request_wear_the_cookies_of_their_proxy(client: Any) -> None:
    specs = [ProxySpec(name="a", ban_after={"shop.test": 2}), ProxySpec(name="b")]
    with ProxyFleet(specs) as fleet:
        c = client(fleet, cookies="proxy")
        c.get(fleet.site_url("shop.test", "/cookies/set?mark=a"))
        c.get(fleet.site_url("news.test", "/cookies/set?mark=b"))
        # The first proxy is banned by now: the request goes through it and then through the other one.
        shown = c.get(fleet.site_url("shop.test", "/cookies"))
        assert shown.extensions["proxywhirl"]["attempts"] == 2
        assert cookies(shown) == {}
        assert "cookie" not in shown.request.headers


@pytest.mark.parametrize(("on_move", "left"), [("keep", {"login": "alice"}), ("drop", {})])
@pytest.mark.parametrize("by", ["removed", "dead"])
def test_a_session_that_moves(client: Any, fleet: ProxyFleet, on_move: str, left: dict[str, str], by: str) -> None:
    c = client(fleet)
    session = c.rotator.session(on_move=on_move, headers={"X-Of": "session"})
    c.get(fleet.site_url("shop.test", "/cookies/set?login=alice"), session)
    proxy = session.proxy
    if by == "removed":
        c.run(c.rotator.remove_proxy(proxy.id))
    else:
        next(one for one in fleet if one.port == proxy.port).fail()
    assert cookies(c.get(fleet.site_url("shop.test", "/cookies"), session)) == left
    assert session.proxy.id != proxy.id
    assert c.get(fleet.site_url("shop.test", "/echo"), session).json()["headers"]["x-of"] == "session"


def test_headers_of_a_session(client: Any, fleet: ProxyFleet) -> None:
    c = client(fleet)
    echo = fleet.site_url("shop.test", "/echo")
    one, two = c.rotator.session(headers={"User-Agent": "one", "X-A": "1"}), c.rotator.session()
    sent = c.get(echo, one, headers={"X-A": "2"}).json()["headers"]
    assert (sent["user-agent"], sent["x-a"]) == ("one", "2")
    assert c.get(echo, one).json()["headers"]["x-a"] == "1"
    one.headers["X-B"] = "3"
    assert c.get(echo, one).json()["headers"]["x-b"] == "3"
    for other in (two, None):
        headers = c.get(echo, other).json()["headers"]
        assert "x-a" not in headers
        assert headers["user-agent"] != "one"


def test_what_a_session_owned_ends_with_it(client: Any, fleet: ProxyFleet) -> None:
    c = client(fleet)
    session = c.rotator.session("again", headers={"X-A": "1"})
    c.get(fleet.site_url("shop.test", "/cookies/set?login=alice"), session)
    c.close(session)
    assert len(c.rotator._sessions.identities) == 0
    session = c.rotator.session("again")
    assert cookies(c.get(fleet.site_url("shop.test", "/cookies"), session)) == {}
    assert "x-a" not in c.get(fleet.site_url("shop.test", "/echo"), session).json()["headers"]


def test_a_session_that_has_run_out_loses_its_cookies_and_keeps_its_headers(client: Any, fleet: ProxyFleet) -> None:
    c = client(fleet)
    session = c.rotator.session("short", timeout_seconds=1, headers={"X-A": "1"})
    c.get(fleet.site_url("shop.test", "/cookies/set?login=alice"), session)
    while c.rotator._chooser.sessions.get_session("short") is not None:
        time.sleep(0.05)
    assert cookies(c.get(fleet.site_url("shop.test", "/cookies"), session)) == {}
    assert c.get(fleet.site_url("shop.test", "/echo"), session).json()["headers"]["x-a"] == "1"


def test_a_session_can_be_saved_and_goes_on_with_its_proxy(client: Any, fleet: ProxyFleet) -> None:
    c = client(fleet)
    session = c.rotator.session("kept", headers={"X-A": "1"}, on_move="drop")
    c.get(fleet.site_url("shop.test", "/whoami"))
    c.get(fleet.site_url("shop.test", "/cookies/set?login=alice"), session)
    proxy = session.proxy
    saved = json.loads(json.dumps(session.export()))
    c.close(session)
    again = c.rotator.session(restore=saved)
    assert again.session_id == "kept"
    assert cookies(c.get(fleet.site_url("shop.test", "/cookies"), again)) == {"login": "alice"}
    assert again.proxy == proxy
    assert again.headers["x-a"] == "1"
    assert c.rotator._sessions.identities.of("kept").on_move == "drop"
    # A rotator that has other proxies goes on too, elsewhere.
    other = client(fleet)
    moved = other.rotator.session(restore=saved, on_move="keep")
    assert moved.proxy is None
    other.get(fleet.site_url("shop.test", "/whoami"), moved)
    assert moved.proxy is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_move": "lose"},
        {"restore": {"session_id": "x"}},
        {"restore": {"session_id": "x", "headers": [1], "cookies": []}},
        {"restore": {"session_id": "x", "headers": [], "cookies": [{"name": "a"}]}},
        {"restore": {"session_id": "x", "headers": [], "cookies": [], "on_move": "lose"}},
        {"session_id": "no good"},
    ],
)
def test_wrong_arguments_of_a_session(client: Any, fleet: ProxyFleet, wrong: dict[str, Any]) -> None:
    c = client(fleet)
    with pytest.raises(ValueError, match=r"session|on_move"):
        c.rotator.session(**wrong)


def test_wrong_arguments_of_a_rotator() -> None:
    for kind in (ProxyRotator, AsyncProxyRotator):
        with pytest.raises(ValueError, match="cookies"):
            kind(cookies="mine")
        with pytest.raises(TypeError, match="restore"):
            kind().session(restore="saved")


@pytest.mark.parametrize("https", [False, True])
def test_no_other_request_uses_the_connections_of_a_session(client: Any, https: bool) -> None:
    with ProxyFleet([ProxySpec(name="only")]) as fleet:
        c = client(fleet)
        url = fleet.site_url("shop.test", "/whoami", https=https)
        only = next(iter(fleet))
        for users in range(1, 5):
            session = c.rotator.session()
            for _ in range(3):
                c.get(url, session)
            assert only.counters()["connections"] == users
        for _ in range(3):
            c.get(url)
        assert only.counters()["connections"] == 5


def test_the_connections_of_a_session_close_with_it(client: Any) -> None:
    with ProxyFleet([ProxySpec(name="only")]) as fleet:
        c = client(fleet)
        session = c.rotator.session("s")
        c.get(fleet.site_url("shop.test", "/whoami"), session)
        c.get(fleet.site_url("shop.test", "/whoami"))
        routes = getattr(c.rotator._transport.carrier, "routes", None)
        if routes is None:
            (scope,) = c.rotator._transport.carrier._scopes.values()
            routes = scope.routes
        assert len(routes._owned) == 1
        c.close(session)
        assert len(routes._owned) == 0
        (route,) = routes._routes.values()
        assert len(route._lines) == 1
        assert not route._old


def test_connections_of_many_sessions_are_bounded() -> None:
    with (
        ProxyFleet([ProxySpec(name="only")]) as fleet,
        httpx.Client(transport=RotatingTransport(fleet.urls, max_proxies=5)) as client,
    ):
        transport: Any = client._transport
        for index in range(20):
            client.get(fleet.site_url("shop.test", "/whoami"), extensions={"proxywhirl": {"session_id": f"s{index}"}})
        routes = transport.carrier.routes
        assert len(routes._owned) == 5
        (route,) = routes._routes.values()
        assert len(route._lines) == 5
        assert not route._old


def test_identities_are_bounded_and_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxywhirl.rotator._identity.MOST_JARS", 3)
    rotator = ProxyRotator(proxies=[Proxy(url="http://proxy.test:1")])
    identities = Identities(rotator._chooser, flavour("httpx"))
    first = weakref.ref(identities.of("0"))
    for index in range(1, 4):
        identities.of(str(index))
    gc.collect()
    assert first() is None
    assert len(identities) == 3


def test_the_jar_of_a_users_own_client_is_the_users() -> None:
    with ProxyFleet([ProxySpec(name="a"), ProxySpec(name="b")]) as fleet:
        with httpx.Client(transport=RotatingTransport(fleet.urls)) as client:
            client.get(fleet.site_url("shop.test", "/cookies/set?mine=1"))
            assert cookies(client.get(fleet.site_url("shop.test", "/cookies"))) == {"mine": "1"}
            assert client.cookies["mine"] == "1"


# An own Proxy-Authorization.


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.json()["headers"].items()}


@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks5"])
@pytest.mark.parametrize("login", [None, ("user", "secret")])
def test_an_own_proxy_authorization_never_reaches_a_site(
    client: Any, scheme: str, login: tuple[str, str] | None, https: bool
) -> None:
    with ProxyFleet([ProxySpec(name="only", scheme=scheme, auth=login)]) as fleet:
        c = client(fleet)
        url = fleet.site_url("shop.test", "/echo", https=https)
        for headers in ({"Proxy-Authorization": SIGNED}, {"proxy-authorization": SIGNED, "X-A": "1"}):
            response = c.get(url, headers=headers)
            assert "proxy-authorization" not in _headers(response)
            assert "proxy-authorization" not in response.request.headers
        session = c.rotator.session(headers={"PROXY-AUTHORIZATION": SIGNED})
        assert "proxy-authorization" not in _headers(c.get(url, session))
        redirected = c.get(
            fleet.site_url("shop.test", "/redirect-to?url=" + url, https=https),
            headers={"Proxy-Authorization": SIGNED},
            follow_redirects=True,
        )
        assert redirected.history
        assert "proxy-authorization" not in _headers(redirected)
        assert "proxy-authorization" not in redirected.history[0].request.headers


def _signed(name: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:order".encode()).decode()


@pytest.mark.parametrize("other", [{}, {"Proxy-Authorization": _signed("else")}])
@pytest.mark.parametrize("https", [False, True])
def test_a_proxy_without_a_login_receives_the_users_own(client: Any, https: bool, other: dict[str, str]) -> None:
    # To the rotator the proxy has no login; in truth it wants the one that the user signs with.
    with ProxyFleet([ProxySpec(name="only", auth=("sign", "order"))]) as fleet:
        bare = [url.replace("sign:order@", "") for url in fleet.urls]
        c = client(fleet)
        c.close()
        c.rotator = type(c.rotator)(proxies=bare, verify=fleet.ca_file(), retry_policy=RetryPolicy(max_attempts=1))
        url = fleet.site_url("shop.test", "/echo", https=https)
        for _ in range(3):
            response = c.get(url, headers={"Proxy-Authorization": _signed("sign")})
            assert response.status_code == 200
            assert "proxy-authorization" not in _headers(response)
        # A tunnel that was opened with it is not for requests without it, nor with another.
        with pytest.raises(ProxyAuthenticationError):
            c.get(url, headers=other)


def test_a_proxy_with_a_login_receives_its_own(client: Any) -> None:
    with ProxyFleet([ProxySpec(name="only", auth=("user", "secret"))]) as fleet:
        c = client(fleet)
        for https in (False, True):
            url = fleet.site_url("shop.test", "/echo", https=https)
            assert c.get(url, headers={"Proxy-Authorization": SIGNED}).status_code == 200
        assert next(iter(fleet)).counters()["auth_failures"] == 0


def test_a_client_of_the_users_own_with_a_header_for_all_requests() -> None:
    with ProxyFleet([ProxySpec(name="only"), ProxySpec(name="socks", scheme="socks5")]) as fleet:
        transport = RotatingTransport(fleet.urls, verify=fleet.ca_file())
        with httpx.Client(transport=transport, headers={"Proxy-Authorization": SIGNED}) as client:
            for https in (False, True, False, True):
                url = fleet.site_url("shop.test", "/echo", https=https)
                request = client.build_request("GET", url)
                response = client.send(request)
                assert "proxy-authorization" not in _headers(response)
                assert "proxy-authorization" not in response.request.headers
