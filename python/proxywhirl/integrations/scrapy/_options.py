"""What the settings of a project say, under the names of proxywhirl and of scrapy-rotating-proxies."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from scrapy.exceptions import NotConfigured
from scrapy.utils.misc import load_object

from proxywhirl._core import parse_proxies, parse_proxy_file
from proxywhirl.bans import BanPolicy
from proxywhirl.integrations._lender import AsyncLender, Lender
from proxywhirl.resilience import ResilienceConfig
from proxywhirl.retry import RetryPolicy

_log = logging.getLogger("proxywhirl.scrapy")
# As scrapy-rotating-proxies has it: so many other proxies after the first.
PAGE_RETRY_TIMES = 5
# Seconds: a rotator waits for some time in any case.
_LEAST_PATIENCE = 0.001
# The most attempts that a policy takes.
_MOST_ATTEMPTS = 10


class Options(NamedTuple):
    """The settings, read.

    Attributes:
        lender: Where attempts come from.
        own: The rotator that was made here, and is closed with the spider; ``None`` for one of the project's.
        retry_policy: How often a page is tried.
        ban_policy: The rules beside those of hooks.
        closes_spider: Whether the spider is closed when no proxy is left.
        is_late: Whether proxies are chosen when a request is sent, by :class:`LateHandler`.
        slots: Whether each proxy has a download slot of its own at each site.
        interval: Seconds between two lines of statistics in the log.
    """

    lender: AsyncLender | Lender
    own: Any
    retry_policy: Any
    ban_policy: BanPolicy
    closes_spider: bool
    is_late: bool
    slots: bool
    interval: float


def check_enabled(settings: Any) -> None:
    """Raise ``NotConfigured`` where no proxies are set, with what to set."""
    if not settings.getbool("PROXYWHIRL_ENABLED", True):
        raise NotConfigured("PROXYWHIRL_ENABLED is off")
    names = ("PROXYWHIRL_ROTATOR", "PROXYWHIRL_PROXIES", "PROXYWHIRL_PROXIES_PATH")
    if not any(settings.get(name) for name in (*names, "ROTATING_PROXY_LIST", "ROTATING_PROXY_LIST_PATH")):
        raise NotConfigured(
            "no proxies are set: PROXYWHIRL_PROXIES is a list of them, PROXYWHIRL_PROXIES_PATH a file "
            "(ROTATING_PROXY_LIST and ROTATING_PROXY_LIST_PATH will do)"
        )


def retries_of(settings: Any) -> int:
    """How many other proxies are tried after the first."""
    return int(_first(settings, "PAGE_RETRY_TIMES", default=PAGE_RETRY_TIMES))


def attempts_for(others: Any) -> int:
    """The attempts of a page that tries so many other proxies."""
    return max(1, min(_MOST_ATTEMPTS, int(others) + 1))


def read_options(crawler: Any, *, in_loop: bool) -> Options:
    """Read the settings of a crawler.

    Args:
        crawler: The crawler.
        in_loop: Whether asyncio runs, so that the rotator is to be an asynchronous one.

    Raises:
        NotConfigured: There are no proxies, or it is switched off.
    """
    settings = crawler.settings
    check_enabled(settings)
    closes = bool(_flag(settings, "CLOSE_SPIDER", default=False))
    policy = settings.get("PROXYWHIRL_RETRY_POLICY")
    if policy is None:
        policy = RetryPolicy(max_attempts=attempts_for(retries_of(settings)))
    elif isinstance(policy, Mapping):
        policy = RetryPolicy(**policy)
    source, own = _source_of(settings, in_loop=in_loop, closes=closes)
    bans = settings.get("PROXYWHIRL_BAN_POLICY")
    return Options(
        lender=(AsyncLender if in_loop else Lender)(source, {}),
        own=own,
        retry_policy=policy,
        ban_policy=BanPolicy.of(load_object(bans) if isinstance(bans, str) else bans),
        closes_spider=closes,
        is_late=settings.getbool("PROXYWHIRL_LATE", False),
        slots=settings.getbool("PROXYWHIRL_DOWNLOAD_SLOTS", True),
        interval=float(_first(settings, "LOGSTATS_INTERVAL", default=30.0)),
    )


def _first(settings: Any, name: str, *, default: Any = None) -> Any:
    """A setting under its name here, or under that of scrapy-rotating-proxies."""
    for prefix in ("PROXYWHIRL_", "ROTATING_PROXY_"):
        value = settings.get(prefix + name)
        if value is not None:
            return value
    return default


def _flag(settings: Any, name: str, *, default: bool) -> bool:
    for prefix in ("PROXYWHIRL_", "ROTATING_PROXY_"):
        if settings.get(prefix + name) is not None:
            return bool(settings.getbool(prefix + name))
    return default


def _source_of(settings: Any, *, in_loop: bool, closes: bool) -> tuple[Any, Any]:
    """What to take proxies from, and the rotator among it that is to be closed."""
    named = settings.get("PROXYWHIRL_ROTATOR")
    if named:
        found = load_object(named) if isinstance(named, str) else named
        return (found() if callable(found) else found), None
    options: dict[str, Any] = dict(settings.getdict("PROXYWHIRL_OPTIONS"))
    options.setdefault("resilience", _resilience_of(settings))
    strategy = settings.get("PROXYWHIRL_STRATEGY")
    if strategy is not None:
        options["strategy"] = strategy
    # To be closed at once is to wait for no proxy to come back.
    patience = settings.get("PROXYWHIRL_POOL_TIMEOUT", 0 if closes else None)
    if patience is not None:
        options["config"] = {**(options.get("config") or {}), "pool_timeout": max(_LEAST_PATIENCE, float(patience))}
    from proxywhirl.rotator import AsyncProxyRotator, ProxyRotator

    rotator: Any = (AsyncProxyRotator if in_loop else ProxyRotator)(proxies=_proxies_of(settings), **options)
    return rotator, rotator


def _resilience_of(settings: Any) -> ResilienceConfig | None:
    base, cap = (settings.get(f"ROTATING_PROXY_BACKOFF_{end}") for end in ("BASE", "CAP"))
    if base is None and cap is None:
        return None
    base, cap = float(300 if base is None else base), float(3600 if cap is None else cap)
    return ResilienceConfig(rest_base=base, rest_cap=max(base, cap), bench_base=base, bench_cap=max(base, cap))


def _proxies_of(settings: Any) -> Any:
    path = _first(settings, "PROXIES_PATH") or settings.get("ROTATING_PROXY_LIST_PATH")
    if path is not None:
        found: Any = parse_proxy_file(os.fspath(path))
        _say_rejected(found)
        return found
    name = "PROXYWHIRL_PROXIES" if settings.get("PROXYWHIRL_PROXIES") else "ROTATING_PROXY_LIST"
    given = settings.getlist(name)
    if not all(isinstance(item, str) for item in given):
        return given
    # Lines in all the forms that lists have: `host:port` among them, and comments.
    found = parse_proxies("\n".join(given), format="plain_text")
    _say_rejected(found)
    if not len(found):
        raise NotConfigured(f"{name} names no proxy that can be read")
    return found


def _say_rejected(found: Any) -> None:
    if found.rejected:
        # The lines are not shown: there are passwords in them.
        _log.warning("%d lines of the list of proxies cannot be read, and are left out", len(found.rejected))
