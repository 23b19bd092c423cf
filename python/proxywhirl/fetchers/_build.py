"""From the entries of a list to proxies, in bulk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._native.enums import ProxySource
from proxywhirl._native.redact import scrub_value

if TYPE_CHECKING:
    from proxywhirl.fetchers._listing import Entries
    from proxywhirl.fetchers._source import Source

_UNLIMITED = 2**31 - 1
# Said of the address itself or of the source already; or secret, and part of the URL.
_ADDRESS = frozenset({"url", "host", "ip", "port", "protocol", "username", "password", "source", "source_url", "tags"})
_TEXTS = {"country_code": "country_code", "country": "country_code", "region": "region"}


def drop_local(entries: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Leave out what points into the user's own network."""
    scratch = _core.ProxyPool(max_pool_size=_UNLIMITED)
    report = scratch.add_many([entry["url"] for entry in entries], on_error="skip", source=ProxySource.FETCHED)
    if not report.errors:
        return entries, 0
    refused = {number for number, _, _ in report.errors}
    kept = [entry for number, entry in enumerate(entries, 1) if number not in refused]
    return kept, len(entries) - len(kept)


def build(entries: Entries, source: Source, *, allow_local: bool = False) -> list[_core.Proxy]:
    """Make proxies of entries."""
    pool = _core.ProxyPool(max_pool_size=_UNLIMITED)
    kind = ProxySource.FILE if source.is_file else ProxySource.FETCHED
    if isinstance(entries, _core.ParsedProxies):
        # Whether a local address is acceptable was decided when the list was read.
        pool.load(entries, source=kind, tags=source.tags(), allow_local=True)
        proxies = pool.get_all_proxies()
    else:
        proxies = _of_dictionaries(pool, entries, source, kind)
    for proxy in proxies:
        proxy.source_url = source.name
        if allow_local and not source.is_file:
            proxy.allow_local = True
    return proxies


def urls_of(entries: Entries) -> list[str]:
    """The URLs of entries, in their order."""
    if isinstance(entries, _core.ParsedProxies):
        return entries.urls()
    return [entry["url"] for entry in entries]


def build_some(
    entries: Entries, positions: Sequence[int], source: Source, *, allow_local: bool = False
) -> list[_core.Proxy]:
    """As :func:`build`, of some of the entries."""
    if len(positions) == len(entries):
        return build(entries, source, allow_local=allow_local)
    some = [entries[index] for index in positions]
    if not some:
        return []
    if isinstance(entries, _core.ParsedProxies):
        # Through the parser once more, so that the core makes the proxies of few entries as it does those of many.
        return build(_core.parse_proxies(json.dumps(some), format="json"), source, allow_local=allow_local)
    return build(some, source, allow_local=allow_local)


def _of_dictionaries(
    pool: _core.ProxyPool, entries: Sequence[Mapping[str, Any]], source: Source, kind: ProxySource
) -> list[_core.Proxy]:
    # As of a file first: of anything else `add_many` refuses local addresses, and that was decided before.
    pool.add_many([entry["url"] for entry in entries], source=ProxySource.FILE, tags=source.tags())
    proxies = pool.get_all_proxies()
    by_url: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        by_url.setdefault(entry["url"], entry)
    for proxy in proxies:
        proxy.source = kind
        _tell(proxy, by_url.get(proxy.url, {}))
    return proxies


def _tell(proxy: _core.Proxy, entry: Mapping[str, Any]) -> None:
    """Note what the list knows beyond the address."""
    rest: dict[str, Any] = {}
    for name, value in entry.items():
        if name in _ADDRESS or value is None or value == "":
            continue
        field = _TEXTS.get(name)
        try:
            if field == "country_code":
                if isinstance(value, str) and len(value) == 2:
                    proxy.country_code = value
                    continue
            elif field == "region":
                proxy.region = str(value)
                continue
            elif name == "ttl":
                proxy.ttl = int(value)
                continue
            elif name == "expires_at":
                proxy.expires_at = value
                continue
        except (TypeError, ValueError):
            # Lists write all kinds of things; what is no date is a remark.
            rest[name] = value
            continue
        rest[name] = value
    if rest:
        proxy.metadata = {**proxy.metadata, **scrub_value(rest)}
