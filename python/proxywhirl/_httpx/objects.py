"""Requests and responses of httpx and httpx2, filled without their constructors where that gives the same.

The constructors encode, copy and check what is known to be right here, and cost ten times as much. Which attributes an
object has is a private matter of the packages, so before the first use one of each kind is made both ways and compared;
at any difference the constructors are used.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from proxywhirl import _core
from proxywhirl._httpx.library import HttpLibrary

_log = logging.getLogger("proxywhirl.rotation")

_URL = "http://a.test:81/b?c=d"
_HEADERS = [(b"X-Part", b"1"), (b"x-part", b"2")]
_SECONDS = 1.25


def objects_of(kind: HttpLibrary) -> _core.HttpObjects | None:
    """What fills objects of a package; ``None`` if its constructors have to be used."""
    found = kind.objects
    if found is None:
        # Two threads may both look; they find the same.
        found = kind.objects = _checked(kind) or False
    return found or None


def fill(objects: _core.HttpObjects, payload: Any, request: Any, elapsed: float) -> Any:
    """The response of an answer that was read.

    Args:
        objects: What fills it.
        payload: What a carrier got.
        request: The request.
        elapsed: Seconds that it took.
    """
    return objects.whole_response(
        payload.status, payload.headers, payload.extensions, request, payload.body, payload.content, elapsed
    )


def _checked(kind: HttpLibrary) -> _core.HttpObjects | None:
    try:
        made = _make(kind)
        differing = _differences(made, kind)
    except Exception as error:  # noqa: BLE001 - whatever a package of another layout comes to
        made, differing = None, [f"{type(error).__name__}: {error}"]
    if differing:
        _log.warning(
            "%s %s keeps its objects in a way that is not known here: they are made by its constructors, which takes "
            "longer (%s)",
            kind.name,
            getattr(kind.module, "__version__", "?"),
            ", ".join(differing),
        )
        return None
    return made


def _make(kind: HttpLibrary) -> _core.HttpObjects:
    module = kind.module
    return _core.HttpObjects(
        response=module.Response,
        request=module.Request,
        url=module.URL,
        headers=module.Headers,
        parts=type(vars(module.URL(_URL))["_uri_reference"]),
        stream=module.ByteStream,
        params=module.QueryParams,
        timeout=module.Timeout,
        unset=module.USE_CLIENT_DEFAULT,
        # Without it the package makes all requests with a body that is to be encoded.
        encode=getattr(getattr(module, "_content", None), "encode_request", None),
    )


def _differences(made: _core.HttpObjects, kind: HttpLibrary) -> list[str]:
    """What is not the same of objects made both ways."""
    module = kind.module
    request = module.Request("POST", _URL, headers=_HEADERS, content=b"body", extensions={"a": 1})
    response = module.Response(200, headers=_HEADERS, stream=module.ByteStream(b"page"), extensions={"a": 1})
    read = module.Response(
        200, headers=_HEADERS, stream=module.ByteStream(b"page"), extensions={"a": 1}, request=request
    )
    read.read()
    read.elapsed = dt.timedelta(seconds=_SECONDS)
    # Both are made on demand: the decoder is of no use when the content is there, and the encoding is found again.
    vars(read).pop("_decoder", None)
    vars(read.headers)["_encoding"] = None
    url = made.url(_URL)
    filled_request = made.request("POST", url, request.headers.raw, b"body", {"a": 1})
    pairs = {
        "URL": (module.URL(_URL), url),
        "Request": (request, filled_request),
        "Response": (response, made.response(200, _HEADERS, {"a": 1}, b"page")),
        "Response that was read": (
            read,
            made.whole_response(200, _HEADERS, {"a": 1}, filled_request, b"page", b"page", _SECONDS),
        ),
    }
    classes = (module.Response, module.Request, module.URL, module.Headers, module.ByteStream)
    return [name for name, (public, filled) in pairs.items() if _parts(public, classes) != _parts(filled, classes)]


def _parts(value: Any, classes: tuple[type, ...]) -> Any:
    """A value and its type, taken apart as far as it consists of objects of the package."""
    if isinstance(value, classes):
        return type(value), {name: _parts(held, classes) for name, held in vars(value).items()}
    if isinstance(value, (list, tuple)):
        return type(value), [_parts(held, classes) for held in value]
    return type(value), value
