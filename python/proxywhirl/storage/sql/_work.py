"""What is done to the tables. Every function takes a connection with a transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, Optional

import sqlalchemy as sa

from proxywhirl import _core
from proxywhirl._native.redact import scrub_text
from proxywhirl.storage.sql._tables import identities, record_of, rows_of, statuses, validations

# Below the number of parameters that every SQLite takes in a statement.
_CHUNK = 400
_DEAD_AFTER = 3

Open = Callable[[str, str], str]
"""Decrypts a text that stands in a place; one that is not encrypted is returned as it is."""
_Login = tuple[Optional[str], Optional[str]]


def _chunks(items: Sequence[Any], size: int = _CHUNK) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


class _Known:
    """Rows that are there already: by id, and by address and credentials."""

    def __init__(self, rows: Iterable[Any], open_text: Open) -> None:
        self._open = open_text
        self.by_id: dict[str, str] = {}
        self.bare: dict[str, str] = {}
        self._rows: dict[str, list[tuple[str, Mapping[Any, Any]]]] = {}
        for row in rows:
            self.by_id[row["id"]] = row["url"]
            self.bare[row["url"]] = row["bare_url"]
            self._rows.setdefault(row["bare_url"], []).append((row["url"], row))

    def key_of(self, identity: dict[str, Any]) -> str | None:
        """The key of the row of this proxy; ``None`` if it has none."""
        key = self.by_id.get(identity["id"])
        if key is not None:
            return key
        rows = self._rows.get(identity["bare_url"], ())
        wanted = _login(identity, self._open) if rows else (None, None)
        return next((key for key, row in rows if _login(row, self._open) == wanted), None)

    def add(self, identity: dict[str, Any]) -> str:
        """Find a key for a new proxy."""
        bare = identity["bare_url"]
        key = bare if bare not in self.bare else f"{bare}#{identity['id']}"
        self.by_id[identity["id"]] = key
        self.bare[key] = bare
        self._rows.setdefault(bare, []).append((key, identity))
        return key


# What tells a proxy from another, and what its encrypted user name and password are bound to.
_LOGIN = tuple(identities.c[name] for name in ("url", "id", "bare_url", "protocol", "username", "password"))


def _login(row: Mapping[Any, Any], open_text: Open) -> _Login:
    """User name and password of a row, in clear."""

    def plain(field: str) -> str | None:
        text: str | None = row[field]
        if text is None:
            return None
        return open_text(text, _core.seal_binding(field, row["id"], row["bare_url"], row["protocol"]))

    return plain("username"), plain("password")


def _known(connection: sa.Connection, found: list[dict[str, Any]], everything: bool, open_text: Open) -> _Known:
    query = sa.select(*_LOGIN)
    if everything or len(found) > 20 * _CHUNK:
        return _Known(connection.execute(query).mappings(), open_text)
    rows: dict[str, Any] = {}
    for part in _chunks(found):
        ids = [identity["id"] for identity in part]
        addresses = [identity["bare_url"] for identity in part]
        wanted = query.where(sa.or_(identities.c.id.in_(ids), identities.c.bare_url.in_(addresses)))
        rows.update((row["url"], row) for row in connection.execute(wanted).mappings())
    return _Known(rows.values(), open_text)


def put(
    connection: sa.Connection,
    records: list[str],
    open_text: Open,
    *,
    replace: bool = False,
    only_new: bool = False,
    validated: bool = False,
    pause: Callable[[], None] | None = None,
) -> tuple[int, int]:
    """Write records."""
    decoded = [json.loads(text) for text in records]
    gone = [record["id"] for record in decoded if record.get("removed")]
    pairs = [rows_of(record) for record in decoded if not record.get("removed")]
    known = _known(connection, [identity for identity, _ in pairs], replace, open_text)
    position = connection.execute(sa.select(sa.func.coalesce(sa.func.max(identities.c.position), 0))).scalar_one()
    new: list[tuple[dict[str, Any], dict[str, Any]]] = []
    old: list[tuple[dict[str, Any], dict[str, Any]]] = []
    kept: set[str] = set()
    now = time.time()
    for identity, status in pairs:
        key = known.key_of(identity)
        fresh = key is None
        if key is None:
            key = known.add(identity)
            position += 1
            identity["position"] = position
            status["last_validated_at"] = None
        if validated:
            status.update(last_validated_at=now, health_status="healthy")
        kept.add(key)
        (new if fresh else old).append(({"url": key, **identity}, {"proxy_url": key, **status}))
    if replace:
        _delete(connection, [key for key in list(known.bare) if key not in kept])
    if gone:
        for part in _chunks(gone):
            leaving = sa.select(identities.c.url).where(identities.c.id.in_(part))
            _delete(connection, list(connection.execute(leaving).scalars()))
    rest = pause or _go_on
    for rows in _chunks(new, 100):
        connection.execute(sa.insert(identities), [identity for identity, _ in rows])
        connection.execute(sa.insert(statuses), [status for _, status in rows])
        rest()
    if not only_new:
        for rows in _chunks(old, 100):
            for table, name, number in ((identities, "url", 0), (statuses, "proxy_url", 1)):
                values = [{f"key_{name}": row[number].pop(name), **row[number]} for row in rows]
                matches = table.c[name] == sa.bindparam(f"key_{name}")
                columns: dict[str, Any] = {column: sa.bindparam(column) for column in _columns(values[0], name)}
                connection.execute(sa.update(table).where(matches).values(columns), values)
            rest()
    return len(new), len(old)


def _columns(values: dict[str, Any], key: str) -> list[str]:
    """The columns of an update."""
    return [column for column in values if column != f"key_{key}"]


def _go_on() -> None:
    """No pause."""


def _delete(connection: sa.Connection, keys: list[str]) -> int:
    for part in _chunks(keys):
        # A server that has the tables from elsewhere may not cascade.
        connection.execute(sa.delete(validations).where(validations.c.proxy_url.in_(part)))
        connection.execute(sa.delete(statuses).where(statuses.c.proxy_url.in_(part)))
        connection.execute(sa.delete(identities).where(identities.c.url.in_(part)))
    return len(keys)


def delete(connection: sa.Connection, proxy_url: str, open_text: Open) -> bool:
    """Delete the proxies of an address; with credentials in it, only that one."""
    return bool(_delete(connection, _keys_of(connection, proxy_url, open_text)))


def _keys_of(connection: sa.Connection, proxy_url: str, open_text: Open) -> list[str]:
    proxy = _core.Proxy(url=proxy_url)
    address = _core.parse_proxy_url(proxy_url)
    host = f"[{address['host']}]" if ":" in address["host"] else address["host"]
    bare = f"{address['protocol']}://{host}:{address['port']}"
    given = proxy_url if "@" not in proxy_url else bare
    query = sa.select(*_LOGIN).where(
        sa.or_(
            identities.c.bare_url.in_({given, given.rstrip("/"), bare}),
            sa.and_(
                identities.c.protocol == address["protocol"],
                identities.c.host == address["host"],
                identities.c.port == address["port"],
            ),
        )
    )
    rows = connection.execute(query).mappings().all()
    if proxy.credentials is None:
        return [row["url"] for row in rows]
    wanted = (address["username"], address["password"])
    return [row["url"] for row in rows if _login(row, open_text) == wanted]


def clear(connection: sa.Connection) -> None:
    """Delete everything."""
    for table in (validations, statuses, identities):
        connection.execute(sa.delete(table))


def find(
    connection: sa.Connection,
    *,
    validated_since: float | None = None,
    limit: int | None = None,
    **filters: str | None,
) -> list[str]:
    """The records that meet all filters, in order.

    Args:
        connection: With a transaction.
        validated_since: Seconds since 1970.
        limit: Most records.
        **filters: Columns and what they must be; ``None`` for anything.
    """
    query = sa.select(identities, statuses).join(statuses, statuses.c.proxy_url == identities.c.url)
    for name, value in filters.items():
        if value is not None:
            column = statuses.c[name] if name in statuses.c else identities.c[name]
            query = query.where(sa.func.lower(column) == str(getattr(value, "value", value)).lower())
    if validated_since is not None:
        query = query.where(statuses.c.last_validated_at >= validated_since)
    query = query.order_by(identities.c.position)
    if limit is not None:
        query = query.limit(limit)
    return [record_of(row) for row in connection.execute(query).mappings()]


def validate(
    connection: sa.Connection,
    results: list[tuple[str, bool, float | None, str | None, str | None]],
    open_text: Open,
) -> int:
    """Record results of checks: address, whether it worked, milliseconds, kind of error, text of the error."""
    done = 0
    now = time.time()
    for proxy_url, is_valid, ms, kind, text in results:
        keys = _keys_of(connection, proxy_url, open_text)
        done += bool(keys)
        for key in keys:
            row = connection.execute(sa.select(statuses).where(statuses.c.proxy_url == key)).mappings().one()
            change: dict[str, Any] = {"last_validated_at": now}
            if is_valid:
                change.update(health_status="healthy", consecutive_failures=0)
                if ms is not None:
                    average = _core.moving_average(row["average_response_time_ms"], ms)
                    change["average_response_time_ms"] = average
                    learned = {**json.loads(row["learned"]), "ema_response_time_ms": average, "latency_ms": ms}
                    change["learned"] = json.dumps(learned)
            else:
                failures = row["consecutive_failures"] + 1
                status = "dead" if failures >= _DEAD_AFTER else "unhealthy"
                change.update(health_status=status, consecutive_failures=failures)
            connection.execute(sa.update(statuses).where(statuses.c.proxy_url == key).values(change))
            result = {
                "proxy_url": key,
                "validated_at": now,
                "is_valid": is_valid,
                "response_time_ms": ms,
                "error_type": kind,
                "error_message": None if text is None else scrub_text(text),
            }
            connection.execute(sa.insert(validations).values(result))
    return done


def clean(connection: sa.Connection, dead: bool, stale_before: float | None, never_validated: bool) -> dict[str, int]:
    """Delete proxies that are of no use; how many of each kind."""
    conditions: dict[str, Any] = {}
    if dead:
        conditions["dead"] = statuses.c.health_status == "dead"
    if stale_before is not None:
        conditions["stale"] = statuses.c.last_validated_at < stale_before
    if never_validated:
        conditions["never_validated"] = statuses.c.last_validated_at.is_(None)
    counts = dict.fromkeys(("dead", "stale", "never_validated"), 0)
    for name, condition in conditions.items():
        keys = connection.execute(sa.select(statuses.c.proxy_url).where(condition)).scalars().all()
        counts[name] = _delete(connection, list(keys))
    return counts


def stats(connection: sa.Connection) -> dict[str, Any]:
    """Counts of proxies by health, source and protocol, and of results of checks."""

    def counts(column: Any) -> dict[str, int]:
        rows = connection.execute(sa.select(column, sa.func.count()).group_by(column))
        return {str(name): int(count) for name, count in rows}

    total = connection.execute(sa.select(sa.func.count()).select_from(identities)).scalar_one()
    checks = connection.execute(sa.select(sa.func.count()).select_from(validations)).scalar_one()
    return {
        "total_proxies": total,
        "by_status": counts(statuses.c.health_status),
        "by_source": counts(identities.c.source),
        "by_protocol": counts(identities.c.protocol),
        "total_validations": checks,
    }
