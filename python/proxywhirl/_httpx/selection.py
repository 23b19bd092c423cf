"""What one request demands of its proxy, and the place where the choice is made."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable
from urllib.parse import urlsplit

from proxywhirl._base.fork import new_lock
from proxywhirl._httpx.admission import wait_async
from proxywhirl._native.redact import shown
from proxywhirl.bans import BanPolicy
from proxywhirl.events import log as _log_events
from proxywhirl.exceptions import ProxyPoolEmptyError

if TYPE_CHECKING:
    from uuid import UUID

    from proxywhirl import _core
    from proxywhirl._httpx.cookies import CookieStore
    from proxywhirl._httpx.sources import Sources
    from proxywhirl._native.explain import Explanation
    from proxywhirl.retry import RetryPolicy
    from proxywhirl.rotator._gate import Gate
    from proxywhirl.rotator._queue import RequestQueue
    from proxywhirl.rotator._watch import Watch
    from proxywhirl.strategies._adapter import Adapter

__all__ = ["Chooser", "Selection", "Taking", "checked_bound"]

_log = _log_events.log


class Selection:
    """The wishes of one logical request, redirects included; travels in ``request.extensions["proxywhirl"]``.

    Args:
        session_id: Requests of the same id use the same proxy.
        country: Country of the proxy.
        region: Region of the proxy.
        tags: Tags the proxy must have, all of them.
        protocol: Protocol that it must speak, or several of which one will do.
        context: A selection context that the other wishes are laid over.
        retry_policy: Instead of the transport's.
        read_body: Read the body before returning, so that a body cut short can be asked for again;
            ``None`` leaves it to the transport.
        fixed_timeout: The caller named a timeout, so it must not follow the speed of the proxy.
        ban_policy: Ban rules instead of the transport's, for whichever site; see :meth:`BanPolicy.of`.
        raise_on_ban: Whether a final ban or rate limit is raised; ``None`` leaves it to the transport.
        max_body: Most bytes of the body, on the wire and unpacked; ``math.inf`` for no bound, ``None`` leaves it to the
            transport.
        deadline: When the request must be over, redirects included, by ``time.monotonic``; ``None`` leaves it to the
            policy.
    """

    __slots__ = (
        "_hop_of",
        "_hop_status",
        "ban_policy",
        "context",
        "cookies",
        "country",
        "deadline",
        "fixed_timeout",
        "max_body",
        "merges_cookies",
        "protocol",
        "proxy_id",
        "raise_on_ban",
        "read_body",
        "region",
        "retry_policy",
        "session_id",
        "tags",
    )

    def __init__(
        self,
        *,
        session_id: str | None = None,
        country: str | None = None,
        region: str | None = None,
        tags: Iterable[str] | None = None,
        protocol: str | Iterable[str] | None = None,
        context: _core.SelectionContext | None = None,
        retry_policy: RetryPolicy | None = None,
        read_body: bool | None = None,
        fixed_timeout: bool = False,
        ban_policy: BanPolicy | Mapping[str, Any] | None = None,
        raise_on_ban: bool | None = None,
        max_body: float | None = None,
        deadline: float | None = None,
    ) -> None:
        if isinstance(tags, str):
            raise TypeError("tags must be a set or list of strings, not one string")
        if tags is not None and not isinstance(tags, Collection):
            # An iterator would be used up by the first attempt.
            tags = list(tags)
        if protocol is not None and not isinstance(protocol, str):
            protocol = tuple(protocol)
        self.session_id = session_id
        self.country = country
        self.region = region
        self.tags = tags
        self.protocol = protocol
        self.context = context
        self.retry_policy = retry_policy
        self.read_body = read_body
        self.fixed_timeout = fixed_timeout
        self.ban_policy = None if ban_policy is None else BanPolicy.of(ban_policy)
        self.raise_on_ban = raise_on_ban
        self.max_body = None if max_body is None else checked_bound(max_body)
        self.deadline = deadline
        self.cookies: CookieStore | None = None
        """Where the cookies of this request come from and go to; ``None`` where the client keeps them."""
        self.merges_cookies = False
        """Whether those that the request brought along are completed by them."""
        self.proxy_id: UUID | None = None
        """The proxy of the hop before this one."""
        self._hop_of = 0
        self._hop_status = 0

    @classmethod
    def of(cls, value: Any, request: Any) -> Selection:
        """Make a selection of what a request carries, or go on with the one of the hop before.

        Args:
            value: ``None``, a mapping of the constructor's arguments, or a selection.
            request: The request that carries it.

        Raises:
            TypeError: It is something else, or names an unknown wish.
        """
        if value is None:
            return cls()
        if isinstance(value, cls):
            return value if value._continues(request) else value._anew()
        if isinstance(value, Mapping):
            return cls(**value)
        raise TypeError(f"extensions['proxywhirl'] must be a mapping, not {type(value).__name__}")

    def note_hop(self, request: Any, status: int, proxy_id: UUID | None, deadline: float | None = None) -> None:
        """Remember how this hop went; the next one stays on its proxy, and has the same deadline."""
        self.deadline = deadline
        # The identity, not the object: request and selection would otherwise keep each other alive. No other request
        # can have that address while a redirect is followed, for the response holds it.
        self._hop_of = id(request)
        self._hop_status = status
        self.proxy_id = proxy_id

    def is_plain(self) -> bool:
        """Whether nothing is asked of the choice."""
        return (
            self.session_id is None
            and self.country is None
            and self.region is None
            and self.tags is None
            and self.protocol is None
            and self.context is None
            and self.proxy_id is None
        )

    def _continues(self, request: Any) -> bool:
        """Whether the request is a further hop, rather than the same one sent again by the user."""
        if not self._hop_of:
            return True
        if self._hop_of == id(request):
            return self._hop_status == 401
        return 300 <= self._hop_status < 400

    def owner(self) -> Hashable | None:
        """Names the session that has its connections to itself; ``None`` without a session."""
        token: Hashable | None = getattr(self.cookies, "token", None)
        return self.session() if token is None else token

    def completes_cookies(self) -> bool:
        """Whether a ``Cookie`` header that the request has is completed, rather than taken for all there is to send."""
        # What a further hop has, as after a 401, comes from the client and not from the user.
        return self.merges_cookies or self._hop_of != 0

    def session(self) -> str | None:
        """The session's id; ``None`` without one."""
        if self.session_id is None and self.context is not None:
            return self.context.session_id
        return self.session_id

    def _anew(self) -> Selection:
        again = Selection(
            session_id=self.session_id,
            country=self.country,
            region=self.region,
            tags=self.tags,
            protocol=self.protocol,
            context=self.context,
            retry_policy=self.retry_policy,
            read_body=self.read_body,
            fixed_timeout=self.fixed_timeout,
            ban_policy=self.ban_policy,
            raise_on_ban=self.raise_on_ban,
            max_body=self.max_body,
        )
        again.cookies = self.cookies
        again.merges_cookies = self.merges_cookies
        return again

    def key(self) -> Hashable:
        """Equal for selections that ask the same of the choice."""
        tags = None if self.tags is None else tuple(sorted(self.tags))
        context = None if self.context is None else id(self.context)
        return (self.session_id, self.country, self.region, tags, self.protocol, context, self.proxy_id)


