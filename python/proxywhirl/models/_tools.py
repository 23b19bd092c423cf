"""Making, checking and showing a proxy, and the timeout that fits it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from proxywhirl._native.enums import ProxySource
from proxywhirl._native.model.errors import findings_of
from proxywhirl._native.redact import mask_proxy_url, scrub_text
from proxywhirl._native.urls import split_proxy_url

if TYPE_CHECKING:
    from proxywhirl._core import Proxy

_TIMEOUT_WITHOUT_HISTORY = 30.0


def create_proxy_from_url(url: str, source: ProxySource = ProxySource.USER, tags: Iterable[str] | None = None) -> Proxy:
    """Make a proxy from its URL.

    Args:
        url: The URL; here the port may be missing, then it is the usual one of the scheme.
        source: Where the proxy comes from.
        tags: Labels for it.

    Returns:
        The proxy.

    Raises:
        ValueError: The URL is not that of a proxy, or not acceptable from that source.
    """
    from proxywhirl import _core

    split_proxy_url(url, require_port=False)
    try:
        return _core.Proxy(url=url, source=source, tags=set(tags or ()))
    except ValueError as error:
        reasons = [reason for _, reason in findings_of(error)]
        raise ValueError(f"Invalid proxy URL {mask_proxy_url(url)!r}: {scrub_text('; '.join(reasons))}") from None


def validate_proxy_model(proxy: Proxy) -> list[str]:
    """Look for contradictions in a proxy.

    Args:
        proxy: The proxy.

    Returns:
        What is wrong with it, in words; empty when nothing is.
    """
    problems: list[str] = []
    try:
        split_proxy_url(proxy.url, require_port=False)
    except ValueError as error:
        problems.append(str(error))
    if (proxy.username is None) != (proxy.password is None):
        problems.append("Both username and password must be provided together")
    if proxy.total_failures < 0:
        problems.append("total_failures must not be negative")
    if proxy.total_successes < 0:
        problems.append("total_successes must not be negative")
    if proxy.total_successes + proxy.total_failures > proxy.total_requests:
        problems.append(
            f"total_requests is {proxy.total_requests}, less than "
            f"{proxy.total_successes} successes and {proxy.total_failures} failures"
        )
    return problems


def proxy_to_dict(proxy: Proxy, include_stats: bool = True) -> dict[str, Any]:
    """Show a proxy as plain data, fit for JSON; credentials in its URL are masked.

    Args:
        proxy: The proxy.
        include_stats: Whether its counters are part of it, under ``stats``.

    Returns:
        ``id``, ``url``, ``protocol``, ``health_status``, ``source``, ``tags`` (sorted), ``created_at`` and
        ``updated_at``, and perhaps ``stats``. Times are ISO texts.
    """
    shown: dict[str, Any] = {
        "id": str(proxy.id),
        "url": mask_proxy_url(proxy.url),
        "protocol": proxy.protocol,
        "health_status": _value(proxy.health_status),
        "source": _value(proxy.source),
        "tags": sorted(proxy.tags),
        "created_at": _time(proxy.created_at),
        "updated_at": _time(proxy.updated_at),
    }
    if include_stats:
        shown["stats"] = {
            "total_requests": proxy.total_requests,
            "total_successes": proxy.total_successes,
            "total_failures": proxy.total_failures,
            "success_rate": proxy.success_rate,
            "average_response_time_ms": proxy.average_response_time_ms,
            "consecutive_failures": proxy.consecutive_failures,
            "last_success_at": _time(proxy.last_success_at),
            "last_failure_at": _time(proxy.last_failure_at),
        }
    return shown


def calculate_timeout(proxy: Proxy) -> float:
    """The timeout that fits what is known about a proxy.

    Args:
        proxy: The proxy.

    Returns:
        Seconds: three times its average response time and two more, or 30 while nothing is known.
    """
    average = proxy.average_response_time_ms
    return _TIMEOUT_WITHOUT_HISTORY if average is None else 3.0 * average / 1000.0 + 2.0


def _value(member: Any) -> str:
    return str(getattr(member, "value", member))


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
