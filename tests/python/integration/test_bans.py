"""Ban rules over real exchanges: what is judged, what moves on, what the user gets in the end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest

from proxywhirl import (
    AsyncProxyRotator,
    BanPolicy,
    Outcome,
    ProxyBannedError,
    ProxyConnectionError,
    ProxyPoolEmptyError,
    ProxyRotator,
    RetryPolicy,
    RotatingTransport,
)
from proxywhirl.testing import ProxyFleet, ProxySpec

QUICK = RetryPolicy(base_delay=0.001)
# Answers 403 and a captcha page to every request.
BARRED = {"ban_after": 0}


def rotator_over(fleet: ProxyFleet, **options: Any) -> ProxyRotator:
    options.setdefault("retry_policy", QUICK)
    return ProxyRotator(proxies=fleet.urls, verify=fleet.ca_file(), **options)


def verdict(response: Any) -> tuple[Outcome, int]:
    facts = response.extensions["proxywhirl"]
    return facts["outcome"], facts["attempts"]


@pytest.mark.parametrize("secure", [False, True])
def test_a_banned_proxy_is_passed_over(secure: bool) -> None:
    specs = [
        ProxySpec(**BARRED),
        ProxySpec(**BARRED),
        ProxySpec(**BARRED) if secure else ProxySpec(fault="429"),
        ProxySpec(**BARRED),
        ProxySpec(name="good"),
    ]
    with ProxyFleet(specs) as fleet, rotator_over(fleet) as rotator:
        response = rotator.get(fleet.site_url("shop.test", "/whoami", https=secure))
        assert response.json()["proxy"] == "good"
        assert verdict(response) == (Outcome.SUCCESS, 5)
        for proxy in rotator.pool:
            assert (proxy.requests_active, proxy.total_requests, proxy.total_failures) == (0, 1, 0), "a ban is no death"


def test_banned_everywhere_comes_back_as_it_is() -> None:
    with ProxyFleet([ProxySpec(**BARRED)] * 2) as fleet:
        url = fleet.site_url("shop.test")
        with rotator_over(fleet) as rotator:
            response = rotator.get(url)
            assert (response.status_code, verdict(response)) == (403, (Outcome.BANNED, 2))
            assert b"captcha" in response.content.lower()
        with rotator_over(fleet, raise_on_ban=True) as rotator:
            with pytest.raises(ProxyBannedError, match=r"after 2 attempts: .*403") as caught:
                rotator.get(url)
            assert isinstance(caught.value, ProxyConnectionError)
            assert caught.value.response is not None
            assert caught.value.response.status_code == 403
        with rotator_over(fleet, raise_on_ban=True) as rotator:
            assert rotator.get(url, raise_on_ban=False).status_code == 403
        with rotator_over(fleet) as rotator:
            with pytest.raises(ProxyBannedError):
                rotator.get(url, raise_on_ban=True)


def test_rules_can_be_turned_off() -> None:
    with ProxyFleet([ProxySpec(**BARRED)] * 2) as fleet:
        url = fleet.site_url("shop.test")
        with rotator_over(fleet, ban_policy=BanPolicy(statuses=())) as rotator:
            assert verdict(rotator.get(url)) == (Outcome.SUCCESS, 1)
            assert verdict(rotator.get(url, ban_policy=BanPolicy())) == (Outcome.BANNED, 2)
        with rotator_over(fleet, ban_policies={"shop.test": BanPolicy(statuses=[404])}) as rotator:
            assert verdict(rotator.get(fleet.site_url("www.shop.test"))) == (Outcome.SUCCESS, 1)
            assert verdict(rotator.get(fleet.site_url("other.test"))) == (Outcome.BANNED, 2)


def test_a_post_is_not_repeated_because_of_a_ban() -> None:
    with ProxyFleet([ProxySpec(**BARRED), ProxySpec()]) as fleet, rotator_over(fleet) as rotator:
        assert verdict(rotator.post(fleet.site_url("shop.test", "/echo"), content=b"order")) == (Outcome.BANNED, 1)


@pytest.mark.parametrize("path", ["/gzip", "/whoami"])
def test_rules_about_the_body(path: str) -> None:
    with ProxyFleet([ProxySpec(name="a"), ProxySpec(name="b")]) as fleet:
        url = fleet.site_url("shop.test", path)
        with rotator_over(fleet) as rotator:
            plain = rotator.get(url)
            text = plain.text[:20]
        with rotator_over(fleet, ban_policy=BanPolicy(body=[text[:10]])) as rotator:
            assert verdict(rotator.get(url)) == (Outcome.BANNED, 2), "looked at after decoding"
        with rotator_over(fleet, ban_policy=BanPolicy(body=["nothing of the kind"])) as rotator:
            assert verdict(rotator.get(url)) == (Outcome.SUCCESS, 1)


def test_a_streamed_body_is_not_read_for_a_rule() -> None:
    asked: list[Any] = []

    def custom(response: httpx.Response) -> None:
        with pytest.raises(httpx.ResponseNotRead):
            response.content  # noqa: B018 - asking is the point
        asked.append(response.headers["content-type"])

    policy = BanPolicy(body=["."], custom=custom)
    with ProxyFleet(1) as fleet, rotator_over(fleet, ban_policy=policy) as rotator:
        with rotator.stream("GET", fleet.site_url("shop.test", "/whoami")) as response:
            assert not response.is_stream_consumed
            assert b"proxy" in response.read()
        assert response.extensions["proxywhirl"]["outcome"] is Outcome.SUCCESS
    assert len(asked) == 1


def test_a_banned_stream_can_be_read() -> None:
    with ProxyFleet([ProxySpec(**BARRED)] * 2) as fleet, rotator_over(fleet) as rotator:
        with rotator.stream("GET", fleet.site_url("shop.test")) as response:
            assert response.status_code == 403
            assert b"captcha" in response.read().lower()
        assert all(proxy.requests_active == 0 for proxy in rotator.pool)


def test_rules_about_redirects_and_headers() -> None:
    with ProxyFleet(2) as fleet:
        url = fleet.site_url("shop.test", "/redirect/1")
        with rotator_over(fleet, ban_policy=BanPolicy(redirect=["."])) as rotator:
            response = rotator.get(url)
            assert (response.status_code, verdict(response)) == (302, (Outcome.BANNED, 2))
            assert response.history == []
            assert response.is_redirect, "not followed: where a banned proxy is sent is not the page"
        with rotator_over(fleet, ban_policy=BanPolicy(redirect=["."])) as rotator:
            with pytest.raises(ProxyBannedError):
                rotator.get(url, raise_on_ban=True)
            with pytest.raises(ProxyPoolEmptyError, match="banned at this site"):
                rotator.get(url, timeout=httpx.Timeout(5, pool=0.0))
        with rotator_over(fleet, ban_policy=BanPolicy(headers={"Content-Type": "json"})) as rotator:
            assert verdict(rotator.get(fleet.site_url("shop.test", "/whoami"))) == (Outcome.BANNED, 2)


def test_rules_of_the_users() -> None:
    seen: list[tuple[Any, ...]] = []

    class Rules:
        def response_is_ban(self, request: Any, response: Any) -> bool | None:
            seen.append((request.method, str(request.url), response.status_code, response.json()["proxy"]))
            return bool(response.json()["proxy"] == "a") or None

        def exception_is_ban(self, request: Any, exception: Any) -> bool | None:
            seen.append((type(exception).__name__,))
            return True

    specs = [ProxySpec(name="a"), ProxySpec(fault="reset"), ProxySpec(name="c")]
    with ProxyFleet(specs) as fleet, rotator_over(fleet, ban_policy=Rules) as rotator:
        url = fleet.site_url("shop.test", "/whoami")
        response = rotator.get(url)
        assert response.json()["proxy"] == "c"
        assert seen[0] == ("GET", url, 200, "a")
        assert len(seen) == 3
        assert [proxy.total_failures for proxy in rotator.pool] == [0, 0, 0]


def test_the_same_rules_for_leases() -> None:
    policy = BanPolicy(body=["captcha"], exceptions=[ConnectionResetError])
    with ProxyFleet(1) as fleet, rotator_over(fleet, ban_policy=policy) as rotator:
        lease = rotator.lease("http://shop.test/")
        assert lease.report(status=200, body=b"please solve the captcha") is Outcome.BANNED
        assert rotator.pool.proxies[0].total_failures == 0
        with pytest.raises(ConnectionResetError), rotator.lease("http://other.test/"):
            raise ConnectionResetError
        assert rotator.pool.proxies[0].total_failures == 0, "the rules name that too"
        with pytest.raises(TimeoutError), rotator.lease("http://third.test/"):
            raise TimeoutError
        only = rotator.pool.proxies[0]
        assert (only.total_requests, only.total_failures) == (3, 0), "it may be the site, and there is no other proxy"


def test_a_transport_on_its_own() -> None:
    with ProxyFleet([ProxySpec(**BARRED), ProxySpec(name="good")]) as fleet:
        with httpx.Client(transport=RotatingTransport(fleet.urls, raise_on_ban=True)) as client:
            url = fleet.site_url("shop.test", "/whoami")
            assert client.get(url).json()["proxy"] == "good"
            wishes = {"proxywhirl": {"ban_policy": {"body": ["good"]}, "read_body": True}}
            with pytest.raises(ProxyBannedError):
                client.get(url, extensions=wishes)


def test_a_transport_over_a_rotator_has_its_rules() -> None:
    with ProxyFleet(1) as fleet, rotator_over(fleet, ban_policy={"body": ["."]}, raise_on_ban=True) as rotator:
        with httpx.Client(transport=RotatingTransport(rotator, read_bodies=True)) as client:
            with pytest.raises(ProxyBannedError):
                client.get(fleet.site_url("shop.test"))


def test_without_blocking() -> None:
    async def main(fleet: ProxyFleet) -> None:
        async with AsyncProxyRotator(
            proxies=fleet.urls, retry_policy=QUICK, ban_policy={"body": ["captcha"]}
        ) as rotator:
            url = fleet.site_url("shop.test", "/whoami")
            for _ in range(6):
                assert (await rotator.get(url)).json()["proxy"] == "good"
            assert all(proxy.requests_active == 0 for proxy in rotator.pool)

    with ProxyFleet([ProxySpec(**BARRED), ProxySpec(name="good"), ProxySpec(**BARRED)]) as fleet:
        asyncio.run(main(fleet))


@pytest.mark.parametrize("secure", [False, True])
def test_without_a_proxy_only_if_that_is_allowed(secure: bool, caplog: pytest.LogCaptureFixture) -> None:
    with ProxyFleet([ProxySpec.dead()]) as fleet:
        # Names of sites are known to the proxies of the fleet alone, so this goes to the origin's own address.
        url = fleet.https_url("/whoami") if secure else fleet.http_url("/whoami")
        policy = RetryPolicy(max_attempts=2, base_delay=0.001)
        for strict in (rotator_over(fleet, retry_policy=policy), ProxyRotator()):
            with strict, pytest.raises((ProxyConnectionError, ProxyPoolEmptyError)):
                strict.get(url)
        with ProxyRotator(allow_direct=True, verify=fleet.ca_file()) as rotator, caplog.at_level(logging.WARNING):
            response = rotator.get(url)
            assert response.status_code == 200
            assert response.extensions["proxywhirl"]["proxy_id"] is None
            assert "without" in caplog.text


def test_without_a_proxy_and_without_blocking() -> None:
    async def main(fleet: ProxyFleet) -> None:
        async with AsyncProxyRotator(allow_direct=True) as rotator:
            assert (await rotator.get(fleet.http_url("/whoami"))).status_code == 200

    with ProxyFleet(1) as fleet:
        asyncio.run(main(fleet))


def test_the_only_proxy_is_not_benched_for_an_answer() -> None:
    with ProxyFleet([ProxySpec(name="gateway")]) as fleet, rotator_over(fleet) as rotator:
        page = fleet.site_url("shop.test", "/status/403")
        # It may be a gateway, so that another exit answers over a new connection.
        assert [verdict(rotator.get(page)) for _ in range(3)] == [(Outcome.BANNED, 3)] * 3
        assert rotator.get(fleet.site_url("shop.test", "/whoami")).json()["proxy"] == "gateway"
        # What is said outright is obeyed.
        rotator.lease(page).banned()
        assert [verdict.reasons for verdict in rotator.explain(page)] == [["banned_here"]]