def checked_bound(most: float | None) -> float | None:
    """A ``max_body`` as it was given.

    Args:
        most: Bytes; ``math.inf`` for no bound, ``None`` for the default.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative, or not a number.
    """
    if most is None:
        return None
    if isinstance(most, bool) or not isinstance(most, (int, float)):
        raise TypeError(f"max_body must be a number of bytes, not {type(most).__name__}")
    if math.isnan(most) or most < 0:
        raise ValueError(f"max_body must be a number of bytes from 0 up, or math.inf, not {shown(most)}")
    return most


_ANYTHING = Selection()


def selection_of(
    *,
    session_id: str | None,
    country: str | None,
    region: str | None,
    tags: Iterable[str] | None,
    protocol: str | Iterable[str] | None,
) -> Selection | None:
    """The demands of a lease, by the arguments of :class:`Selection`; ``None`` without any."""
    if session_id is None and country is None and region is None and tags is None and protocol is None:
        return None
    return Selection(session_id=session_id, country=country, region=region, tags=tags, protocol=protocol)


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
        self.gate: Gate | None = None
        """Has the last word on a lease; ``None`` where nothing but the core does."""
        self._lock = new_lock()
        self._active = _Active(strategy)
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
            active = _Active(strategy)
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
                    lease = self._lease_for(active, url, selection or _ANYTHING, exclude, options)
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
                    return self._lease_for(active, url, selection or _ANYTHING, exclude, options)

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
        gate: Gate,
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

        wishes = _ANYTHING if selection is None else selection
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
        self, active: _Active, url: str | None, selection: Selection, exclude: list[Any], options: dict[str, Any]
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


