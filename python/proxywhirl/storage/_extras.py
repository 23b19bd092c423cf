"""What Python alone knows of a proxy: its metadata, and its place in more words than country and region."""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from proxywhirl import _core
from proxywhirl._native.redact import scrub_credentials_from_dict
from proxywhirl.storage._vault import PREFIX, Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxywhirl.storage._vault import Source

    _Decorate = Callable[[_core.Proxy, str | None, str | None, str | None, str | None, str], None]

T = TypeVar("T")

_log = logging.getLogger("proxywhirl.storage")
_STRETCH = 16
_TRIES = 5
_PAUSE = 0.0002


class How(NamedTuple):
    """How proxies are saved.

    Attributes:
        credentials: Whether credentials are written at all.
        learned: Whether health, counters and averages are written.
        only_changed: Do nothing if nothing has changed; where single proxies can be written, write only changed ones.
        gentle: Let other threads have the interpreter at least every millisecond.
    """

    credentials: bool = True
    learned: bool = True
    only_changed: bool = False
    gentle: bool = False


def _extras_of(source: Source, vault: Vault, how: How) -> _core.SaveExtras:
    """Collect what is to be written beside what the core knows; without credentials, secrets in it are masked."""
    extras = _core.SaveExtras()
    for number, proxy in enumerate(_core.proxies_with_extras(source)):
        metadata, geo = proxy.metadata, proxy.geo_location
        text = None
        if metadata:
            kept = metadata if how.credentials else scrub_credentials_from_dict(metadata)
            text = _json(kept)
            if text is not None and how.credentials and vault.key is not None:
                text = json.dumps(vault.seal(text, _core.proxy_seal_binding("metadata", proxy)))
        place = None
        if geo is not None:
            known = geo.model_dump(exclude_none=True)
            if not known.keys() <= {"country_code", "region"}:
                place = json.dumps(known)
        if text is not None or place is not None:
            extras.put(proxy, text, place)
        if how.gentle and number % _STRETCH == 0:
            time.sleep(_PAUSE)
    return extras


def with_secrets(
    source: Source, vault: Vault, write: Callable[[_core.SealedTexts | None, _core.SaveExtras], T | None], how: How
) -> T:
    """Write proxies with what is encrypted of them, and again where credentials change between the two steps.

    ``write`` is called with the encrypted texts and the extras; it returns ``None`` where a text is missing.

    Raises ``OSError`` (they change faster than they can be encrypted).
    """
    for _ in range(_TRIES):
        sealed = vault.seals_for(source, gentle=how.gentle) if how.credentials else None
        written = write(sealed, _extras_of(source, vault, how))
        if written is not None:
            return written
    raise OSError("credentials change faster than they can be encrypted")


def _json(metadata: dict[str, Any]) -> str | None:
    try:
        return json.dumps(metadata, default=_plain, allow_nan=False, skipkeys=True)
    except ValueError:
        # A circle, or a number that JSON does not know: that must not keep the pool from being saved.
        _log.warning("metadata of a proxy cannot be written as JSON and is left out")
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    return str(value)


def decorator(vault: Vault) -> _Decorate:
    """Make the function that gives a loaded proxy its metadata and its place."""

    def decorate(
        proxy: _core.Proxy,
        metadata: str | None,
        geo: str | None,
        country: str | None,
        region: str | None,
        binding: str,
    ) -> None:
        if metadata is not None:
            value = json.loads(metadata)
            if isinstance(value, str) and value.startswith(PREFIX):
                value = json.loads(vault.open(value, binding))
            if isinstance(value, dict):
                proxy.metadata = value
        if geo is not None:
            place = json.loads(geo)
            if isinstance(place, dict) and place.get("country_code"):
                proxy.geo_location = place
                # The flat fields win, as in the constructor.
                if country is not None:
                    proxy.country_code = country
                if region is not None:
                    proxy.region = region

    return decorate
