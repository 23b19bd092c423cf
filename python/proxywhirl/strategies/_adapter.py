"""Strategies written in Python, brought into the one form the core calls.

A strategy is looked at once, when it is handed over. What it is called with afterwards follows from its signatures,
so that any of the documented shapes costs one Python call per selection and one per result.

Whatever the strategy does, the proxy it chose has exactly one start and one completion, and an exception of its own
never reaches the request: it is logged, and another strategy serves instead.
"""

from __future__ import annotations

import inspect
import logging
import traceback
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._native.redact import scrub_text
from proxywhirl.exceptions import ProxyPoolEmptyError, StrategyMetadataError
from proxywhirl.strategies._given import allowed, instantiated, is_explicit, is_overridden, missing, setting, usable
from proxywhirl.strategies._requirements import Requirements
from proxywhirl.strategies._shapes import (
    RecordCall,
    SelectCall,
    describe,
    filter_call,
    method,
)

if TYPE_CHECKING:
    from proxywhirl._core import Proxy, ProxyPool, SelectionContext

__all__ = ["Adapter", "adapt", "describe"]

_log = logging.getLogger("proxywhirl.strategies")


def adapt(obj: Any, *, warm_up: bool = False) -> _core.Strategy | Adapter:
    """Bring a strategy into the form the core calls.

    A built-in strategy that is used on its own says what metadata is missing.

    Raises ``TypeError`` (it has none of the shapes).
    """
    if isinstance(obj, Adapter):
        obj.warm_up = obj.warm_up or warm_up
        return obj
    if inspect.isclass(obj):
        obj = instantiated(obj)
    if isinstance(obj, _core.Strategy) and not is_overridden(obj):
        if warm_up:
            obj._rotator_defaults()
        return obj
    return Adapter(obj, warm_up=warm_up)


class UnusableChoice(StrategyMetadataError):
    """A strategy returned something else than a proxy that may serve the request."""

    hint = "it has to return one of the proxies of the pool it is given"