class Taking:
    """How one request takes its proxies: at once where it may, else from the line.

    Args:
        chooser: Chooses.
        url: The target.
        selection: What the request asks for.
        method: The method, for the watch.
        connects: Whether the request holds a connection of a transport of this pool.
        judge: What ``lease.report`` judges by.
        timeouts: Seconds for each phase of the request, as httpx names them.
        budget: Seconds for all attempts together; ``None`` without a bound.
    """

    __slots__ = (
        "_began",
        "_budget",
        "_chooser",
        "_connects",
        "_judge",
        "_log",
        "_method",
        "_selection",
        "_timeouts",
        "_url",
    )

    def __init__(
        self,
        chooser: Chooser,
        url: str | None,
        selection: Selection | None,
        *,
        method: str | None = None,
        connects: bool = False,
        judge: Any = None,
        timeouts: Mapping[str, float | None] | None = None,
        budget: float | None = None,
    ) -> None:
        self._chooser = chooser
        self._url = url
        self._selection = selection
        self._method = method
        self._connects = connects
        self._judge = judge
        self._timeouts = timeouts
        self._budget = budget
        self._began = 0.0 if budget is None else time.monotonic()
        attempts = chooser.attempts
        self._log = None if attempts is None else attempts.begin()

    def __call__(self, exclude: list[Any], attempt: int, seconds: float | None) -> _core.Lease | None:
        """Take a lease now.

        Args:
            exclude: Ids of proxies not to take.
            attempt: Which attempt this is, from 1.
            seconds: How long the request may wait; ``None`` for any time.

        Returns:
            The lease; ``None`` if it is worth waiting in line with :meth:`wait`.

        Raises:
            ProxyPoolEmptyError: No proxy is admissible, and waiting is useless.
        """
        admission = self._chooser.admission
        # Requests that wait in line already come first.
        if admission.waiting:
            return None
        try:
            return self._ask(exclude, attempt)
        except ProxyPoolEmptyError as error:
            if seconds == 0 or admission.is_useless(error, seconds):
                raise
            return None

    def _place(self, exclude: Iterable[Any], attempt: int) -> tuple[str, Callable[[], _core.Lease]]:
        """The key in line of an attempt, equal for those that want the same, and what takes its lease."""
        excluded = list(exclude)
        selection = self._selection
        key = (
            None if self._url is None else urlsplit(self._url).hostname,
            None if selection is None or selection.is_plain() else selection.key(),
            sorted(map(str, excluded)),
            id(self._chooser),
        )
        return repr(key), lambda: self._ask(excluded, attempt)

    def wait(self, exclude: Iterable[Any], attempt: int, seconds: float | None) -> _core.Lease:
        """Stand in line for a lease, blocking; arguments as above.

        Raises:
            ProxyPoolEmptyError: Time is up, or waiting has become useless.
            RequestQueueFullError: There is no place left.
        """
        key, take = self._place(exclude, attempt)
        queue = self._chooser.queue
        lease: _core.Lease
        with contextlib.nullcontext() if queue is None else queue.place(take):
            lease = self._chooser.admission.wait(key, take, seconds)
        return lease

    async def wait_async(self, exclude: Iterable[Any], attempt: int, seconds: float | None) -> _core.Lease:
        """As :meth:`wait`, without blocking the event loop."""
        key, take = self._place(exclude, attempt)
        queue = self._chooser.queue
        lease: _core.Lease
        with contextlib.nullcontext() if queue is None else queue.place(take):
            lease = await wait_async(self._chooser.admission, key, take, seconds)
        return lease

    def _ask(self, exclude: list[Any], attempt: int) -> _core.Lease:
        return self._chooser.lease(
            self._url,
            self._selection,
            exclude,
            method=self._method,
            attempt=attempt,
            judge=self._judge,
            log=self._log,
            connects=self._connects,
            timeout=self._milliseconds,
        )

    def _milliseconds(self) -> float | None:
        """How long the request may take from now on: its own timeout, and what is left of the policy's budget."""
        phases = self._timeouts or {}
        given = [seconds for name, seconds in phases.items() if name != "pool" and seconds is not None]
        limits = [max(given)] if given else []
        if self._budget is not None:
            limits.append(max(self._began + self._budget - time.monotonic(), 0.0))
        return min(limits) * 1000.0 if limits else None


