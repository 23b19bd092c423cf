"""Objects of httpx and httpx2 that are filled without their constructors: the same as made by them."""

from __future__ import annotations

import datetime as dt
import importlib.util
import logging
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxywhirl import _core
from proxywhirl._httpx import objects
from proxywhirl._httpx.library import HttpLibrary, flavour

NAMES = [name for name in ("httpx", "httpx2") if importlib.util.find_spec(name)]

PAGES: dict[str, tuple[int, list[tuple[bytes, bytes]], bytes]] = {
    "html": (200, [(b"Content-Type", b"text/html; charset=utf-8"), (b"Content-Length", b"5")], "<ö>".encode()),
    "latin": (200, [(b"content-type", b'text/plain; charset="ISO-8859-1"')], "Übel".encode("latin-1")),
    "no charset": (200, [(b"content-type", b"text/plain")], "Übel".encode()),
    "no such charset": (200, [(b"content-type", b"text/plain; charset=klingon")], b"text"),
    "json": (201, [(b"Content-Type", b"application/json")], b'{"a": [1, "\xc3\xb6"]}'),
    "utf-16 json": (200, [(b"Content-Type", b"application/json")], '{"a": 1}'.encode("utf-16")),
    "empty": (204, [], b""),
    "twice": (200, [(b"X-A", b"1"), (b"x-a", b"2"), (b"X-B", b"\xfc")], b"x"),
    "cookies": (200, [(b"Set-Cookie", b"a=b; Path=/"), (b"set-cookie", b"c=d")], b""),
    "links": (200, [(b"Link", b'<http://a.test/2>; rel="next"')], b""),
    "redirect": (302, [(b"Location", b"/elsewhere")], b""),
    "missing": (404, [(b"Content-Type", b"text/plain")], b"nothing"),
    "broken": (503, [(b"Retry-After", b"3")], b""),
    "of no standard": (299, [], b"odd"),
}


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest) -> HttpLibrary:
    return flavour(request.param)


