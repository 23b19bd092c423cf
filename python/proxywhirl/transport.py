"""Transports for httpx (and httpx2) that rotate: every request goes through a proxy chosen for it.

::

    import httpx
    from proxywhirl import ProxyPool, RotatingTransport

    with httpx.Client(transport=RotatingTransport(["http://10.0.0.1:8080", "http://10.0.0.2:8080"])) as client:
        client.get("https://example.com")

A transport cannot see whether the client streams. Unless told otherwise it therefore returns as soon as the headers are
there, and a body that is cut short later raises httpx's error to the reader of the body; the proxy is held to account
all the same. ``read_bodies=True`` (what the rotators use for everything but ``stream``) reads the body first, so that a
body cut short is asked for again through another proxy.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from proxywhirl._core import ReportJudge, StatusJudge
from proxywhirl._httpx.body import bound_decoder, preset_decoder
from proxywhirl._httpx.carrier import AsyncCarrier, AsyncPayload, Carrier, Payload, SendOptions
from proxywhirl._httpx.cookies import CookieStore, PerProxy, Wearing, keep, sets_cookies
from proxywhirl._httpx.direct import DirectLease
from proxywhirl._httpx.judge import RuleJudge, meaning_of
from proxywhirl._httpx.leased import async_leased_body, close_shielded, leased_body
from proxywhirl._httpx.library import HttpLibrary, default_name, flavour, flavour_of
from proxywhirl._httpx.look import inspect
from proxywhirl._httpx.rotation import Answer, error_of
from proxywhirl._httpx.routes import Limits, most_routes
from proxywhirl._httpx.selection import Chooser, LeaseAcquirer, Selection, checked_bound
from proxywhirl._httpx.tls import Tls, Verify
from proxywhirl._native.enums import AMBIGUOUS, Outcome
from proxywhirl.bans import BanPolicies
from proxywhirl.exceptions import ProxyPoolEmptyError
from proxywhirl.resilience import guard_settings

if TYPE_CHECKING:
    import httpx

    from proxywhirl import _core
    from proxywhirl.resilience import ResilienceConfig
    from proxywhirl.retry import RetryPolicy

    _SyncBase = httpx.BaseTransport
    _AsyncBase = httpx.AsyncBaseTransport
else:
    # Whichever is installed: a client only calls the methods, it does not look at the base class.
    _SyncBase = flavour(default_name()).module.BaseTransport
    _AsyncBase = flavour(default_name()).module.AsyncBaseTransport

__all__ = ["AsyncRotatingTransport", "RotatingTransport"]

_LEFT_OPEN = (401, 407)
_REFUSALS = (Outcome.BANNED, Outcome.RATE_LIMITED)

_log = logging.getLogger("proxywhirl.rotation")


class _Rotating:
    """What both transports share: everything but the waiting."""

    _carrier: Any
    _carrier_class: Any
    _bans: BanPolicies
    _raise_on_ban: bool
    _cookies: CookieStore | None = None
    """Where cookies go without a session; ``None``: to the client."""
    _keeps_hops = False
    """Whether cookies set by a redirect are kept for the rest of the redirects, as the client has no jar."""

    def __init__(
        self,
        source: Any,
        *,
        strategy: Any = None,
        retry_policy: RetryPolicy | None = None,
        read_bodies: bool = False,
        verify: Verify = True,
        proxy_verify: Verify | None = None,
        trust_env: bool = False,
        max_connections: int | None = 100,
        max_keepalive_connections: int | None = 20,
        keepalive_expiry: float | None = 300.0,
        max_proxies: int | None = None,
        timeout_for: Callable[[Any], float | None] | None = None,
        auth_statuses: tuple[int, ...] = (407,),
        ban_policy: Any = None,
        ban_policies: Mapping[str, Any] | None = None,
        raise_on_ban: bool | None = None,
        allow_direct: bool = False,
        max_in_flight: int | None = None,
        slow_start: bool | None = None,
        site_rate_limit: Any = None,
        resilience: ResilienceConfig | None = None,
        max_body: float | None = None,
    ) -> None:
        self._max_body = checked_bound(max_body)
        settings = guard_settings(
            max_in_flight=max_in_flight, slow_start=slow_start, site_rate_limit=site_rate_limit, resilience=resilience
        )
        over = getattr(source, "_transport", None)
        if isinstance(over, _Rotating) and ban_policy is None and ban_policies is None:
            self._bans = over._bans
        else:
            self._bans = BanPolicies(ban_policy, ban_policies)
        if raise_on_ban is None:
            raise_on_ban = isinstance(over, _Rotating) and over._raise_on_ban
        self._chooser = _chooser_of(source, strategy)
        if settings:
            self._chooser.pool._guard_configure(**settings)
        self._raise_on_ban = raise_on_ban
        self._allow_direct = allow_direct
        plain = self._bans.is_plain and auth_statuses == (407,)
        self.report_judge = None if plain else ReportJudge(self._bans, auth_statuses)
        """What ``report()`` of a lease judges by; ``None`` means as everywhere."""
        self._judge = StatusJudge(self._bans.general, auth_statuses)
        self._judges_alike = self._bans.is_plain
        self._policy = retry_policy if retry_policy is not None else _policy_of(source)
        self._read_bodies = read_bodies
        self._timeout_for = timeout_for
        self._auth_statuses = auth_statuses
        self._carrier = self._carrier_class(
            Tls(verify, proxy_verify, trust_env=trust_env),
            Limits(
                max_keepalive_connections,
                keepalive_expiry,
                most_routes() if max_proxies is None else max_proxies,
            ),
        )
        # In force as long as this transport lives.
        self._connections_limit = _connections_limit(self._chooser.pool, max_connections)

    @property
    def pool(self) -> _core.ProxyPool:
        """The proxies."""
        return self._chooser.pool

    def _begin(self, request: Any) -> _Begun:
        # Pydantic comes along, which a program that sends no request does without.
        from proxywhirl.retry.policy import rotation_of

        kind = flavour_of(request)
        authorization = _take_authorization(request.headers)
        scheme = request.url.scheme
        if scheme not in ("http", "https"):
            what = f"has an unsupported protocol '{scheme}://'" if scheme else "is missing an 'http://' or 'https://'"
            raise kind.error("UnsupportedProtocol", f"Request URL {what}")
        given = request.extensions.get("proxywhirl")
        # Most requests ask for nothing, and most are not redirected: those do without one.
        selection = None if given is None else Selection.of(given, request)
        read = self._read_bodies
        policy = self._policy
        raise_on_ban = self._raise_on_ban
        if selection is not None:
            if selection.read_body is not None:
                read = selection.read_body
            if selection.retry_policy is not None:
                policy = selection.retry_policy
            if selection.raise_on_ban is not None:
                raise_on_ban = selection.raise_on_ban
        deadline = None if selection is None else selection.deadline
        if deadline is None and policy.timeout is not None:
            deadline = time.monotonic() + policy.timeout
        url = str(request.url)
        timeouts = request.extensions.get("timeout")
        taking = LeaseAcquirer(
            self._chooser,
            url,
            selection,
            method=request.method,
            connects=True,
            timeouts=timeouts,
            budget=policy.timeout,
        )
        patience = timeouts.get("pool") if timeouts else None
        rotation = rotation_of(
            policy,
            taking,
            request.method,
            url,
            replayable=_is_replayable(request.stream, kind),
            streaming=not read,
            raise_on_ban=raise_on_ban,
            patience=patience,
            direct=_going_direct if self._allow_direct else None,
            time_left=None if deadline is None else deadline - time.monotonic(),
        )
        store = self._cookies if selection is None or selection.cookies is None else selection.cookies
        wearing = None
        if store is not None:
            wearing = Wearing(store, request, kind, merges=selection is not None and selection.completes_cookies())
        judge: StatusJudge | RuleJudge = self._judge
        if selection is not None or not self._judges_alike:
            judge = self._judge_for(request, kind, selection)
        return _Begun(kind, selection, rotation, judge, policy, read, deadline, taking, authorization, store, wearing)

    def _judge_for(self, request: Any, kind: HttpLibrary, selection: Selection | None) -> StatusJudge | RuleJudge:
        policy = None if selection is None else selection.ban_policy
        if policy is None:
            policy = self._bans.for_host(request.url.host)
        if policy.looks_inside or policy.judges_failures:
            return RuleJudge(
                policy, request, lambda answer: inspect(answer.payload, request, kind), self._auth_statuses
            )
        if policy is self._bans.general:
            return self._judge
        return StatusJudge(policy, self._auth_statuses)

    def _terms(self, lease: Any, begun: _Begun) -> SendOptions:
        selection, rotation = begun.selection, begun.rotation
        if begun.wearing is not None:
            begun.wearing.put_on(lease.id)
        timeout = None
        proxy = lease.proxy
        if self._timeout_for is not None and proxy is not None and (selection is None or not selection.fixed_timeout):
            timeout = self._timeout_for(proxy)
        most = None if selection is None else selection.max_body
        return SendOptions(
            begun.kind,
            read=begun.read,
            repeatable=rotation.may_repeat,
            timeout=timeout,
            time_left=rotation.seconds,
            max_body=self._max_body if most is None else most,
            identity=None if selection is None else selection.owner(),
            authorization=begun.authorization,
        )

    def _deliver(self, answer: Any, request: Any, begun: _Begun, leased: Any) -> Any:
        """Make the response of the answer that the rotation delivers."""
        rotation = begun.rotation
        lease, outcome, attempts, is_open = rotation.lease, rotation.outcome, rotation.attempts, rotation.is_open
        kind, selection, store = begun.kind, begun.selection, begun.store
        payload = answer.payload
        proxy_id = lease.id
        # Of a body still to come it is not known yet; until then it counts for no fault but the site's.
        told = Outcome.TARGET_FAULT if outcome is AMBIGUOUS else outcome
        facts = _facts(told, attempts, proxy_id, answer.elapsed_ms)
        make = kind.Response
        is_hop = False
        if outcome in _REFUSALS and 300 <= answer.status < 400:
            make = _last_response(kind)
        elif 300 <= answer.status < 400 or answer.status in _LEFT_OPEN:
            is_hop = True
            if selection is None:
                selection = Selection()
            selection.note_hop(request, answer.status, proxy_id, begun.deadline)
            # A dictionary of its own: the user's may serve other requests too. The next hop inherits it.
            request.extensions = {**request.extensions, "proxywhirl": selection}
            if begun.wearing is not None and answer.status in _LEFT_OPEN:
                begun.wearing.take_off()
        if payload.body is not None:
            stream = kind.ByteStream(payload.body)
        else:
            stream = leased(kind)(payload, lease if is_open else None, outcome, answer, facts, kind)
        payload.extensions["proxywhirl"] = facts
        response = _response(make, payload, stream, kind, payload.extensions)
        if (store is not None or (is_hop and self._keeps_hops)) and sets_cookies(payload.headers):
            if store is None:
                # For the redirects of this request through this proxy, and no longer: another exit is another visitor.
                store = PerProxy()
            if is_hop and selection is not None:
                selection.cookies = store
            response.request = request
            keep(store, response, proxy_id, kind)
        return response


class _Begun(NamedTuple):
    """One request, as the transport carries it out."""

    kind: HttpLibrary
    selection: Selection | None
    rotation: _core._Rotation
    judge: StatusJudge | RuleJudge
    policy: Any
    read: bool
    """Whether the body is read before the response is handed on."""
    deadline: float | None
    taking: LeaseAcquirer
    authorization: bytes | None
    """The user's own ``Proxy-Authorization``."""
    store: CookieStore | None
    wearing: Wearing | None


