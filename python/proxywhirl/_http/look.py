"""An answer as ban rules look at it: decoded as far as needed, and never read for their sake."""

from __future__ import annotations

from typing import Any

from proxywhirl._ban import BODY_LIMIT, Seen
from proxywhirl._http.flavour import Flavour
from proxywhirl._judge import text_of

__all__ = ["look_at"]

_PIECE = 16 * 1024


def look_at(payload: Any, request: Any, kind: Flavour) -> Seen:
    """Show an answer to ban rules.

    Args:
        payload: What the carrier got.
        request: The request.
        kind: Whose response the rules of the user's get.

    Returns:
        The answer; its parts are made when a rule asks for them.
    """
    headers = kind.module.Headers(payload.headers)

    def text() -> str | None:
        body: bytes | None = payload.body
        if body is None:
            return None
        if headers.get("content-encoding", "identity") != "identity":
            found = _decoded(body, headers, kind)
            if found is None:
                return None
            body = found
        return text_of(body[:BODY_LIMIT], headers.get("content-type"))

    def response() -> Any:
        body: bytes | None = payload.body
        # A stream that nobody has read stays that way: asking such a response for its content is an error.
        stream = kind.SyncByteStream() if body is None else kind.ByteStream(body)
        made = kind.Response(payload.status, headers=headers, stream=stream, request=request)
        if body is not None:
            made.read()
        return made

    return Seen(payload.status, headers, text, response, request)


def _decoded(body: bytes, headers: Any, kind: Flavour) -> bytes | None:
    """The beginning of a compressed body; ``None`` if it cannot be decoded."""
    pieces = (body[start : start + _PIECE] for start in range(0, len(body), _PIECE))
    coded = kind.Response(200, headers={"content-encoding": headers["content-encoding"]}, content=pieces)
    found = b""
    try:
        for piece in coded.iter_bytes():
            found += piece
            # As much as is looked at is enough, whatever the rest would unpack to.
            if len(found) >= BODY_LIMIT:
                break
    except kind.module.DecodingError:
        return found or None
    return found
