"""An answer as ban rules look at it, never read for their sake."""

from __future__ import annotations

from typing import Any

from proxywhirl._httpx.body import preset_decoder
from proxywhirl._httpx.judge import text_of
from proxywhirl._httpx.library import HttpLibrary
from proxywhirl.bans import BODY_LIMIT, Seen

__all__ = ["inspect"]


def inspect(payload: Any, request: Any, kind: HttpLibrary) -> Seen:
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
        content: bytes | None = payload.content
        return None if content is None else text_of(content[:BODY_LIMIT], headers.get("content-type"))

    def response() -> Any:
        body: bytes | None = payload.body
        # An unread stream stays unread: asking such a response for its content is an error.
        stream = kind.SyncByteStream() if body is None else kind.ByteStream(body)
        made = kind.Response(payload.status, headers=headers, stream=stream, request=request)
        if body is not None:
            if payload.content is not body:
                preset_decoder(made, payload.content, kind)
            made.read()
        return made

    return Seen(payload.status, headers, text, response, request)