class RotatingTransport(_Rotating, _SyncBase):
    """A transport for ``httpx.Client`` that sends every request through a proxy chosen for it.

    A failed request goes to another proxy, as far as the policy and the method allow. Redirects of one request stay on
    its proxy. Wishes of a single request travel in ``extensions={"proxywhirl": {...}}``: ``session_id``, ``country``,
    ``region``, ``tags``, ``protocol``, ``context``, ``retry_policy``, ``read_body``, ``max_body``, ``ban_policy``,
    ``raise_on_ban``. The response's ``extensions["proxywhirl"]`` has ``outcome``, ``attempts``, ``proxy_id`` and
    ``elapsed_ms``.

    Args:
        source: A rotator, a :class:`ProxyPool`, proxies, gateways.
        strategy: How to choose; round-robin by default, or what the rotator uses.
        retry_policy: How often to try; ``RetryPolicy()`` by default, or the rotator's.
        read_bodies: Whether to read the body before returning; see the text of the module.
        verify: Certificates of targets: ``True``, ``False``, a CA file or folder, or an ``ssl.SSLContext``.
        proxy_verify: Certificates of HTTPS proxies; as ``verify`` by default.
        trust_env: Whether ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are honoured.
        max_connections: Most requests of transports under way per proxy of the pool, each with a connection of its own.
            A proxy with as many is passed over; when all are, the request waits as long as its ``pool`` timeout says.
            Of several transports over one pool the lowest number holds, as long as its transport is there.
        max_keepalive_connections: Most idle connections per proxy.
        keepalive_expiry: Seconds an idle connection is kept.
        max_proxies: Most proxies with open connections; the least recently used goes first. By default a quarter of
            the file descriptors allowed, from 100 to 2,000.
        timeout_for: Seconds for each phase of a request through this proxy; ``None`` leaves the request's own.
        auth_statuses: Statuses by which a proxy refuses credentials.
        ban_policy: By which answers a site refuses a proxy: a :class:`BanPolicy`, its arguments, or what its ``custom``
            takes. By default the rotator's rules, or that 403 is a ban and 429 a rate limit;
            ``BanPolicy(statuses=())`` turns that off.
        ban_policies: Policies of single sites, by domain.
        raise_on_ban: Whether a final ban or rate limit raises ``ProxyBannedError`` instead of being returned; by
            default as in the rotator, or not.
        allow_direct: Whether a request goes without a proxy when none can be had. The target then sees this machine.
        max_in_flight: Most requests under way per proxy of the pool, at least 1; no limit by default.
        slow_start: Whether an unproven or recovering proxy gets one, then two, then four requests at a time.
        site_rate_limit: A ``RateLimit`` for each pair of proxy and site.
        resilience: Further settings of the pool; like the three before, they replace what it was configured with.
        max_body: Most bytes of a body, on the wire and unpacked. By default 64 MiB for a body that the transport reads
            whole, and no bound for one that the client reads; ``math.inf`` for no bound. A larger one is an answer that
            cannot be read: the request goes on through another proxy, or the reader gets ``RemoteProtocolError``.

    Raises:
        TypeError: ``source`` or ``verify`` is none of these, or another argument has the wrong type.
        ValueError: A number or a rule is not acceptable.
    """

    _carrier: Carrier
    _carrier_class = Carrier

    def handle_request(self, request: Any) -> Any:
        """Send a request; httpx calls this."""
        begun = self._begin(request)
        rotation = begun.rotation
        current: Answer | None = None
        try:
            step = rotation.start()
            while True:
                if step == "send":
                    lease = rotation.lease
                    reply = self._carrier.send(lease, request, self._terms(lease, begun))
                    if type(reply) is Answer:
                        current = reply
                        outcome = begun.judge.answer(reply)
                        step = rotation.answered(
                            outcome, reply.status, reply.elapsed_ms, reply.tunnel, reply.retry_after
                        )
                    else:
                        step = _told(begun, reply)
                elif step == "deliver":
                    answer, current = current, None
                    return self._deliver(answer, request, begun, leased_body)
                elif step == "admit":
                    try:
                        lease = begun.taking.wait(*rotation.admission)
                    except ProxyPoolEmptyError as empty:
                        step = rotation.admitted(empty)
                    else:
                        step = rotation.admitted(lease)
                elif step == "fail":
                    held = current if rotation.has_answer else None
                    response = None if held is None else _loaded(held, request, begun)
                    error = error_of(rotation, request.method, request.url, begun.policy, response)
                    raise error from error.__cause__
                else:
                    if step == "wait":
                        time.sleep(rotation.seconds or 0.0)
                    elif step == "renew":
                        self._carrier.routes.remove(rotation.lease.id)
                    elif current is not None:
                        discarded, current = current, None
                        discarded.payload.close()
                    step = rotation.done()
        finally:
            # Gives back what is open after an interruption; otherwise it does nothing.
            rotation.close()
            if current is not None:
                current.payload.close()

    def close(self) -> None:
        """Close all connections. The transport can be used again; it then opens new ones."""
        self._carrier.close()


