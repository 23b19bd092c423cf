"""Ban rules, one by one."""

from __future__ import annotations

import copy
import logging
import pickle
import re
import sys
from typing import Any

import httpx
import pytest

from proxywhirl import BanPolicy
from proxywhirl._core import ReportJudge
from proxywhirl.bans import AnswerView, BanPolicies
from proxywhirl.models import BanPolicy as FromModels


def seen(status: int = 200, text: str | None = None, request: Any = None, **headers: str) -> AnswerView:
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.Response(status, headers=found, text=text or "")
    return AnswerView(status, response.headers, text, lambda: response, request)


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
    assert not policies.is_plain
    assert BanPolicies().is_plain
    assert BanPolicies({"statuses": (429, 403)}).is_plain
    assert not any(
        BanPolicies(given).is_plain for given in ({"statuses": (403,)}, {"body": ["x"]}, {"exceptions": ["E"]})
    )


@pytest.mark.parametrize("key", ["", " ", "a/b", "a b", "http://", "u:secret@h"])
def test_keys_that_are_no_domains(key: str) -> None:
    with pytest.raises(ValueError, match="no domain") as caught:
        BanPolicies(None, {key: None})
    assert "secret" not in str(caught.value)
    with pytest.raises(TypeError):
        BanPolicies(None, {3: None})  # type: ignore[dict-item]


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
    judge = ReportJudge(BanPolicies(BanPolicy(body=["needle"])))
    for needle, filler in ((b"needle", b"x"), ("needle", "x")):
        assert judge(None, 200, None, filler * 65_530 + needle)[0] == "banned"
        assert judge(None, 200, None, filler * 65_536 + needle)[0] == "success"


def test_plain_texts_are_looked_for_without_asking_python() -> None:
    rules = BanPolicy(
        body=["captcha", r"error \(1020\)"], headers={"server": "^ddos-guard"}, redirect=["/blocked"]
    ).rules
    calls: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            calls.append(getattr(argument, "__name__", frame.f_code.co_name))

    headers = [(b"Server", b"nginx"), (b"Location", b"/welcome"), (b"Content-Type", b"text/html; charset=utf-8")]
    views = [
        AnswerView(200, headers, body, pytest.fail)
        for body in ("Grüße: captcha?".encode(), b"an Error (1020)", b"welcome")
    ]
    views.append(AnswerView(302, [(b"Location", b"https://x.test/BLOCKED")], None, pytest.fail))
    found = []
    sys.setprofile(note)
    try:
        for view in views:
            found.append(rules.opinion(view))
    finally:
        sys.setprofile(None)
    assert found == [True, True, None, True]
    assert set(calls) <= {"opinion", "append", "setprofile"}


def test_expressions_are_asked_of_re() -> None:
    asked: list[str] = []

    class Noting:
        """A compiled expression that notes what it is asked about."""

        def search(self, text: str) -> re.Match[str] | None:
            asked.append(text)
            return re.search("x", text)

    from proxywhirl._core import BanRules

    rules = BanRules([], [("plain", None), ("a.c", Noting())], [], [])  # type: ignore[list-item]
    assert rules.opinion(seen(text="a plain text")) is True
    assert asked == [], "what is cheaper goes first"
    assert rules.opinion(seen(text="box")) is True
    assert asked == ["box"]


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("hé".encode(), None, "hé"),
        ("hé".encode("latin-1"), "text/html; charset=ISO-8859-1", "hé"),
        ("hé".encode("utf-16"), 'text/html; a=b; Charset="utf-16"', "hé"),
        (b"h\xff", "text/html; charset=utf-8", "h\ufffd"),
        (b"h\xff", "text/html; charset=ascii", "h\ufffd"),
        ("hé".encode(), "text/html; charset=martian", "hé"),
        ("hé".encode(), "text/html; charset=hex", "hé"),
        ("hé".encode(), "text/html; charset=\0", "hé"),
        (bytearray(b"h"), None, "h"),
        (memoryview(b"h"), None, "h"),
        ("hé", "text/html; charset=utf-16", "hé"),
        (None, None, None),
    ],
)
def test_the_text_of_a_body(body: Any, content_type: str | None, text: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert AnswerView(200, headers, body, pytest.fail).text == text
