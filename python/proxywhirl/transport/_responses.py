"""The response that a request ends with, of what a carrier got."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

from proxywhirl._httpx.body import bound_decoder, preset_decoder
from proxywhirl._httpx.library import HttpLibrary
from proxywhirl._httpx.objects import objects_of
from proxywhirl._native.enums import AMBIGUOUS, Outcome


def facts_of(outcome: Any, attempts: int, proxy_id: Any, elapsed_ms: float) -> dict[str, Any]:
    # Whose fault a body still to come is turns out later; until then it counts as the site's.
    told = Outcome.TARGET_FAULT if outcome is AMBIGUOUS else outcome
    return {"outcome": told, "attempts": attempts, "proxy_id": proxy_id, "elapsed_ms": elapsed_ms}


def response_of(
    make: Any, payload: Any, stream: Any, kind: HttpLibrary, extensions: dict[str, Any], **more: Any
) -> Any:
    """The response of an answer; what it unpacks is within the bounds of the answer."""
    response = make(payload.status, headers=payload.headers, stream=stream, extensions=extensions, **more)
    if payload.body is None:
        if payload.max_body is not None:
            bound_decoder(response, payload.headers, payload.max_body, kind)
    elif payload.content is not payload.body:
        preset_decoder(response, payload.content, kind)
    return response


def whole_response(make: Any, payload: Any, request: Any, kind: HttpLibrary, started: float) -> Any:
    """The response of an answer that was read, as a client hands it out."""
    objects = (kind.objects or objects_of(kind)) if make is kind.Response else None
    if objects is not None:
        return payload.fill(objects, request, time.perf_counter() - started)
    stream = kind.ByteStream(payload.body)
    response = response_of(make, payload, stream, kind, payload.extensions, request=request)
    response.read()
    response.elapsed = dt.timedelta(seconds=time.perf_counter() - started)
    return response


def last_response(kind: HttpLibrary) -> Any:
    """The class of a redirect that a client does not follow: where a site sends a banned proxy is not the page."""
    found = _last_responses.get(kind.name)
    if found is None:
        found = _last_responses[kind.name] = type("Response", (kind.Response,), {"has_redirect_location": False})
    return found


_last_responses: dict[str, type] = {}