class AsyncRotatingTransport(_Rotating, _AsyncBase):
    """As :class:`RotatingTransport`, for ``httpx.AsyncClient``.

    One transport may serve several event loops, in turn or at once: connections belong to a loop, are made anew in each
    and are closed when it ends.
    """

    _carrier: AsyncCarrier
    _carrier_class = AsyncCarrier

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request; httpx calls this."""
        begun = self._begin(request)
        rotation = begun.rotation
        current: Answer | None = None
        try:
            step = rotation.start()
            while True:
                if step == "send":
                    lease = rotation.lease
                    reply = await self._carrier.send(lease, request, self._terms(lease, begun))
                    if type(reply) is Answer:
                        current = reply
                        outcome = begun.judge.answer(reply)
                        step = rotation.answered(
                            outcome, reply.status, reply.elapsed_ms, reply.tunnel, reply.retry_after
                        )
                    else:
                        step = _told(begun, reply)
                elif step == "deliver":
                    answer, current = current, None
                    return self._deliver(answer, request, begun, async_leased_body)
                elif step == "admit":
                    try:
                        lease = await begun.taking.wait_async(*rotation.admission)
                    except ProxyPoolEmptyError as empty:
                        step = rotation.admitted(empty)
                    else:
                        step = rotation.admitted(lease)
                elif step == "fail":
                    held = current if rotation.has_answer else None
                    response = None if held is None else await _aloaded(held, request, begun)
                    error = error_of(rotation, request.method, request.url, begun.policy, response)
                    raise error from error.__cause__
                else:
                    if step == "wait":
                        await _sleep(rotation.seconds or 0.0)
                    elif step == "renew":
                        await self._carrier.remove(rotation.lease.id)
                    elif current is not None:
                        discarded, current = current, None
                        await discarded.payload.close()
                    step = rotation.done()
        finally:
            # Gives back what is open after an interruption; otherwise it does nothing.
            rotation.close()
            if current is not None:
                await close_shielded(current.payload)

    async def aclose(self) -> None:
        """Close all connections. The transport can be used again; it then opens new ones."""
        await self._carrier.aclose()


def _chooser_of(source: Any, strategy: Any) -> Chooser:
    from proxywhirl import _core

    own = getattr(source, "_chooser", None)
    gateways: list[Any] = []
    if isinstance(own, Chooser):
        if strategy is None:
            return own
        source = own.pool
    if isinstance(source, _core.ProxyPool):
        pool = source
    elif isinstance(source, Iterable) and not isinstance(source, (str, bytes, Mapping)):
        pool = _core.ProxyPool(name="transport", max_pool_size=2**31 - 1)
        given: list[Any] = [source] if hasattr(source, "_into") else list(source)
        gateways = [item for item in given if hasattr(item, "_into")]
        for proxy in (item for item in given if not hasattr(item, "_into")):
            pool.add_proxy(_core.Proxy(**proxy) if isinstance(proxy, Mapping) else proxy)
    else:
        raise TypeError(f"source must be a rotator, a ProxyPool or a list of proxies, not {type(source).__name__}")
    chooser = Chooser(pool, resolve_for_rotation("round-robin" if strategy is None else strategy))
    if isinstance(own, Chooser):
        chooser.share_provision(own)
    for gateway in gateways:
        chooser.provided().add_gateway(gateway)
    return chooser


def _connections_limit(pool: _core.ProxyPool, most: int | None) -> _core.ConnectionsLimit | None:
    from proxywhirl import _core

    return None if most is None else _core.ConnectionsLimit(pool, most)


def resolve_for_rotation(strategy: Any, **arguments: Any) -> Any:
    """Resolve a strategy and let it know that it serves real traffic from a cold start.

    Args:
        strategy: Whatever stands for a strategy.
        **arguments: Of the strategy, when it is a name or a class.

    Returns:
        What the core can use.
    """
    from proxywhirl.strategies import _registry

    resolved = _registry.resolve(strategy, warm_up=True, **arguments)
    defaults = getattr(resolved, "_rotator_defaults", None)
    if defaults is not None:
        defaults()
    return resolved


def _policy_of(source: Any) -> RetryPolicy:
    from proxywhirl.retry import RetryPolicy

    policy = getattr(source, "retry_policy", None)
    return policy if policy is not None else RetryPolicy()


def _going_direct() -> DirectLease:
    _log.warning("no proxy can be had: the request goes without one, as allow_direct permits")
    return DirectLease()


def _is_replayable(stream: Any, kind: HttpLibrary) -> bool:
    """Whether a request's body can be sent a second time.

    A generator is used up; a file stands at its end, and would be sent as nothing.
    """
    if isinstance(stream, kind.ByteStream):
        return True
    # Multipart bodies rewind their files themselves, if these can be.
    fields = getattr(stream, "fields", None)
    if isinstance(fields, list):
        files = (getattr(field, "file", b"") for field in fields)
        return all(isinstance(file, (str, bytes)) or _is_seekable(file) for file in files)
    return False


def _is_seekable(file: Any) -> bool:
    seekable = getattr(file, "seekable", None)
    return bool(seekable()) if callable(seekable) else hasattr(file, "seek")


def _facts(outcome: Outcome, attempts: int, proxy_id: Any, elapsed_ms: float) -> dict[str, Any]:
    return {"outcome": outcome, "attempts": attempts, "proxy_id": proxy_id, "elapsed_ms": elapsed_ms}


def _take_authorization(headers: Any) -> bytes | None:
    """Take the user's own ``Proxy-Authorization`` off a request: it is for a proxy, and never for a site."""
    found: bytes | None = None
    for name, value in headers.raw:
        if len(name) == 19 and name.lower() == b"proxy-authorization":
            found = value
    if found is not None:
        del headers["proxy-authorization"]
    return found


