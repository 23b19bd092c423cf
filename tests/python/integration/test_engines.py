"""Both engines give the same: what is sent, byte for byte, and what comes back; that of httpx says what is right."""

from __future__ import annotations

import gzip
import importlib.util
import zlib
from collections.abc import Iterator
from typing import Any, Callable

import httpx
import pytest
from scripted_site import ScriptedSite

from proxywhirl import ProxyRotator, RetryPolicy, RotatingTransport
from proxywhirl.exceptions import ProxyConnectionError
from proxywhirl.testing import ProxyFleet, ProxySpec

ONCE = RetryPolicy(max_attempts=1)
LIBRARIES = [name for name in ("httpx", "httpx2") if importlib.util.find_spec(name)]
PAGE = "<p>Ein schöner Text über nichts</p>".encode() * 40


def answer(head: str, body: bytes = b"", *, length: bool = True) -> bytes:
    lines = head.replace("\n", "\r\n")
    if length:
        lines += f"\r\nContent-Length: {len(body)}"
    return lines.encode("latin-1") + b"\r\n\r\n" + body


def chunked(body: bytes, size: int = 100, trailers: bytes = b"") -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailers + b"\r\n"


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def packed() -> Iterator[tuple[str, bytes]]:
    yield "gzip", gzip.compress(PAGE)
    yield "deflate", zlib.compress(PAGE)
    yield "deflate", raw_deflate(PAGE)
    yield "x-own", PAGE
    yield "identity", PAGE
    yield "gzip, deflate", zlib.compress(gzip.compress(PAGE))
    yield "gzip", b""
    if importlib.util.find_spec("brotli"):
        import brotli

        yield "br", brotli.compress(PAGE)
        yield "br, gzip", gzip.compress(brotli.compress(PAGE))
    if importlib.util.find_spec("zstandard"):
        import zstandard

        yield "zstd", zstandard.compress(PAGE)


OK = "HTTP/1.1 200 OK"
ANSWERS: dict[str, bytes] = {
    "/": answer(f"{OK}\nContent-Type: text/html; charset=utf-8", PAGE),
    "/empty": answer(OK),
    "/no-content": answer("HTTP/1.1 204 No Content", length=False),
    "/not-modified": answer('HTTP/1.1 304 Not Modified\nETag: "1"\nContent-Length: 50', length=False),
    "/chunks": answer(f"{OK}\nTransfer-Encoding: chunked", chunked(PAGE), length=False),
    "/one-chunk": answer(f"{OK}\ntransfer-encoding: chunked", chunked(PAGE, 10_000), length=False),
    "/extensions": answer(f"{OK}\nTransfer-Encoding: chunked", b"4;a=b\r\npage\r\n0;c\r\n\r\n", length=False),
    "/trailers": answer(f"{OK}\nTransfer-Encoding: chunked", chunked(PAGE, trailers=b"X-Sum: 1\r\n"), length=False),
    "/until-close": answer(f"{OK}\nContent-Type: text/plain", PAGE, length=False),
    "/http-1-0": answer("HTTP/1.0 200 Fine", PAGE),
    "/interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(OK, b"page"),
    "/no-reason": answer("HTTP/1.1 200", b"page"),
    "/empty-reason": answer("HTTP/1.1 200 ", b"page"),
    "/own-reason": answer("HTTP/1.1 299 As You Like It", b"page"),
    "/case": answer(f"{OK}\nX-MiXeD: a\nx-mixed: b\nX-Empty:\nX-Blank:  \t c \t", b"page"),
    "/latin-header": answer(f"{OK}\nX-Name: \xfcber", b"page"),
    "/utf-8-header": answer(OK, b"page").replace(b"\r\nContent", "\r\nX-Name: über\r\nContent".encode(), 1),
    "/latin": answer(f"{OK}\nContent-Type: text/plain; charset=iso-8859-1", "Übel".encode("latin-1")),
    "/quoted-charset": answer(f'{OK}\nContent-Type: text/plain; charset="utf-16"', "Übel".encode("utf-16")),
    "/unknown-charset": answer(f"{OK}\nContent-Type: text/plain; charset=klingon", b"text"),
    "/no-charset": answer(f"{OK}\nContent-Type: text/plain", "Übel".encode()),
    "/broken-text": answer(f"{OK}\nContent-Type: text/plain; charset=utf-8", b"a\xff\xfeb"),
    "/json": answer(f"{OK}\nContent-Type: application/json", b'{"a": [1, null]}'),
    "/links": answer(f'{OK}\nLink: </2>; rel="next", </9>; rel=last', b""),
    "/cookies": answer(f"{OK}\nSet-Cookie: a=b; Path=/\nSet-Cookie: c=d", b""),
    "/status-404": answer("HTTP/1.1 404 Not Found", b"none"),
    "/status-418": answer("HTTP/1.1 418 I'm a teapot", b"tea"),
    "/status-500": answer("HTTP/1.1 500 Internal Server Error", b"oops"),
    "/to-page": answer("HTTP/1.1 302 Found\nLocation: /", b"moved"),
    "/to-chunks": answer("HTTP/1.1 301 Moved Permanently\nLocation: http://site.test/chunks", b""),
    "/see-other": answer("HTTP/1.1 303 See Other\nLocation: /json", b""),
    "/temporary": answer("HTTP/1.1 307 Temporary Redirect\nLocation: /echo", b""),
    "/permanent": answer("HTTP/1.1 308 Permanent Redirect\nLocation: http://other.test:8080/json?a=b#part", b""),
    "/hops": answer("HTTP/1.1 302 Found\nLocation: /to-page\nSet-Cookie: hop=1", b""),
    "/circle": answer("HTTP/1.1 302 Found\nLocation: /circle", b""),
    "/nowhere": answer("HTTP/1.1 302 Found", b"no location"),
    "/echo": answer(OK, b"echo"),
    **{f"/packed-{at}": answer(f"{OK}\nContent-Encoding: {name}", body) for at, (name, body) in enumerate(packed())},
    **{
        f"/packed-chunks-{at}": answer(
            f"{OK}\nContent-Encoding: {name}\nTransfer-Encoding: chunked", chunked(body, 7), length=False
        )
        for at, (name, body) in enumerate(packed())
    },
}
CLOSING = ("/until-close", "/http-1-0")