class Adapter:
    """A strategy written in Python, as the core sees it.

    Attributes:
        user: The strategy as it was handed over.
        name: What logs and messages call it.
        fallback: Serves when the strategy misses metadata it requires; ``None`` to say so instead.
        warm_up: As in :func:`adapt`.
        config: What :meth:`configure` was given last.
        failures: How many times the strategy raised, or could not choose for want of metadata. The first is logged,
            then every count that is a power of two, so that a strategy that always fails does not flood the log.

    Raises ``TypeError`` (it has none of the shapes).
    """

    __slots__ = (
        "__weakref__",
        "_alpha",
        "_call_filter",
        "_call_record",
        "_call_select",
        "_enable_fallback",
        "_faults",
        "_requirements",
        "_rescue",
        "_window",
        "config",
        "failures",
        "fallback",
        "name",
        "user",
        "warm_up",
    )

    def __init__(self, user: Any, *, warm_up: bool = False) -> None:
        self.user = user
        self.name = describe(user)
        self.warm_up = warm_up
        self.config: Any = None
        self.failures = 0
        self.fallback: _core.Strategy | Adapter | None = None
        self._alpha: float | None = None
        self._window: int | None = None
        self._enable_fallback = True
        # The kinds of unusable choices that are in the log already.
        self._faults: set[str] = set()
        # Serves when the strategy fails. Its own, so that it goes round evenly.
        self._rescue = _core.RoundRobinStrategy()

        select = method(user, "select")
        select_proxy = method(user, "select_proxy")
        if select is not None:
            self._call_select = SelectCall(select, user)
        elif select_proxy is not None:
            self._call_select = SelectCall(select_proxy, user, wants_list=True)
        elif callable(user):
            self._call_select = SelectCall(user, user)
        else:
            raise missing(
                user, ["select"] if method(user, "record_result") is not None else ["select", "record_result"]
            )

        record = method(user, "record_result")
        self._call_record = None if record is None else RecordCall(record, user)
        self._call_filter = filter_call(user)
        self._requirements = Requirements(user, self.name, declared=self._call_select.wants_metadata)

    def __repr__(self) -> str:
        return f"<adapter of {self.name}>"

    # What the core calls.

    def select(self, pool: ProxyPool, context: SelectionContext | None = None) -> Proxy:
        """Let the strategy choose.

        Raises ``ProxyPoolEmptyError`` (there is nothing to choose from, or the strategy said so),
        ``StrategyMetadataError`` (the strategy misses metadata, or returned something else than a proxy that may serve
        this request, and there is no fallback).
        """
        found = self.offer(pool, context)
        return found if isinstance(found, _core.Proxy) else found.select(pool, context)

    def offer(self, pool: ProxyPool, context: SelectionContext | None = None) -> Proxy | _core.Strategy | Adapter:
        """As :meth:`select`; where another strategy is to serve, that strategy, which has not been asked yet."""
        self._keep_window(pool)
        journal = _core.Journal()
        try:
            with journal:
                proxy = self._chosen(pool, context)
        except BaseException as error:
            # Whatever was started belongs to a request that will not be made, interrupted ones included.
            journal.rollback()
            substitute = self._substitute_for(error, context)
            if substitute is None:
                raise
            return substitute
        journal.settle_start(proxy)
        return proxy

    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
        """Let the strategy hear how a request went, and complete it on the proxy.

        Args:
            proxy: The proxy that served.
            success: Whether the request was answered as it should be.
            response_time_ms: How long it took, in milliseconds.
        """
        journal = _core.Journal()
        try:
            with journal:
                if self._call_record is not None:
                    self._call_record(proxy, success, response_time_ms)
        except Exception:  # noqa: BLE001 - whatever the user's code raises stays inside
            self._report("to record a result; the proxy's own counters have it")
        finally:
            # Interrupted or not, the request is over.
            journal.settle_completion(proxy, success, response_time_ms, self._alpha)

    def filter(self, candidates: list[Proxy], context: SelectionContext | None = None) -> list[Proxy]:
        """Act as a filter inside a composite; counts nothing.

        A strategy without a method ``filter`` chooses among the candidates, and those in the country of its choice
        remain, or all when that proxy has none.

        All of them when the strategy fails.

        Raises ``StrategyMetadataError`` (the strategy misses metadata that it requires).
        """
        if not candidates:
            return []
        journal = _core.Journal()
        try:
            with journal:
                if self._call_filter is None:
                    return self._in_country_of_choice(candidates, context)
                kept = {proxy.id for proxy in self._call_filter(candidates, context)}
                return [proxy for proxy in candidates if proxy.id in kept]
        except StrategyMetadataError:
            raise
        except ProxyPoolEmptyError:
            return []
        except Exception:  # noqa: BLE001 - as above
            self._report("as a filter and is passed over")
            return list(candidates)
        finally:
            journal.rollback()

    def configure(self, config: Any) -> None:
        """Apply a configuration: the strategy's own ``configure`` gets it, fallback and alpha are taken from it.

        Raises ``ValueError`` (the configuration names an unknown fallback strategy).
        """
        # What can be refused comes first, so that a refusal leaves everything as it was.
        named = setting(config, "fallback_strategy")
        fallback = self.fallback
        if named is not None:
            from proxywhirl.strategies._registry import resolve

            fallback = resolve(named)
        configure = method(self.user, "configure")
        if configure is not None:
            configure(config)
        self.fallback = fallback
        self._enable_fallback = setting(config, "enable_fallback") is not False
        if is_explicit(config, "window_duration_seconds"):
            self._window = setting(config, "window_duration_seconds")
        if is_explicit(config, "ema_alpha"):
            self._alpha = setting(config, "ema_alpha")
        self.config = config

    def validate_metadata(self, pool: ProxyPool) -> bool:
        """Whether the pool has the data that the strategy needs."""
        if not self._requirements.are_met(pool):
            return False
        own = method(self.user, "validate_metadata")
        return True if own is None else bool(own(pool))

    def _keep_window(self, pool: ProxyPool) -> None:
        """Give the proxies of a pool, present and future, the counting window that was configured, if one was."""
        if self._window is not None:
            pool._keep_window(self._window)

    # How a choice is made and judged.

    def _chosen(self, pool: ProxyPool, context: SelectionContext | None) -> Proxy:
        """The strategy's choice. Raises ``UnusableChoice`` (it is no proxy, or one that may not serve this request)."""
        self._requirements.check(pool, context)
        offered = pool if self._call_select.takes_context else allowed(pool, context)
        choice = self._call_select(offered, context)
        stored = usable(pool, choice, context)
        if stored is None and isinstance(choice, _core.Proxy):
            # Another thread may have removed the proxy meanwhile, or taken it out of service: a strategy that looks
            # again does not return it twice.
            choice = self._call_select(offered, context)
            stored = usable(pool, choice, context)
        if stored is not None:
            return stored
        if not isinstance(choice, _core.Proxy):
            raise self._unusable(f"{type(choice).__name__} instead of a Proxy")
        if pool.get_proxy_by_id(choice.id) is None:
            raise self._unusable("a proxy that is not in the pool")
        excluded = choice.id in {proxy.id for proxy in pool.get_healthy_proxies()}
        raise self._unusable(f"a proxy that {'the request excludes' if excluded else 'is not eligible'}")

    def _unusable(self, what: str) -> UnusableChoice:
        return UnusableChoice(f"strategy {self.name} returned {what}", strategy=self.name)

    def _in_country_of_choice(self, candidates: list[Proxy], context: SelectionContext | None) -> list[Proxy]:
        pool = _core.ProxyPool(name="candidates", proxies=candidates)
        self._requirements.check(pool, context)
        choice = self._call_select(pool, context)
        if choice is None:
            return []
        country = choice.country_code
        if country is None:
            return list(candidates)
        wanted = country.casefold()
        return [proxy for proxy in candidates if (proxy.country_code or "").casefold() == wanted]

    def _report(self, what: str, **extra: str) -> None:
        """Log the exception being handled."""
        if self._is_reported():
            # As text, with credentials hidden: the message of the user's exception may well quote a proxy's URL.
            details = scrub_text(traceback.format_exc())
            _log.error("strategy %s failed %s\n%s", self.name, what, details, extra={"strategy": self.name, **extra})

    def _is_reported(self) -> bool:
        """Count a failure; whether this one goes to the log. Threads may lose a count, which costs nothing."""
        self.failures += 1
        return self.failures & (self.failures - 1) == 0

    # The strategy that serves instead.

    def _substitute_for(
        self, error: BaseException, context: SelectionContext | None
    ) -> _core.Strategy | Adapter | None:
        """The strategy that serves after this error; ``None``: it is raised. Called while the error is handled."""
        if isinstance(error, UnusableChoice):
            return self._for_unusable_choice(error, context)
        if isinstance(error, StrategyMetadataError):
            substitute = self._for_missing_metadata()
            if substitute is not None and self._is_reported():
                _log.warning(
                    "strategy %s misses metadata, %s serves this request: %s",
                    self.name,
                    _name(substitute),
                    error,
                    extra={
                        "strategy": self.name,
                        "fallback": _name(substitute),
                        "missing_fields": error.missing_fields,
                    },
                )
            return substitute
        if isinstance(error, ProxyPoolEmptyError) or not isinstance(error, Exception):
            return None
        chosen = self._for_failure()
        self._report(f"to choose, {_name(chosen)} serves this request", fallback=_name(chosen))
        return chosen

    def _for_unusable_choice(
        self, error: UnusableChoice, context: SelectionContext | None
    ) -> _core.Strategy | Adapter | None:
        # A strategy that is used by hand says what is wrong; a request is served all the same.
        serves = self.warm_up or self.fallback is not None or getattr(context, "_in_rotation", False)
        if not serves or not self._enable_fallback:
            return None
        substitute = self._for_failure()
        self.failures += 1
        if error.message not in self._faults:
            self._faults.add(error.message)
            _log.error(
                "%s; %s serves this request, and will again without another word",
                error.message,
                _name(substitute),
                extra={"strategy": self.name, "fallback": _name(substitute)},
            )
        return substitute

    def _for_missing_metadata(self) -> _core.Strategy | Adapter | None:
        if not self._enable_fallback:
            return None
        if self.fallback is not None:
            return self.fallback
        return self._rescue if self.warm_up and self.config is None else None

    def _for_failure(self) -> _core.Strategy | Adapter:
        return self._rescue if self.fallback is None else self.fallback


def _name(strategy: _core.Strategy | Adapter) -> str:
    return strategy.name if isinstance(strategy, Adapter) else describe(strategy)