class _Active:
    """A strategy with what is needed to make it sticky."""

    __slots__ = ("_hops", "_lock", "_own", "_sticky", "strategy")

    def __init__(self, strategy: _core.Strategy | Adapter) -> None:
        self.strategy = strategy
        self._own = _session_part(strategy)
        self._sticky: _core.SessionPersistenceStrategy | None = None
        self._hops: _core.SessionPersistenceStrategy | None = None
        self._lock = new_lock()

    def for_sessions(self) -> Any:
        """What serves a request with a session: the strategy itself, if it knows sessions."""
        return self.strategy if self._own is not None or _knows_sessions(self.strategy) else self.sticky()

    def sticky(self) -> _core.SessionPersistenceStrategy:
        """The strategy that holds the sessions."""
        if self._own is not None:
            return self._own
        if self._sticky is None:
            with self._lock:
                if self._sticky is None:
                    self._sticky = _pinning(self.strategy)
        return self._sticky

    def hops(self) -> _core.SessionPersistenceStrategy:
        """As :meth:`sticky`, for the hops of redirects; apart, so that these never push out a user's session."""
        if self._hops is None:
            with self._lock:
                if self._hops is None:
                    self._hops = _pinning(self.strategy)
        return self._hops

    def has_sessions(self) -> bool:
        part = self._own if self._own is not None else self._sticky
        return part is not None and len(part.session_manager) > 0

    def take_over(self, pool: _core.ProxyPool, before: _Active) -> None:
        sessions = self.sticky().session_manager
        for session in before.sticky().session_manager.get_all_sessions():
            proxy = pool.get_proxy_by_id(session.proxy_id)
            if proxy is not None and session.session_id not in sessions:
                left = session.expires_at - session.last_used_at
                sessions.create_session(session.session_id, proxy, max(1, int(left.total_seconds())))


def _is_sticky(selection: Selection) -> bool:
    """Whether the request is to have one certain proxy."""
    context = selection.context
    return selection.session_id is not None or (context is not None and context.session_id is not None)


def _pinning(strategy: Any) -> _core.SessionPersistenceStrategy:
    from proxywhirl import _core

    return _core.SessionPersistenceStrategy(fallback_strategy=strategy)


def _session_part(strategy: Any) -> _core.SessionPersistenceStrategy | None:
    """The part of a strategy that holds sessions, if it has one."""
    from proxywhirl import _core

    for _ in range(8):
        if isinstance(strategy, _core.SessionPersistenceStrategy):
            return strategy
        if isinstance(strategy, _core.CompositeStrategy):
            strategy = strategy.selector
        else:
            return None
    return None


def _knows_sessions(strategy: Any) -> bool:
    """Whether a strategy written in Python says that it handles sessions itself."""
    return bool(getattr(getattr(strategy, "user", strategy), "session_aware", False))