FAULTY: dict[str, bytes] = {
    "/garbage": b"hello, this is no HTTP\r\n\r\n",
    "/http-0-9": b"<html>",
    "/nothing": b"",
    "/half-head": b"HTTP/1.1 200 OK\r\nContent-",
    "/short": answer(f"{OK}\nContent-Length: 100", b"page", length=False),
    "/half-chunk": answer(f"{OK}\nTransfer-Encoding: chunked", b"10\r\npage", length=False),
    "/no-last-chunk": answer(f"{OK}\nTransfer-Encoding: chunked", b"4\r\npage\r\n", length=False),
    "/bad-chunk-size": answer(f"{OK}\nTransfer-Encoding: chunked", b"zz\r\npage\r\n0\r\n\r\n", length=False),
    "/bad-chunk-end": answer(f"{OK}\nTransfer-Encoding: chunked", b"4\r\npageXX0\r\n\r\n", length=False),
    "/negative-length": answer(f"{OK}\nContent-Length: -1", b"page", length=False),
    "/two-lengths": answer(f"{OK}\nContent-Length: 4\nContent-Length: 5", b"pages", length=False),
    "/length-of-words": answer(f"{OK}\nContent-Length: four", b"page", length=False),
    "/other-coding": answer(f"{OK}\nTransfer-Encoding: gzip", b"page", length=False),
    "/not-gzip": answer(f"{OK}\nContent-Encoding: gzip", b"page, plain"),
    "/not-deflate": answer(f"{OK}\nContent-Encoding: deflate", b"\x00page, plain"),
    "/status-of-words": b"HTTP/1.1 OK 200\r\nContent-Length: 0\r\n\r\n",
    "/status-99": answer("HTTP/1.1 99 Low", b""),
    "/http-2": answer("HTTP/2 200 OK", b""),
    "/no-colon": answer(f"{OK}\nX-Name value", b""),
    "/blank-in-name": answer(f"{OK}\nX Name: value", b""),
    "/zero-in-value": answer(f"{OK}\nX-Name: a\0b", b""),
    "/no-host-to-follow": answer("HTTP/1.1 302 Found\nLocation: http://[", b""),
}

