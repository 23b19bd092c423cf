"""Ban rules, one by one."""

from __future__ import annotations

import copy
import logging
import pickle
import re
from typing import Any

import httpx
import pytest

from proxywhirl import BanPolicy
from proxywhirl.bans import BanPolicies, Seen
from proxywhirl.models import BanPolicy as FromModels


def seen(status: int = 200, text: str | None = None, request: Any = None, **headers: str) -> Seen:
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.Response(status, headers=found, text=text or "")
    return Seen(status, response.headers, lambda: text, lambda: response, request)


def test_where_it_lives() -> None:
    assert FromModels is BanPolicy


def test_by_default_only_the_status_decides() -> None:
    policy = BanPolicy()
    assert policy.statuses == {403, 429}
    assert not policy.looks_inside
    assert not policy.judges_failures
    assert policy.opinion(seen(403)) is None
    assert BanPolicy.of(None) == policy


@pytest.mark.parametrize(
    ("rule", "text", "found"),
    [
        ("captcha", "please solve this CAPTCHA", True),
        ("captcha|robot", "are you a robot", True),
        ("Access denied (1020)", "Access denied (1020)!", True),
        ("(", "an ( open bracket", True),
        (re.compile("Robot"), "are you a robot", False),
        (re.compile("Robot"), "are you a Robot", True),
        ("captcha", "welcome", None),
        ("captcha", None, None),
    ],
)
def test_body(rule: Any, text: str | None, found: bool | None) -> None:
    assert BanPolicy(body=[rule]).opinion(seen(text=text)) is (True if found else None)


def test_headers_and_redirects() -> None:
    policy = BanPolicy(headers={"Server": "^ddos-guard$"}, redirect=["/blocked"])
    assert policy.opinion(seen(server="DDoS-Guard")) is True
    assert policy.opinion(seen(server="ddos-guard/2")) is None
    assert policy.opinion(seen(302, location="https://x.test/blocked?x")) is True
    assert policy.opinion(seen(302, location="/welcome")) is None
    assert policy.opinion(seen(201, location="/blocked")) is None, "no redirect"


@pytest.mark.parametrize("answer", [True, False, None])
def test_a_function(answer: bool | None) -> None:
    asked: list[httpx.Response] = []
    policy = BanPolicy(custom=lambda response: asked.append(response) or answer, body=["captcha"])
    expected = True if answer is None else answer
    assert policy.opinion(seen(text="captcha")) is expected
    assert isinstance(asked[0], httpx.Response)


class OfScrapy:
    def response_is_ban(self, request: Any, response: Any) -> bool:
        return bool(request == "the request" and response.status_code == 418)

    def exception_is_ban(self, request: Any, exception: BaseException) -> bool | None:
        return True if isinstance(exception, EOFError) else None


@pytest.mark.parametrize("given", [OfScrapy, OfScrapy()])
def test_an_object_or_a_class(given: Any) -> None:
    policy = BanPolicy.of(given)
    assert policy.opinion(seen(418, request="the request")) is True
    assert policy.opinion(seen(200, request="the request")) is False
    assert policy.opinion_of_failure(None, EOFError()) is True
    assert policy.opinion_of_failure(None, OSError()) is None
    assert policy.judges_failures


def test_exceptions_by_class_name_and_cause() -> None:
    policy = BanPolicy(exceptions=[ConnectionResetError, "httpx.ReadError", "DecodingError"])
    shown = httpx.RemoteProtocolError("cut")
    assert policy.opinion_of_failure(None, shown) is None
    shown.__cause__ = ConnectionResetError()
    assert policy.opinion_of_failure(None, shown) is True
    assert policy.opinion_of_failure(None, httpx.ReadError("")) is True
    assert policy.opinion_of_failure(None, httpx.DecodingError("")) is True
    assert policy.opinion_of_failure(None, type("ReadError", (Exception,), {})()) is None, "a namesake"


async def _later(response: Any) -> bool:
    return True


@pytest.mark.parametrize("custom", [lambda response: 1 / 0, _later])
def test_a_rule_that_raises_is_reported_once_and_has_no_opinion(custom: Any, caplog: pytest.LogCaptureFixture) -> None:
    policy = BanPolicy(custom=custom)
    with caplog.at_level(logging.WARNING, "proxywhirl.ban"):
        for _ in range(5):
            assert policy.opinion(seen()) is None
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is not None


def test_a_rule_that_wants_to_stop_the_program_may() -> None:
    def custom(response: Any) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        BanPolicy(custom=custom).opinion(seen())


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"statuses": [99]}, ValueError),
        ({"statuses": [600]}, ValueError),
        ({"statuses": ["403"]}, TypeError),
        ({"statuses": [True]}, TypeError),
        ({"statuses": 403}, TypeError),
        ({"body": "captcha"}, TypeError),
        ({"body": [b"captcha"]}, TypeError),
        ({"body": [""]}, ValueError),
        ({"headers": {"server": "("}}, ValueError),
        ({"headers": ["server"]}, TypeError),
        ({"redirect": ["("]}, ValueError),
        ({"exceptions": [3]}, TypeError),
        ({"exceptions": [int]}, TypeError),
        ({"custom": 3}, TypeError),
    ],
)
def test_bad_rules(arguments: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        BanPolicy(**arguments)


def test_policies_by_site() -> None:
    shop, deep, other = BanPolicy(statuses=[404]), BanPolicy(statuses=[401]), BanPolicy(statuses=())
    policies = BanPolicies(
        {"statuses": [418]},
        {
            "*.Shop.test": shop,
            "deep.shop.test": deep,
            "https://other.test/x": other,
            "münchen.test": other,
            "[::1]": deep,
        },
    )
    assert policies.for_host("shop.test") is shop
    assert policies.for_host("www.SHOP.test.") is shop
    assert policies.for_host("a.deep.shop.test") is deep
    assert policies.for_host("myshop.test") is policies.general
    assert policies.for_host("xn--mnchen-3ya.test") is other
    assert policies.for_host("::1") is deep
    assert policies.for_host("") is policies.general
    assert policies.for_url("http://other.test:81/y") is other
    assert policies.for_url(None) is policies.general
    assert policies.general.statuses == {418}


@pytest.mark.parametrize("key", ["", " ", "a/b", "a b", "http://"])
def test_keys_that_are_no_domains(key: str) -> None:
    with pytest.raises(ValueError, match="no domain"):
        BanPolicies(None, {key: None})


def test_it_is_a_value() -> None:
    policy = BanPolicy(body=["captcha", re.compile("x")], headers={"a": "b"}, redirect=["c"], exceptions=["E"])
    for twin in (copy.copy(policy), copy.deepcopy(policy), pickle.loads(pickle.dumps(policy))):
        assert twin == policy
        assert hash(twin) == hash(policy)
        assert twin.opinion(seen(text="captcha")) is True
    assert policy != BanPolicy()
    assert "captcha" in repr(policy)
    assert repr(BanPolicy()) == "BanPolicy(statuses=(403, 429))"


def test_a_large_input_is_bounded() -> None:
    from proxywhirl._httpx.judge import judge_report

    policies = BanPolicies(BanPolicy(body=["needle"]))
    assert judge_report(None, 200, None, b"x" * 65_530 + b"needle", policies=policies)[0] == "banned"
    assert judge_report(None, 200, None, b"x" * 65_536 + b"needle", policies=policies)[0] == "success"