def _response(make: Any, payload: Any, stream: Any, kind: HttpLibrary, extensions: dict[str, Any], **more: Any) -> Any:
    """The response of an answer; what it unpacks is within the bounds of the answer."""
    response = make(payload.status, headers=payload.headers, stream=stream, extensions=extensions, **more)
    if payload.body is None:
        if payload.max_body is not None:
            bound_decoder(response, payload.headers, payload.max_body, kind)
    elif payload.content is not payload.body:
        preset_decoder(response, payload.content, kind)
    return response


def _last_response(kind: HttpLibrary) -> Any:
    """The class of a redirect that a client does not follow: where a site sends a banned proxy is not the page."""
    found = _last_responses.get(kind.name)
    if found is None:
        found = _last_responses[kind.name] = type("Response", (kind.Response,), {"has_redirect_location": False})
    return found


_last_responses: dict[str, type] = {}


def _told(begun: _Begun, failure: Any) -> str:
    """Tell the rotation of a failure; the next step."""
    outcome = begun.judge.failure(failure)
    return begun.rotation.failed(
        outcome, failure.error, failure.sent, failure.elapsed_ms, failure.timed_out, failure.retry_after
    )


def _loaded(answer: Answer, request: Any, begun: _Begun) -> Any:
    payload: Payload = answer.payload
    if payload.body is None:
        try:
            payload.read()
        except Exception as error:
            if meaning_of(error, tunnel=payload.tunnel) is None:
                raise
            # The status says enough; the page behind it is lost.
            payload.body = payload.content = b""
        finally:
            payload.close()
    return _attached(answer, request, begun)


async def _aloaded(answer: Answer, request: Any, begun: _Begun) -> Any:
    payload: AsyncPayload = answer.payload
    if payload.body is None:
        try:
            await payload.read()
        except Exception as error:
            if meaning_of(error, tunnel=payload.tunnel) is None:
                raise
            payload.body = payload.content = b""
        finally:
            await close_shielded(payload)
    return _attached(answer, request, begun)


def _attached(answer: Answer, request: Any, begun: _Begun) -> Any:
    """The response that an error carries: complete, with its request."""
    payload, rotation, kind = answer.payload, begun.rotation, begun.kind
    outcome = AMBIGUOUS if rotation.last is None else rotation.last[0]
    told = Outcome.TARGET_FAULT if outcome is AMBIGUOUS else outcome
    facts = _facts(told, rotation.attempts, rotation.lease.id, answer.elapsed_ms)
    extensions = {**payload.extensions, "proxywhirl": facts}
    response = _response(kind.Response, payload, kind.ByteStream(payload.body), kind, extensions, request=request)
    response.read()
    return response


async def _sleep(seconds: float) -> None:
    import anyio

    await anyio.sleep(seconds)