Get = Callable[..., Any]


@pytest.fixture(scope="module")
def site() -> Iterator[ScriptedSite]:
    with ScriptedSite({**ANSWERS, **FAULTY}, {*CLOSING, *FAULTY}) as made:
        yield made


def both(site: ScriptedSite, ask: Callable[[ProxyRotator], Any], **options: Any) -> list[tuple[Any, list[bytes]]]:
    """What comes of a request with either engine, and what the site was asked."""
    found = []
    options.setdefault("retry_policy", ONCE)
    for engine in ("httpx", "native"):
        with ProxyRotator(proxies=[site.url], engine=engine, **options) as rotator:
            site.asked.clear()
            found.append((outcome(lambda rotator=rotator: ask(rotator)), list(site.asked)))
    return found


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns or raises, in a form that can be compared."""
    try:
        response = call()
    except ProxyConnectionError as error:
        cause = error.__cause__
        return type(error), type(cause), None if cause is None else getattr(cause, "request", None) is not None
    except Exception as error:
        return type(error), str(error)
    return seen(response)


def seen(response: Any) -> dict[str, Any]:
    request = response.request
    found: dict[str, Any] = {
        "type": type(response),
        "status": (response.status_code, response.reason_phrase, response.http_version),
        "headers": response.headers.raw,
        "content": response.content,
        "text": (response.encoding, response.text),
        "cookies": sorted(response.cookies.items()),
        "links": response.links,
        "bytes": response.num_bytes_downloaded,
        "closed": (response.is_closed, response.is_stream_consumed),
        "url": str(response.url),
        "request": (request.method, request.headers.raw),
        "elapsed": response.elapsed.total_seconds() > 0,
        "facts": (response.extensions["proxywhirl"]["outcome"], response.extensions["proxywhirl"]["attempts"]),
        "history": [seen(before) for before in response.history],
    }
    following = response.next_request
    found["next"] = None if following is None else (following.method, str(following.url), following.headers.raw)
    return found


@pytest.mark.parametrize("http", LIBRARIES)
@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("path", ANSWERS)
def test_answers(site: ScriptedSite, path: str, follow: bool, http: str) -> None:
    def ask(rotator: ProxyRotator) -> Any:
        return rotator.get(f"http://site.test{path}", follow_redirects=follow)

    (expected, asked), (found, asked_by_native) = both(site, ask, http=http)
    assert found == expected
    assert asked_by_native == asked
    # A circle of redirects, which is an error of the client's.
    assert isinstance(expected, dict) or path == "/circle"


@pytest.mark.parametrize("path", ANSWERS)
def test_answers_to_head(site: ScriptedSite, path: str) -> None:
    if ANSWERS[path].partition(b"\r\n\r\n")[2] or path in CLOSING:
        pytest.skip("the site sends a body")
    (expected, asked), (found, asked_by_native) = both(
        site, lambda rotator: rotator.head(f"http://site.test{path}", follow_redirects=False)
    )
    assert (found, asked_by_native) == (expected, asked)


@pytest.mark.parametrize("path", FAULTY)
def test_faulty_answers(site: ScriptedSite, path: str) -> None:
    (expected, asked), (found, asked_by_native) = both(site, lambda rotator: rotator.get(f"http://site.test{path}"))
    assert found == expected
    assert asked_by_native == asked


REQUESTS: dict[str, dict[str, Any]] = {
    "get": {"method": "GET"},
    "delete": {"method": "DELETE"},
    "options": {"method": "OPTIONS"},
    "own method": {"method": "PURGE"},
    "small letters": {"method": "get"},
    "post nothing": {"method": "POST"},
    "put nothing": {"method": "PUT", "content": b""},
    "post bytes": {"method": "POST", "content": b"\x00\xff" * 500},
    "post text": {"method": "POST", "content": "über"},
    "post much": {"method": "POST", "content": b"x" * 300_000},
    "post parts": {"method": "POST", "content": lambda: (part for part in (b"one", b"", b"two" * 1000))},
    "parts of a known length": {
        "method": "PUT",
        "content": lambda: iter([b"ab", b"cd"]),
        "headers": {"Content-Length": "4"},
    },
    "json": {"method": "POST", "json": {"a": ["ö", None, 1.5]}},
    "form": {"method": "POST", "data": {"a": "b c", "d": ["1", "2"]}},
    "files": {
        "method": "POST",
        "files": {"f": ("n.txt", b"text")},
        "headers": {"Content-Type": "multipart/form-data; boundary=b"},
    },
    "get with a body": {"method": "GET", "content": b"body"},
    "own headers": {
        "method": "GET",
        "headers": {"X-CustomId": "1", "accept": "text/html", "Zed": "2", "User-Agent": "me"},
    },
    "headers in pairs": {"method": "GET", "headers": [("X-A", "1"), ("x-a", "2"), (b"X-B", b"\xfc")]},
    "headers of httpx": {"method": "GET", "headers": httpx.Headers({"X-A": "1", "accept": "*"})},
    "own host": {"method": "GET", "headers": {"Host": "other.test"}},
    "own length": {"method": "POST", "content": b"abcd", "headers": {"content-length": "4"}},
    "own type": {"method": "POST", "json": {}, "headers": {"content-type": "application/x-own"}},
    "header beyond ASCII": {"method": "GET", "headers": {"X-A": "über"}},
    "header with a line break": {"method": "GET", "headers": {"X-A": "a\r\nb: c"}},
    "name with a blank": {"method": "GET", "headers": {"X A": "a"}},
    "params": {"method": "GET", "params": {"a": "1 ö&", "b": ["x", "y"], "c": None, "d": True}},
    "params in pairs": {"method": "GET", "params": [("a", "1"), ("a", "2")]},
    "params as text": {"method": "GET", "params": "a=1&b"},
    "no params": {"method": "GET", "params": {}},
    "basic": {"method": "GET", "auth": ("user", "pass")},
    "extensions": {"method": "GET", "extensions": {"own": 1}},
    "timeout": {"method": "GET", "timeout": 3.5},
    "no timeout": {"method": "GET", "timeout": None},
    "four timeouts": {"method": "GET", "timeout": httpx.Timeout(1, read=2)},
    "cookies": {"method": "GET", "headers": {"Cookie": "a=b"}},
}
URLS = {
    "plain": "http://site.test/echo",
    "port": "http://site.test:8080/echo",
    "usual port": "http://site.test:80/echo",
    "query": "http://site.test/echo?a=b&c=/?",
    "no path": "http://site.test",
    "empty query": "http://site.test/echo?",
    "fragment": "http://site.test/echo#part",
    "dots": "http://site.test/a/../echo",
    "escapes": 'http://site.test/echo?q=%20%c3%b6 "<>ö',
    "capitals": "HTTP://SITE.test/echo",
    "unicode host": "http://bücher.test/echo",
    "address": "http://192.0.2.7/echo",
    "ipv6": "http://[2001:db8::1]:81/echo",
    "login": "http://user:p%40ss@site.test/echo",
}


@pytest.mark.parametrize("http", LIBRARIES)
@pytest.mark.parametrize("name", REQUESTS)
def test_requests(site: ScriptedSite, name: str, http: str) -> None:
    def ask(rotator: ProxyRotator) -> Any:
        given = dict(REQUESTS[name])
        content = given.get("content")
        if callable(content):
            given["content"] = content()
        if isinstance(given.get("headers"), httpx.Headers):
            given["headers"] = rotator._flavour.module.Headers(given["headers"])
        if isinstance(given.get("timeout"), httpx.Timeout):
            given["timeout"] = rotator._flavour.module.Timeout(1, read=2)
        return rotator.request(url="http://site.test/echo?old=1", **given)

    (expected, asked), (found, asked_by_native) = both(site, ask, http=http)
    if isinstance(expected, tuple):
        # h11 quotes what it refuses, which may be a secret.
        assert found[0] is expected[0]
        assert expected[1].startswith(found[1])
    else:
        assert found == expected
    assert asked_by_native == asked


@pytest.mark.parametrize("name", URLS)
def test_urls(site: ScriptedSite, name: str) -> None:
    (expected, asked), (found, asked_by_native) = both(site, lambda rotator: rotator.get(URLS[name]))
    assert (found, asked_by_native) == (expected, asked)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("path", ["/hops", "/to-chunks", "/see-other", "/temporary", "/permanent"])
def test_redirects_of_methods(site: ScriptedSite, path: str, method: str) -> None:
    content = b"body" if method in ("POST", "PUT") else None

    def ask(rotator: ProxyRotator) -> Any:
        headers = {"Authorization": "Bearer own", "X-A": "1"}
        return rotator.request(
            method, f"http://site.test{path}", content=content, headers=headers, follow_redirects=True
        )

    (expected, asked), (found, asked_by_native) = both(site, ask)
    assert (found, asked_by_native) == (expected, asked)
    assert len(asked) >= 2


# What is faulty right behind the head is found before the head is handed on, and another proxy would be asked.
SOONER = ("/bad-chunk-size", "/bad-chunk-end")


@pytest.mark.parametrize("path", [path for path in (*ANSWERS, *FAULTY) if path not in SOONER])
def test_streams(site: ScriptedSite, path: str) -> None:
    def ask(rotator: ProxyRotator) -> Any:
        with rotator.stream("GET", f"http://site.test{path}") as response:
            try:
                parts = b"".join(response.iter_bytes())
            except httpx.HTTPError as error:
                return_value: Any = (type(error), response.status_code)
            else:
                return_value = (parts, response.num_bytes_downloaded, response.headers.raw, response.is_closed)
            raise Seen(return_value)

    class Seen(Exception):
        def __str__(self) -> str:
            return repr(self.args)

    (expected, asked), (found, asked_by_native) = both(site, ask)
    # The class of the exception is made anew by each call.
    assert found[1:] == expected[1:]
    assert asked_by_native == asked


@pytest.mark.parametrize("engine", ["httpx", "native"])
def test_headers_of_the_framing_are_written_as_by_h11(engine: str) -> None:
    twice = answer(f"{OK}\nContent-Length: 4\nContent-Length: 4", b"page", length=False)
    capital = answer(f"{OK}\nTransfer-Encoding: Chunked", chunked(b"page"), length=False)
    with ScriptedSite({"/twice": twice, "/capital": capital}) as site:
        with ProxyRotator(proxies=[site.url], engine=engine) as rotator:
            response = rotator.get("http://site.test/twice")
            assert (response.headers.raw, response.content) == ([(b"Content-Length", b"4")], b"page")
            response = rotator.get("http://site.test/capital")
            assert (response.headers.raw, response.content) == ([(b"Transfer-Encoding", b"chunked")], b"page")


def test_raw_parts_of_a_stream(site: ScriptedSite) -> None:
    body = ANSWERS["/packed-0"].partition(b"\r\n\r\n")[2]
    for engine in ("httpx", "native"):
        with ProxyRotator(proxies=[site.url], engine=engine) as rotator:
            with rotator.stream("GET", "http://site.test/packed-0") as response:
                assert b"".join(response.iter_raw()) == body
            with rotator.stream("GET", "http://site.test/packed-chunks-0") as response:
                assert b"".join(response.iter_raw()) == body


@pytest.mark.parametrize("engine", ["httpx", "native"])
def test_a_users_own_client(site: ScriptedSite, engine: str) -> None:
    heard: list[str] = []
    hooks = {"request": [lambda r: heard.append(r.method)], "response": [lambda r: heard.append(str(r.is_closed))]}
    transport = RotatingTransport([site.url], engine=engine)
    with httpx.Client(transport=transport, event_hooks=hooks, cookies={"own": "1"}) as client:
        response = client.get("http://site.test/cookies", headers={"X-A": "1"})
        assert dict(client.cookies) == {"own": "1", "a": "b", "c": "d"}
        assert response.elapsed.total_seconds() > 0
        assert heard == ["GET", "False"]


def test_through_every_kind_of_proxy() -> None:
    with ProxyFleet([ProxySpec(scheme=name) for name in ("http", "https", "socks4", "socks5")]) as fleet:
        for engine in ("httpx", "native"):
            with ProxyRotator(proxies=fleet.urls, engine=engine, verify=False) as rotator:
                for secure in (False, True):
                    pages = [rotator.get(fleet.site_url("shop.test", "/whoami", https=secure)).json() for _ in range(8)]
                    assert {page["proxy"] for page in pages} == {"proxy-0", "proxy-1", "proxy-2", "proxy-3"}
                    assert {page["tls"] for page in pages} == {secure}
