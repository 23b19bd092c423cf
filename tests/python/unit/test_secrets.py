"""A login that a proxy repeats, in whatever form, is hidden in errors and their causes."""

from __future__ import annotations

import base64
import html
import json
import traceback
from typing import Any
from urllib.parse import quote, quote_plus

import httpcore
import httpx
import pytest

from proxywhirl._httpx.handshake import ProxyHandshake, Refused, opened
from proxywhirl._httpx.library import flavour
from proxywhirl._httpx.said import check_redirect
from proxywhirl._httpx.unreachable import ProxyUnreachable
from proxywhirl._native.redact import Secrets

LOGINS = [
    ("hostile77", "s3cr3t+Pw/99"),
    ("us@er-na/me+%", "p@ss:w/ rd%#?&="),
    ("customer-zone-de", "x1"),
    ("ключ", "пароль"),
    ("name", "quo\"te's\\slash"),
    ("apikey-0123456789", ""),
]


def _forms(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        quote(secret, safe="").lower(),
        quote(quote(secret, safe=""), safe=""),
        html.escape(secret),
        json.dumps(secret)[1:-1],
        repr(raw)[2:-1],
        str(bytearray(raw))[12:-2],
        secret.upper(),
    ]


@pytest.mark.parametrize(("username", "password"), LOGINS)
def test_every_spelling_is_hidden(username: str, password: str) -> None:
    secrets = Secrets(username, password)
    secret = password or username
    pair = f"{username}:{password}"
    for form in (*_forms(secret), *_forms(pair)):
        text = f"illegal status line: <{form}> said the proxy"
        hidden = secrets.scrub(text)
        assert form not in hidden
        assert hidden.startswith("illegal status line")
        assert secrets.occur_in(text)


@pytest.mark.parametrize(("username", "password"), LOGINS)
@pytest.mark.parametrize("before", ["", "B", "Ba", "Basic ", "Proxy-Authorization: "])
def test_base64_is_hidden_wherever_the_login_begins_in_it(username: str, password: str, before: str) -> None:
    secrets = Secrets(username, password)
    pair = f"{username}:{password}" if password else username
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        token = encode(f"{before}{pair}{before}".encode()).decode()
        hidden = secrets.scrub(f"unknown token {token}")
        # Decoding what is left yields neither part of the login.
        left = hidden.replace("unknown token ", "").split("***")
        assert max(len(part) for part in left) < len(token) / 2 or before
        assert token not in hidden


def test_texts_without_the_login_stay_as_they_are() -> None:
    secrets = Secrets("user", "pass")
    for text in ("SOCKS5: the proxy refused the user name", "passage", "", "compass"):
        assert secrets.scrub(text) in (text, text.replace("pass", "***"))
    short = Secrets("ab", "cd")
    assert short.scrub("abcdef abcd xcd") == "abcdef abcd xcd"
    assert short.scrub("said cd and ab:cd") == "said *** and ***"
    assert Secrets("", "").scrub("said anything") == "said anything"


def test_an_error_without_the_login_is_the_same_object() -> None:
    error = ValueError("nothing of it")
    error.__cause__ = KeyError("nor here")
    assert Secrets("hostile77", "s3cr3tPw99").scrub_error(error) is error


class _Odd(Exception):
    def __init__(self, status: int, *, reason: str) -> None:
        self.reason = reason
        super().__init__(status)


