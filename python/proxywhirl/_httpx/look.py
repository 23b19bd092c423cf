"""The response of an answer that rules of the user's look at, never read for their sake."""

from __future__ import annotations

from typing import Any

from proxywhirl._httpx.body import preset_decoder
from proxywhirl._httpx.library import HttpLibrary


def response_of(payload: Any, request: Any, kind: HttpLibrary) -> Any:
    """Show an answer to a rule of the user's."""
    body: bytes | None = payload.body
    # An unread stream stays unread: asking such a response for its content is an error.
    stream = kind.SyncByteStream() if body is None else kind.ByteStream(body)
    headers = kind.module.Headers(payload.headers)
    made = kind.Response(payload.status, headers=headers, stream=stream, request=request)
    if body is not None:
        if payload.content is not body:
            preset_decoder(made, payload.content, kind)
        made.read()
    return made
