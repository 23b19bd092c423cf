"""The place where the proxy of a request is chosen."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._base.fork import new_lock
from proxywhirl._httpx.active import ActiveStrategy
from proxywhirl._httpx.taking import LeaseAcquirer
from proxywhirl._httpx.wishes import ANYTHING, Selection, checked_bound, selection_of
from proxywhirl.events import log as _log_events
from proxywhirl.exceptions import ProxyPoolEmptyError

if TYPE_CHECKING:
    from uuid import UUID

    from proxywhirl import _core
    from proxywhirl._httpx.sources import Sources
    from proxywhirl._native.explain import Explanation
    from proxywhirl.rotator._gate import LimiterGate
    from proxywhirl.rotator._queue import RequestQueue
    from proxywhirl.rotator._watch import Watch
    from proxywhirl.strategies._adapter import Adapter

__all__ = ["Chooser", "LeaseAcquirer", "Selection", "checked_bound", "selection_of"]

_log = _log_events.log


class Chooser:
    """A pool and the strategy that chooses from it, which can be swapped at any time.

    A lease remembers the strategy that made it, so a result always reaches that one. Requests of a session stay on one
    proxy under any strategy: one that knows no sessions is wrapped in one that does.

    Args:
        pool: The proxies.
        strategy: What :func:`proxywhirl.strategies._registry.resolve` made.
        when_empty: What to tell when the pool has no proxies at all.
    """

    def __init__(
        self,
        pool: _core.ProxyPool,
        strategy: _core.Strategy | Adapter,
        *,
        when_empty: str = "No healthy proxies available: the pool has no proxies",
    ) -> None:
        self.pool = pool
        self.when_empty = when_empty
        self.version = 0
        """How often the strategy was swapped."""
        self.watch: Watch | None = None
        """Watches every lease; ``None`` without a listener, metrics or a profile."""
        self.admission: _core.WaitingLine = pool._waiting_line()
        """The line in front of the pool."""
        self.queue: RequestQueue | None = None
        """Bounds the line for the requests of this chooser; ``None`` where it is not bounded."""
        self.attempts: _core.AttemptBook | None = None
        """Where attempts are counted; ``None`` where they are not."""
        self.gate: LimiterGate | None = None
        """Has the last word on a lease; ``None`` where nothing but the core does."""
        self._lock = new_lock()
        self._active = ActiveStrategy(strategy)
        strategy._keep_window(pool)
        self._sources_behind: Sources | None = None
        self._empty_reported = _log_events.seldom()

    def provided(self) -> Sources:
        """The lists and gateways behind the pool, which are looked after before each choice."""
        with self._lock:
            if self._sources_behind is None:
                from proxywhirl._httpx.sources import Sources

                self._sources_behind = Sources(self.pool)
            return self._sources_behind

    def share_provision(self, other: Chooser) -> None:
        """Look after the lists and gateways of another chooser of the same pool too."""
        self._sources_behind = other.provided()

    @property
    def strategy(self) -> _core.Strategy | Adapter:
        """The strategy of requests that begin now."""
        return self._active.strategy

    @property
    def sessions(self) -> _core.SessionManager:
        """The sessions of requests that begin now."""
        return self._active.sticky().session_manager

    @property
    def session_strategy(self) -> _core.SessionPersistenceStrategy:
        """The strategy that serves requests with a session."""
        return self._active.sticky()

    def swap(self, strategy: _core.Strategy | Adapter) -> None:
        """Use another strategy from the next selection on; sessions move over."""
        with self._lock:
            before = self._active
            active = ActiveStrategy(strategy)
            strategy._keep_window(self.pool)
            if before.has_sessions():
                active.take_over(self.pool, before)
            # One assignment: a request sees the old pair or the new one, never half of each.
            self._active = active
            self.version += 1

    def lease(
        self,
        url: str | None,
        selection: Selection | None,
        exclude: list[Any],
        *,
        method: str | None = None,
        attempt: int = 1,
        judge: Any = None,
        log: _core.AttemptLog | None = None,
        again: bool = True,
        passed: bool = False,
        connects: bool = False,
        timeout: Callable[[], float | None] | None = None,
    ) -> _core.Lease:
        """Choose a proxy.

        Args:
            url: The target.
            selection: What the request asks for.
            exclude: Ids of proxies that must not be chosen.
            method: The method of the request, for the watch.
            attempt: Which attempt of the request this is, from 1, for the watch.
            judge: What ``lease.report`` judges by; the default rules where it is ``None``.
            log: Where the attempts of the request are written down; made anew by default.
            again: Whether to choose once more if a gateway can provide a proxy when there is none.
            passed: Whether the gate has its say after this.
            connects: Whether the request holds a connection of a transport of this pool.
            timeout: Gives the milliseconds that the request may take, if a strategy wants to know.

        Returns:
            An open lease.

        Raises:
            ProxyPoolEmptyError: No proxy is eligible.
            ProxyConnectionError: "Rate limit exceeded", from a limiter that refuses.
        """
        if log is None and self.attempts is not None:
            log = self.attempts.begin()
        if self.gate is not None and not passed:
            return self._through_gate(
                self.gate, url, selection, exclude, method, attempt, judge, log, connects, timeout
            )
        active = self._active
        watch = self.watch
        provision = self._sources_behind
        minted = 0 if provision is None else provision.before()
        try:
            if watch is None:
                if judge is None and (selection is None or selection.is_plain()):
                    # The way of nearly all requests.
                    lease = self.pool.lease(
                        active.strategy,
                        url,
                        exclude=exclude,
                        connects=connects,
                        attempt=attempt,
                        timeout=timeout,
                        log=log,
                    )
                else:
                    options: dict[str, Any] = {
                        "log": log,
                        "connects": connects,
                        "attempt": attempt,
                        "timeout": timeout,
                    }
                    if judge is not None:
                        options["judge"] = judge
                    lease = self._lease_for(active, url, selection or ANYTHING, exclude, options)
            else:

                def take(observer: Any) -> _core.Lease:
                    options: dict[str, Any] = {
                        "log": log,
                        "observer": observer,
                        "connects": connects,
                        "attempt": attempt,
                        "timeout": timeout,
                    }
                    if judge is not None:
                        options["judge"] = judge
                    return self._lease_for(active, url, selection or ANYTHING, exclude, options)

                strategy = _log_events.name_of(active.strategy)
                lease = watch.take(take, strategy, url, method, attempt, tell=self.gate is None)
        except ProxyPoolEmptyError as error:
            # What a first attempt excludes has not failed: the caller only wants another.
            failed = exclude if attempt > 1 else ()
            if provision is not None and again and provision.in_need(error, minted, failed):
                return self.lease(
                    url,
                    selection,
                    exclude,
                    method=method,
                    attempt=attempt,
                    judge=judge,
                    log=log,
                    again=False,
                    passed=passed,
                    connects=connects,
                    timeout=timeout,
                )
            self._tell_empty(error, selection, exclude)
            if len(self.pool):
                raise
            raise ProxyPoolEmptyError(self.when_empty) from error
        if _log.isEnabledFor(logging.DEBUG):
            _log_events.proxy_selected(lease.proxy, _log_events.name_of(active.strategy), excluded=len(exclude))
        return lease

    def _through_gate(
        self,
        gate: LimiterGate,
        url: str | None,
        selection: Selection | None,
        exclude: list[Any],
        method: str | None,
        attempt: int,
        judge: Any,
        log: _core.AttemptLog | None,
        connects: bool,
        timeout: Callable[[], float | None] | None,
    ) -> _core.Lease:
        """As :meth:`lease`, with the gate's last word."""

        def choose(out_of_tokens: list[Any]) -> _core.Lease:
            return self.lease(
                url,
                selection,
                [*exclude, *out_of_tokens] if out_of_tokens else exclude,
                method=method,
                attempt=attempt,
                judge=judge,
                log=log,
                passed=True,
                connects=connects,
                timeout=timeout,
            )

        lease = gate.lease(choose, sticky=selection is not None and _is_sticky(selection))
        watch = self.watch
        if watch is not None:
            # Only now: the gate may have passed over others.
            watch.chosen(lease, _log_events.name_of(self._active.strategy), url, method, attempt)
        return lease

    def explain(
        self,
        url: str | None = None,
        selection: Selection | None = None,
        exclude: Collection[Any] = (),
    ) -> Explanation:
        """Say of every proxy whether :meth:`lease` could choose it now, and if not, why and until when.

        Args:
            url: The target.
            selection: What the request asks for.
            exclude: Ids of proxies that must not be chosen.
        """
        from proxywhirl._native.explain import Explanation

        wishes = ANYTHING if selection is None else selection
        rows = self.pool._explain(
            url,
            country=wishes.country,
            region=wishes.region,
            tags=wishes.tags,
            protocol=wishes.protocol,
            exclude=exclude,
            context=wishes.context,
            strategy=self._active.strategy,
        )
        bound = self._bound_to(wishes)
        if any(proxy.id == bound and not reasons for proxy, reasons, _ in rows):
            # A session stays with its proxy as long as that may serve.
            rows = [
                (proxy, reasons if proxy.id == bound or reasons else ["filtered"], until)
                for proxy, reasons, until in rows
            ]
        if self.gate is not None:
            rows = self.gate.explain(rows)
        return Explanation(rows, waiting=self.admission.waiting)

    def _bound_to(self, selection: Selection) -> UUID | None:
        """The proxy of the session that a request belongs to, if it has one."""
        session_id = selection.session_id
        if session_id is None and selection.context is not None:
            session_id = selection.context.session_id
        session = None if session_id is None else self.sessions.sessions.get(session_id)
        if session is None:
            return None
        import uuid

        return uuid.UUID(session.proxy_id)

    def _tell_empty(self, error: ProxyPoolEmptyError, selection: Selection | None, exclude: list[Any]) -> None:
        # A request that asks for a part of the pool, or may come back later, has not found the pool empty.
        may_come = getattr(error, "retry_after", None) is not None or getattr(error, "may_free", False)
        if not may_come and not exclude and (selection is None or selection.is_plain()):
            _log_events.pool_empty(len(self.pool), self._empty_reported)

    def _lease_for(
        self, active: ActiveStrategy, url: str | None, selection: Selection, exclude: list[Any], options: dict[str, Any]
    ) -> _core.Lease:
        strategy = active.strategy
        session_id = selection.session()
        hop: str | None = None
        if session_id is not None:
            strategy = active.for_sessions()
        elif selection.proxy_id is not None and selection.proxy_id not in exclude:
            proxy = self.pool.get_proxy_by_id(selection.proxy_id)
            if proxy is not None:
                # A session for the length of this selection: it keeps the proxy if it is still eligible.
                strategy = active.hops()
                import uuid

                hop = session_id = uuid.uuid4().hex
                strategy.session_manager.create_session(hop, proxy, 60)
        try:
            return self.pool.lease(
                strategy,
                url,
                session_id=session_id,
                country=selection.country,
                region=selection.region,
                tags=selection.tags,
                protocol=selection.protocol,
                exclude=exclude,
                context=selection.context,
                **options,
            )
        finally:
            if hop is not None:
                active.hops().session_manager.remove_session(hop)


def _is_sticky(selection: Selection) -> bool:
    """Whether the request is to have one certain proxy."""
    context = selection.context
    return selection.session_id is not None or (context is not None and context.session_id is not None)