def _raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        httpcore.RemoteProtocolError("illegal status line: bytearray(b'NOPE hostile77:s3cr3tPw99')"),
        ProxyUnreachable("answered 502 s3cr3tPw99", kind="ProxyError"),
        OSError(5, "said s3cr3tPw99"),
        _Odd(502, reason="s3cr3tPw99"),
        UnicodeDecodeError("ascii", b"x s3cr3tPw99 \xff", 13, 14, "ordinal not in range"),
        KeyError("s3cr3tPw99"),
    ],
)
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("by", ["cause", "context"])
def test_errors_and_what_caused_them_are_made_anew(error: BaseException, depth: int, by: str) -> None:
    secrets = Secrets("hostile77", "s3cr3tPw99")
    error = _raised(error)
    for index in range(depth):
        outer = _raised(ConnectionError(f"level {index}"))
        if by == "cause":
            outer.__cause__ = error
        else:
            outer.__context__ = error
        error = outer
    shown = secrets.scrub_error(error)
    assert depth == 0 or type(shown) is ConnectionError
    texts = [str(shown), repr(shown), "".join(traceback.format_exception(type(shown), shown, shown.__traceback__))]
    found: Any = shown
    while found is not None:
        texts += [repr(found.args), repr(vars(found))]
        found = found.__cause__ or found.__context__
    assert not [text for text in texts if "s3cr3tPw99" in text]


def test_a_chain_in_a_circle_ends() -> None:
    first, second = ValueError("s3cr3tPw99"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert "s3cr3t" not in str(Secrets("hostile77", "s3cr3tPw99").scrub_error(first))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"Basic " + base64.b64encode(b"hostile77:s3cr3tPw99"), "s3cr3tPw99"),
        (b"basic   " + base64.b64encode(b"hostile77:s3cr3tPw99"), "hostile77:s3cr3tPw99"),
        (b"Basic no base64 at all!", "no base64 at all!"),
        (b"Bearer 0123456789abcdef", "0123456789abcdef"),
        (b"0123456789abcdef", "0123456789abcdef"),
    ],
)
def test_secrets_of_a_ready_header(value: bytes, text: str) -> None:
    secrets = Secrets.of_authorization(value)
    assert secrets.scrub(f"said {text}.") == "said ***."
    assert text not in repr(secrets)


def test_a_reason_is_hidden_before_it_is_cut() -> None:
    talk = ProxyHandshake("http", "shop.test", 443, ("hostile77", "s3cr3tPw99"))
    opened(talk.start())
    with pytest.raises(Refused) as raised:
        opened(talk.feed(b"HTTP/1.1 502 " + b"x" * 95 + b" s3c\x00r3tPw99\r\n\r\n"))
    assert "s3c" not in str(raised.value)


def _redirect(location: bytes, secrets: Secrets | None) -> None:
    request = httpx.Request("GET", "http://shop.test/a")
    check_redirect(302, [(b"Location", location)], request, flavour("httpx"), secrets)


@pytest.mark.parametrize("location", [b"/b", b"", b"//news.test/", b"http://news.test/?a=b", b"?x"])
def test_redirects_that_can_be_followed(location: bytes) -> None:
    _redirect(location, Secrets("hostile77", "s3cr3tPw99"))


@pytest.mark.parametrize(
    "location",
    [b"http://[::1/", b"http://a:port/", b"javascript:alert(1)", b"http://a/" + b"a" * 70_000, b"http://a/\x00"],
)
def test_redirects_that_cannot(location: bytes) -> None:
    with pytest.raises(httpcore.RemoteProtocolError, match="no URL"):
        _redirect(location, None)


@pytest.mark.parametrize(
    "location",
    [
        b"http://evil.test/s3cr3tPw99",
        b"http://hostile77:s3cr3tPw99@evil.test/",
        b"http://evil.test/?a=" + base64.b64encode(b"hostile77:s3cr3tPw99"),
        b"http://evil.test/?a=" + base64.b64encode(b"login hostile77:s3cr3tPw99"),
        b"/%73%33cr3t?hostile77%3As3cr3tPw99",
    ],
)
def test_a_redirect_that_would_tell_the_login_is_refused(location: bytes) -> None:
    with pytest.raises(httpcore.RemoteProtocolError, match="login") as raised:
        _redirect(location, Secrets("hostile77", "s3cr3tPw99"))
    assert "s3cr3tPw99" not in str(raised.value)
    # What a site writes may contain a short password, or a user name, by chance.
    _redirect(b"http://news.test/hostile77/pass", Secrets("hostile77", "pass"))
