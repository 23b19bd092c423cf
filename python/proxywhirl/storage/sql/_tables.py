"""The tables, and how a record becomes rows and rows a record."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from proxywhirl import _core

metadata = sa.MetaData()

identities = sa.Table(
    "proxy_identities",
    metadata,
    # The address without credentials. Where several proxies differ in their credentials alone, all but the first have
    # "#" and their id behind it.
    sa.Column("url", sa.Text, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("bare_url", sa.Text, nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False, index=True),
    sa.Column("protocol", sa.String(8), nullable=False),
    sa.Column("host", sa.Text, nullable=False, index=True),
    sa.Column("port", sa.Integer, nullable=False),
    sa.Column("username", sa.Text),
    sa.Column("password", sa.Text),
    sa.Column("source", sa.String(16), nullable=False, index=True),
    sa.Column("country_code", sa.Text, index=True),
    sa.Column("region", sa.Text),
    # Whatever else describes the proxy, as in the documented layout.
    sa.Column("details", sa.Text, nullable=False),
)

statuses = sa.Table(
    "proxy_statuses",
    metadata,
    sa.Column("proxy_url", sa.Text, sa.ForeignKey("proxy_identities.url", ondelete="CASCADE"), primary_key=True),
    sa.Column("health_status", sa.String(16), nullable=False, index=True),
    sa.Column("total_requests", sa.BigInteger, nullable=False),
    sa.Column("total_successes", sa.BigInteger, nullable=False),
    sa.Column("total_failures", sa.BigInteger, nullable=False),
    sa.Column("average_response_time_ms", sa.Float),
    sa.Column("consecutive_failures", sa.BigInteger, nullable=False),
    # Whatever else was learned of it, as in the documented layout.
    sa.Column("learned", sa.Text, nullable=False),
    # Seconds since 1970, as all times that queries compare.
    sa.Column("last_validated_at", sa.Float, index=True),
)

validations = sa.Table(
    "validation_results",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column(
        "proxy_url", sa.Text, sa.ForeignKey("proxy_identities.url", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("validated_at", sa.Float, nullable=False),
    sa.Column("is_valid", sa.Boolean, nullable=False),
    sa.Column("response_time_ms", sa.Float),
    sa.Column("error_type", sa.Text),
    sa.Column("error_message", sa.Text),
)

_OF_IDENTITY = ("id", "url", "username", "password", "source", "country_code", "region")
_OF_STATUS = ("health_status", "total_requests", "total_successes", "total_failures", "average_response_time_ms")
_LEARNED = frozenset(
    (
        "updated_at",
        "last_success_at",
        "last_failure_at",
        "requests_started",
        "requests_completed",
        "latency_ms",
        "ema_response_time_ms",
        "window_start",
        "rest_level",
        "rest_until",
        "standings",
        *(name for name, _, is_learned in _core.Proxy._table() if is_learned),
    )
)


def rows_of(record: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows of both tables for a record, without the key, which depends on what is there."""
    address = _core.parse_proxy_url(record["url"])
    taken = {*_OF_IDENTITY, *_OF_STATUS, "consecutive_failures"}
    rest = {name: value for name, value in record.items() if name not in taken}
    identity = {
        "id": record["id"],
        "bare_url": record["url"],
        "protocol": record.get("protocol") or address["protocol"],
        "host": address["host"],
        "port": address["port"],
        "username": record["username"],
        "password": record["password"],
        "source": record["source"].lower(),
        "country_code": record.get("country_code"),
        "region": record.get("region"),
        "details": json.dumps({name: value for name, value in rest.items() if name not in _LEARNED}),
    }
    status = {name: record[name] for name in _OF_STATUS}
    status["health_status"] = record["health_status"].lower()
    status["consecutive_failures"] = record.get("consecutive_failures", 0)
    status["learned"] = json.dumps({name: value for name, value in rest.items() if name in _LEARNED})
    return identity, status


def record_of(row: Any) -> str:
    """The record of a row of both tables, as JSON."""
    record = {
        **json.loads(row["details"]),
        **json.loads(row["learned"]),
        "id": row["id"],
        "url": row["bare_url"],
        **{name: row[name] for name in ("username", "password", "source", "country_code", "region")},
        **{name: row[name] for name in _OF_STATUS},
        "consecutive_failures": row["consecutive_failures"],
    }
    return json.dumps(record)
