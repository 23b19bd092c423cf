"""An answer as any client gives it: status, headers, and the body as far as it has been read."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional

from proxywhirl._httpx.clients._fault import Finding


class Answer(NamedTuple):
    """What was received.

    Attributes:
        status: The status.
        headers: A mapping, or pairs of name and value; ``None`` if there are none.
        body: The body as far as it has been read; ``None`` if it has not, or if that cannot be known without reading.
    """

    status: int
    headers: Any = None
    body: Optional[Any] = None  # noqa: UP045 - evaluated on 3.9


# requests, httpx, aiohttp, urllib3, Scrapy and curl_cffi keep a body that has been read as a plain attribute. A
# property may read from the network, so that none is asked: the body of a client that has only those is not known.
_BODIES = ("_content", "_body", "content", "body")
_STATUSES = ("status_code", "status", "code")


def answer_of(response: Any) -> Answer | None:
    """Read a response of any client. Nothing is read from the network, and nothing awaited.

    Args:
        response: The response.

    Returns:
        The answer; ``None`` if the object has no status, or none yet.
    """
    status = status_of(response)
    if status is None:
        return None
    return Answer(status, _pairs(getattr(response, "headers", None)), _body_of(response))


def status_of(holder: Any) -> int | None:
    """The status that an object has as ``status_code``, ``status`` or ``code``; ``None`` if there is none."""
    own = _plain(holder)
    for name in _STATUSES:
        # A plain attribute first: niquests' property waits for the answer.
        status = own[name] if name in own else getattr(holder, name, None)
        status = _number(status)
        if status is not None and 100 <= status <= 599:
            return status
    return None


def carried(finding: Finding) -> Answer | None:
    """The answer that an exception carries.

    Args:
        finding: What was read off the exception.

    Returns:
        The answer, of its ``response`` or with a status of its own; ``None`` if there is none.
    """
    error: Any = finding.source
    response = getattr(error, "response", None)
    found = None if response is None else answer_of(response)
    if found is not None:
        return found
    status = status_of(error) if finding.status is None else finding.status
    if status is None:
        # pyreqwest.
        details = getattr(error, "details", None)
        status = _number(details.get("status")) if isinstance(details, dict) else None
    return None if status is None else Answer(status, _pairs(getattr(error, "headers", None)))


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, (str, bytes)):
        # Twisted's errors.
        return int(value) if len(value) == 3 and value.isdigit() else None
    as_int = getattr(value, "as_int", None)
    if callable(as_int):
        # wreq's statuses.
        return _number(as_int())
    if inspect.iscoroutine(value):
        value.close()
    return None


def _plain(holder: Any) -> dict[str, Any]:
    """The attributes of an object that are data: reading them does nothing."""
    found: dict[str, Any] = {}
    for cls in reversed(type(holder).__mro__):
        for name, member in vars(cls).items():
            if inspect.ismemberdescriptor(member) and name in (*_BODIES, *_STATUSES):
                try:
                    found[name] = member.__get__(holder)
                except AttributeError:
                    # A slot that has not been filled.
                    continue
    own = getattr(holder, "__dict__", None)
    return {**found, **own} if isinstance(own, dict) else found


def _body_of(response: Any) -> Any:
    own = _plain(response)
    for name in _BODIES:
        body = own.get(name)
        if isinstance(body, (bytes, bytearray, str)):
            return body
    return None


def _pairs(headers: Any) -> Any:
    """Headers of any client as a mapping, or as pairs; ``None`` where they are neither."""
    raw = getattr(headers, "getAllRawHeaders", None)
    if callable(raw):
        # Twisted.
        return [(name, value) for name, values in raw() for value in values]
    if isinstance(headers, Mapping) or callable(getattr(headers, "items", None)):
        return [(name, one) for name, value in headers.items() for one in _several(value)]
    keys = getattr(headers, "keys", None)
    get_all = getattr(headers, "get_all", None)
    if callable(keys) and callable(get_all):
        # wreq.
        return [(name, value) for name in keys() for value in get_all(name)]
    return None


def _several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, (list, tuple)) else (value,)