def made_by_httpx(kind: HttpLibrary, status: int, headers: Any, body: bytes, extensions: Any) -> Any:
    """What a client of the package makes of such an answer."""

    class Answers(kind.module.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            stream = kind.module.ByteStream(body)
            return kind.Response(status, headers=headers, stream=stream, extensions=extensions)

    with kind.module.Client(transport=Answers()) as client:
        return client.get("http://site.test:8080/page?a=b", headers={"X-Own": "1"})


def filled(kind: HttpLibrary, like: Any, status: int, headers: Any, body: bytes, extensions: Any) -> Any:
    maker = objects.objects_of(kind)
    assert maker is not None
    asked = like.request
    url = maker.url(str(asked.url))
    request = maker.request(asked.method, url, asked.headers.raw, b"", dict(asked.extensions))
    return maker.whole_response(status, headers, dict(extensions), request, body, body, like.elapsed.total_seconds())


def outcome(call: Any) -> Any:
    """What a call returns, or the class and text of what it raises."""
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


def attributes(response: Any) -> dict[str, Any]:
    """Everything that can be asked of a response that was read."""
    request = response.request
    found = {
        "status": response.status_code,
        "reason": response.reason_phrase,
        "version": response.http_version,
        "extensions": dict(response.extensions),
        "raw": response.headers.raw,
        "items": response.headers.multi_items(),
        "headers": repr(response.headers),
        "header encoding": response.headers.encoding,
        "content": response.content,
        "encoding": response.encoding,
        "charset": response.charset_encoding,
        "text": response.text,
        "json": outcome(response.json),
        "cookies": dict(response.cookies),
        "links": response.links,
        "history": response.history,
        "is_closed": response.is_closed,
        "is_stream_consumed": response.is_stream_consumed,
        "bytes": response.num_bytes_downloaded,
        "elapsed": response.elapsed,
        "url": (response.url, str(response.url), repr(response.url), response.url.raw_path, response.url.netloc),
        "classes": [
            getattr(response, name)
            for name in ("is_informational", "is_success", "is_redirect", "is_client_error", "is_server_error")
        ],
        "is_error": response.is_error,
        "has_redirect_location": response.has_redirect_location,
        "raise_for_status": outcome(lambda: response.raise_for_status() is response),
        "bytes in pieces": list(response.iter_bytes(2)),
        "text in pieces": list(response.iter_text(2)),
        "lines": list(response.iter_lines()),
        "raw again": outcome(lambda: list(response.iter_raw())),
        "read again": response.read(),
        "closed again": response.close(),
        "repr": repr(response),
        "request": (request.method, request.url, request.headers.raw, request.content, request.read()),
        "request body": list(request.stream),
        "request extensions": request.extensions,
        "request repr": repr(request),
        "types": (type(response), type(request), type(response.url), type(response.headers), type(request.headers)),
    }
    following = response.next_request
    found["next"] = None if following is None else (following.method, following.url)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_responses_are_those_of_a_client(kind: HttpLibrary, page: str) -> None:
    status, headers, body = PAGES[page]
    extensions = {"http_version": b"HTTP/1.1", "reason_phrase": b"As You Like"}
    like = made_by_httpx(kind, status, headers, body, extensions)
    ours = filled(kind, like, status, headers, body, extensions)
    expected, found = attributes(like), attributes(ours)
    if page == "redirect":
        # The client adds it; `attributes` of a client's response has seen it.
        assert expected.pop("next") is not None
        found.pop("next")
    assert found == expected


@pytest.mark.parametrize("page", PAGES)
def test_responses_survive_pickling_as_those_of_a_client(kind: HttpLibrary, page: str) -> None:
    status, headers, body = PAGES[page]
    like = made_by_httpx(kind, status, headers, body, {})
    ours = filled(kind, like, status, headers, body, {})
    again, expected = (pickle.loads(pickle.dumps(one)) for one in (ours, like))
    assert again.elapsed == like.elapsed
    # httpx2 keeps it in the stream of a response, and so loses it here.
    expected.elapsed = like.elapsed
    # The client adds it.
    expected.next_request = None
    before, after = (
        {
            "content": one.content,
            "headers": one.headers.raw,
            "elapsed": one.elapsed,
            "bytes": one.num_bytes_downloaded,
            "request": (one.request.method, one.request.url, one.request.headers.raw, one.request.content),
            "closed": one.is_closed,
            "stream": outcome(lambda one=one: list(one.stream)),
            "names": set(vars(one)),
        }
        for one in (expected, again)
    )
    assert after == before


def test_an_encoding_can_be_set_and_guessed(kind: HttpLibrary) -> None:
    status, headers, body = PAGES["no charset"]
    like = made_by_httpx(kind, status, headers, body, {})
    ours = filled(kind, like, status, headers, body, {})
    ours.encoding = "latin-1"
    assert ours.text == body.decode("latin-1")
    other = filled(kind, like, status, headers, body, {})
    other.default_encoding = lambda content: "cp1252"
    assert other.text == body.decode("cp1252")


def test_an_unread_response_is_read_by_the_client(kind: HttpLibrary) -> None:
    maker = objects.objects_of(kind)
    assert maker is not None

    class Answers(kind.module.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            return maker.response(200, [(b"Content-Type", b"text/plain")], {"a": 1}, b"page")

    with kind.module.Client(transport=Answers()) as client:
        response = client.get("http://site.test/")
        assert (response.text, response.num_bytes_downloaded, response.is_closed) == ("page", 4, True)
        assert response.elapsed >= dt.timedelta()
        with client.stream("GET", "http://site.test/") as response:
            assert not response.is_closed
            with pytest.raises(kind.module.ResponseNotRead):
                _ = response.content
            assert list(response.iter_raw()) == [b"page"]


def test_dictionaries_belong_to_one_object(kind: HttpLibrary) -> None:
    maker = objects.objects_of(kind)
    assert maker is not None
    pairs = [(b"A", b"b")]
    one, other = (maker.response(200, pairs, {}, b"") for _ in range(2))
    one.headers["a"] = "c"
    one.history.append(other)
    assert (other.headers["a"], other.history, pairs) == ("b", [], [(b"A", b"b")])


def test_headers_must_be_pairs_of_bytes(kind: HttpLibrary) -> None:
    maker = objects.objects_of(kind)
    assert maker is not None
    for wrong in ([b"A"], [(b"A",)], [("A", b"b")], [(b"A", b"b", b"c")]):
        with pytest.raises(TypeError):
            maker.response(200, wrong, {}, b"")  # type: ignore[arg-type]


_URL_TEXT = st.one_of(
    st.text(alphabet="htps:/.?#@%&=a1Z ö[]{}|~-_", max_size=30),
    st.builds(
        "{}://{}{}/{}{}".format,
        st.sampled_from(["http", "https", "HTTP", "ftp"]),
        st.sampled_from(
            [
                "a.test",
                "A.test",
                "127.0.0.1",
                "1.2.3",
                "[::1]",
                "a_b",
                "u@a.test",
                "a..b",
                "ä.test",
                "-",
                "xn--a",
                "xn--bcher-kva.test",
            ]
        ),
        st.sampled_from(["", ":80", ":443", ":8080", ":0", ":080", ":", ":99999", ":x"]),
        st.text(alphabet="ab/.%2F ~!$&'()*+,;=:@[]{}|\\^`\"<>ö", max_size=12),
        st.one_of(st.just(""), st.text(alphabet="ab=&?/%20 {}|\"'<>^`[]+", max_size=12).map("?{}".format)),
    ),
)


@pytest.mark.parametrize("name", NAMES)
@given(text=_URL_TEXT)
def test_urls_are_those_of_the_package_or_left_to_it(name: str, text: str) -> None:
    kind = flavour(name)
    maker = objects.objects_of(kind)
    assert maker is not None
    ours = maker.url(text)
    if ours is not None:
        theirs = kind.module.URL(text)
        assert tuple(ours._uri_reference) == tuple(theirs._uri_reference)
        assert (ours, str(ours), hash(ours), repr(ours)) == (theirs, str(theirs), hash(theirs), repr(theirs))
        assert type(ours._uri_reference) is type(theirs._uri_reference)


def test_the_usual_urls_are_made_here(kind: HttpLibrary) -> None:
    maker = objects.objects_of(kind)
    assert maker is not None
    for text in ("http://a.test", "https://shop.test/item-1?page=2&sort=a+b", "http://127.0.0.1:8080/x.html"):
        assert maker.url(text) == kind.module.URL(text)
    assert maker.url("http://a.test/x?old=1", "a=b") == kind.module.URL("http://a.test/x", params={"a": "b"})


def test_another_layout_falls_back_and_says_so_once(kind: HttpLibrary, caplog: pytest.LogCaptureFixture) -> None:
    class Response(kind.module.Response):  # type: ignore[misc, name-defined]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.trailers: list[Any] = []

    class Module:
        __version__ = "9.9"
        Request, URL, Headers, ByteStream = (
            getattr(kind.module, name) for name in ("Request", "URL", "Headers", "ByteStream")
        )
        QueryParams, Timeout = kind.module.QueryParams, kind.module.Timeout
        USE_CLIENT_DEFAULT = kind.module.USE_CLIENT_DEFAULT

    Module.Response = Response  # type: ignore[attr-defined]
    other = HttpLibrary.__new__(HttpLibrary)
    other.name, other.module, other.objects = kind.name, Module, None
    with caplog.at_level(logging.WARNING, logger="proxywhirl.rotation"):
        assert [objects.objects_of(other) for _ in range(3)] == [None, None, None]
    (record,) = caplog.records
    assert "9.9" in record.getMessage()
    assert "Response, Response that was read" in record.getMessage()


def test_a_package_without_these_parts_falls_back(kind: HttpLibrary, caplog: pytest.LogCaptureFixture) -> None:
    other = HttpLibrary.__new__(HttpLibrary)
    other.name, other.module, other.objects = kind.name, object(), None
    with caplog.at_level(logging.WARNING, logger="proxywhirl.rotation"):
        assert objects.objects_of(other) is None
    assert "AttributeError" in caplog.text


def test_the_collector_sees_the_classes() -> None:
    import gc

    maker = objects.objects_of(flavour(NAMES[0]))
    assert isinstance(maker, _core.HttpObjects)
    assert flavour(NAMES[0]).Response in gc.get_referents(maker)


class _Public:
    """Has the properties of what it stands for, and none of what is behind them."""

    def __init__(self, of: Any, *names: str) -> None:
        self._of = of
        self._names = names

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise AttributeError(name)
        return getattr(self._of, name)

    def __str__(self) -> str:
        return str(self._of)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.test",
        "https://a.test:8443/b/c?d=e",
        "http://a.test/?",
        "http://user:secret@a.test/#part",
        "https://[::1]:81/x?y",
        "http://b\u00fccher.test/\u00e4?\u00f6=\u00fc",
        "/relative",
        "ftp://a.test/",
    ],
)
def test_what_a_rotation_asks_of_a_request_is_what_its_properties_say(kind: HttpLibrary, url: str) -> None:
    headers = [("Proxy-Authorization", "first"), ("X-A", "1"), ("proxy-authorization", "last")]
    for given_headers, login in (([], None), (headers, b"last")):
        request = kind.module.Request("GET", url, headers=given_headers)
        expected = (request.url.scheme, str(request.url), login)
        assert _core.request_facts(request) == expected
        request.url = _Public(request.url, "scheme")
        request.headers = _Public(request.headers, "raw")
        assert _core.request_facts(request) == expected
