"""The way of one request through a transport: the rotation decides, the driver carries its steps out."""

from __future__ import annotations

import functools
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

from proxywhirl._core import HandedOver, RuleJudge, StatusJudge, request_facts
from proxywhirl._httpx.cookies import PerProxy, Wearing, keep, sets_cookies
from proxywhirl._httpx.direct import DirectLease
from proxywhirl._httpx.engine import engine_of
from proxywhirl._httpx.leased import async_leased_body, close_shielded, leased_body, load, load_async
from proxywhirl._httpx.library import HttpLibrary, flavour_of
from proxywhirl._httpx.native.sync import NativeCarrier
from proxywhirl._httpx.rotation import NO_LEASE, Answer, SendOptions, error_of
from proxywhirl._httpx.selection import LeaseAcquirer, Selection
from proxywhirl._httpx.taking import wait, wait_async
from proxywhirl._native.enums import AMBIGUOUS, Outcome
from proxywhirl.transport._begun import Begun
from proxywhirl.transport._bypass import BypassWarning
from proxywhirl.transport._responses import facts_of, last_response, response_of, whole_response
from proxywhirl.transport._settings import Settings

if TYPE_CHECKING:
    from proxywhirl._httpx.carrier import AsyncCarrier, Carrier
    from proxywhirl._httpx.limits import Limits
    from proxywhirl._httpx.native.tasks import AsyncNativeCarrier
    from proxywhirl._httpx.tls import Tls

__all__ = ["AsyncDriver", "Driver"]

_LEFT_OPEN = (401, 407)
_REFUSALS = (Outcome.BANNED, Outcome.RATE_LIMITED)

_log = logging.getLogger("proxywhirl.rotation")


class _Steps(BypassWarning, Settings):
    """What both drivers share: everything but the waiting."""

    @functools.cached_property
    def _rotation_of(self) -> Any:
        from proxywhirl.retry._unset import rotation_of

        return rotation_of

    def _begin(self, request: Any) -> Begun:
        kind = flavour_of(request)
        scheme, url, authorization = request_facts(request)
        if authorization is not None:
            # The user's own is for a proxy, and never for a site.
            del request.headers["proxy-authorization"]
        if scheme not in ("http", "https"):
            what = f"has an unsupported protocol '{scheme}://'" if scheme else "is missing an 'http://' or 'https://'"
            raise kind.error("UnsupportedProtocol", f"Request URL {what}")
        given = request.extensions.get("proxywhirl")
        # Most requests ask for nothing, and most are not redirected: those do without one.
        selection = None if given is None else Selection.of(given, request)
        read = self.read_bodies
        policy = self.retry_policy
        raise_on_ban = self.raise_on_ban
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
        timeouts = request.extensions.get("timeout")
        time_left = None if deadline is None else deadline - time.monotonic()
        taking = LeaseAcquirer(
            self.chooser,
            url,
            selection,
            method=request.method,
            connects=True,
            timeouts=timeouts,
            time_left=time_left,
        )
        rotation = self._rotation_of(
            policy,
            taking,
            request.method,
            url,
            replayable=_is_replayable(request.stream, kind),
            streaming=not read,
            raise_on_ban=raise_on_ban,
            patience=timeouts.get("pool") if timeouts else None,
            direct=_going_direct if self.allow_direct else None,
            time_left=time_left,
        )
        store = self.cookies if selection is None or selection.cookies is None else selection.cookies
        if store is None and self.first_cookies:
            # As below for redirects: what sites set is gone with the request.
            store = PerProxy(self.first_cookies)
        wearing = None
        if store is not None:
            wearing = Wearing(store, request, kind, merges=selection is not None and selection.completes_cookies())
        judge: StatusJudge | RuleJudge = self._judge
        if selection is not None or not self._judges_alike:
            judge = self._judge_of(request, kind, selection)
        return Begun(kind, selection, rotation, judge, policy, read, deadline, taking, authorization, store, wearing)

    def _terms(self, lease: Any, begun: Begun) -> SendOptions:
        selection, rotation = begun.selection, begun.rotation
        if begun.wearing is not None:
            begun.wearing.put_on(lease.id)
        timeout = None
        proxy = lease.proxy
        if self.timeout_for is not None and proxy is not None and (selection is None or not selection.fixed_timeout):
            timeout = self.timeout_for(proxy)
        most = None if selection is None else selection.max_body
        return SendOptions(
            begun.kind,
            read=begun.read,
            repeatable=rotation.may_repeat,
            timeout=timeout,
            time_left=rotation.seconds,
            max_body=self.max_body if most is None else most,
            identity=None if selection is None else selection.owner(),
            authorization=begun.authorization,
        )

    def _deliver(self, answer: Any, request: Any, begun: Begun, leased: Any, started: float | None) -> Any:
        """Make the response of the answer that the rotation delivers; complete, if `started` says since when."""
        rotation = begun.rotation
        lease, outcome, attempts, is_open = rotation.lease, rotation.outcome, rotation.attempts, rotation.is_open
        kind, selection, store = begun.kind, begun.selection, begun.store
        payload = answer.payload
        proxy_id = lease.id
        facts = facts_of(outcome, attempts, proxy_id, answer.elapsed_ms)
        make = kind.Response
        is_hop = False
        if outcome in _REFUSALS and 300 <= answer.status < 400:
            make = last_response(kind)
        elif 300 <= answer.status < 400 or answer.status in _LEFT_OPEN:
            is_hop = True
            if selection is None:
                selection = Selection()
            selection.note_hop(request, answer.status, proxy_id, begun.deadline)
            # A dictionary of its own: the user's may serve other requests too. The next hop inherits it.
            request.extensions = {**request.extensions, "proxywhirl": selection}
            if begun.wearing is not None and answer.status in _LEFT_OPEN:
                begun.wearing.take_off()
        payload.extensions["proxywhirl"] = facts
        if payload.body is None:
            stream = leased(kind)(payload, lease if is_open else None, outcome, answer, facts, kind)
            response = response_of(make, payload, stream, kind, payload.extensions)
        elif started is None:
            response = response_of(make, payload, kind.ByteStream(payload.body), kind, payload.extensions)
        else:
            response = whole_response(make, payload, request, kind, started)
        if (store is not None or (is_hop and self.keeps_hops)) and sets_cookies(payload.headers):
            if store is None:
                # For the redirects of this request through this proxy, and no longer: another exit is another visitor.
                store = PerProxy()
            if is_hop and selection is not None:
                selection.cookies = store
            response.request = request
            keep(store, response, proxy_id, kind)
        return response

    def _attached(self, answer: Answer, request: Any, begun: Begun) -> Any:
        """The response that an error carries: complete, with its request."""
        payload, rotation, kind = answer.payload, begun.rotation, begun.kind
        outcome = AMBIGUOUS if rotation.last is None else rotation.last[0]
        facts = facts_of(outcome, rotation.attempts, rotation.lease.id, answer.elapsed_ms)
        extensions = {**payload.extensions, "proxywhirl": facts}
        stream = kind.ByteStream(payload.body)
        response = response_of(kind.Response, payload, stream, kind, extensions, request=request)
        response.read()
        return response


class Driver(_Steps):
    """Carries requests out on the thread of the caller."""

    carrier: Carrier | NativeCarrier

    def _make_carrier(self, engine: str | None, tls: Tls, limits: Limits) -> Carrier | NativeCarrier:
        if engine_of(engine, tls, "native") == "native":
            return NativeCarrier(tls, limits)
        from proxywhirl._httpx.carrier import Carrier

        return Carrier(tls, limits)

    def handle_request(self, request: Any) -> Any:
        """Send a request; httpx calls this."""
        if not self._has_met_client:
            self._meet(sys._getframe(1))
        return self._carry(request, None)

    def handle_whole(self, request: Any, handed: HandedOver | None = None) -> Any:
        """As :meth:`handle_request`; the response is complete, as a client hands it out.

        Args:
            request: The request.
            handed: The request as the short way has begun it, if it has.
        """
        now = time.perf_counter()
        return self._carry(request, now if handed is None else now - handed.age, handed)

    def _carry(self, request: Any, started: float | None, handed: HandedOver | None = None) -> Any:
        begun = self._begin(request) if handed is None else Begun.of(handed)
        rotation = begun.rotation
        current: Answer | None = None
        try:
            step = rotation.start() if handed is None else handed.step
            while True:
                if step == "send":
                    lease = rotation.lease
                    terms = self._terms(lease, begun)
                    if handed is None or handed.reply is None:
                        reply = self.carrier.send(lease, request, terms)
                    else:
                        native: Any = self.carrier
                        reply = native.resume(handed, terms)
                    handed = None
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
                    return self._deliver(answer, request, begun, leased_body, started)
                elif step == "admit":
                    try:
                        lease = wait(begun.taking, *rotation.admission)
                    except NO_LEASE as refusal:
                        step = rotation.admitted(refusal)
                    else:
                        step = rotation.admitted(lease)
                elif step == "fail":
                    response = None
                    if current is not None and rotation.has_answer:
                        load(current.payload)
                        response = self._attached(current, request, begun)
                    error = error_of(rotation, request.method, request.url, begun.policy, response)
                    raise error from error.__cause__
                else:
                    if step == "wait":
                        time.sleep(rotation.seconds or 0.0)
                    elif step == "renew":
                        self.carrier.remove(rotation.lease.id)
                    elif current is not None:
                        discarded, current = current, None
                        discarded.payload.close()
                    step = rotation.done()
        finally:
            # Gives back what is open after an interruption; otherwise it does nothing.
            rotation.close()
            if current is not None:
                current.payload.close()


class AsyncDriver(_Steps):
    """Carries requests out in the running event loop."""

    carrier: AsyncCarrier | AsyncNativeCarrier

    def _make_carrier(self, engine: str | None, tls: Tls, limits: Limits) -> AsyncCarrier | AsyncNativeCarrier:
        if engine_of(engine, tls, "native") == "native":
            # Asyncio comes along.
            from proxywhirl._httpx.native.tasks import AsyncNativeCarrier

            return AsyncNativeCarrier(tls, limits)
        from proxywhirl._httpx.carrier import AsyncCarrier

        return AsyncCarrier(tls, limits)

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request; httpx calls this."""
        if not self._has_met_client:
            self._meet(sys._getframe(1))
        return await self._carry(request, None)

    async def handle_whole_async(self, request: Any, handed: HandedOver | None = None) -> Any:
        """As :meth:`Driver.handle_whole`, in the running event loop."""
        now = time.perf_counter()
        return await self._carry(request, now if handed is None else now - handed.age, handed)

    async def _carry(self, request: Any, started: float | None, handed: HandedOver | None = None) -> Any:
        begun = self._begin(request) if handed is None else Begun.of(handed)
        rotation = begun.rotation
        current: Answer | None = None
        try:
            step = rotation.start() if handed is None else handed.step
            while True:
                if step == "send":
                    lease = rotation.lease
                    terms = self._terms(lease, begun)
                    if handed is None or handed.reply is None:
                        reply = await self.carrier.send(lease, request, terms)
                    else:
                        native: Any = self.carrier
                        reply = await native.resume(handed, terms)
                    handed = None
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
                    return self._deliver(answer, request, begun, async_leased_body, started)
                elif step == "admit":
                    try:
                        lease = await wait_async(begun.taking, *rotation.admission)
                    except NO_LEASE as refusal:
                        step = rotation.admitted(refusal)
                    else:
                        step = rotation.admitted(lease)
                elif step == "fail":
                    response = None
                    if current is not None and rotation.has_answer:
                        await load_async(current.payload)
                        response = self._attached(current, request, begun)
                    error = error_of(rotation, request.method, request.url, begun.policy, response)
                    raise error from error.__cause__
                else:
                    if step == "wait":
                        await _sleep(rotation.seconds or 0.0)
                    elif step == "renew":
                        await self.carrier.remove(rotation.lease.id)
                    elif current is not None:
                        discarded, current = current, None
                        await discarded.payload.close()
                    step = rotation.done()
        finally:
            # Gives back what is open after an interruption; otherwise it does nothing.
            rotation.close()
            if current is not None:
                await close_shielded(current.payload)


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


def _told(begun: Begun, failure: Any) -> str:
    """Tell the rotation of a failure; the next step."""
    outcome = begun.judge.failure(failure)
    return begun.rotation.failed(
        outcome, failure.error, failure.sent, failure.elapsed_ms, failure.timed_out, failure.retry_after
    )


async def _sleep(seconds: float) -> None:
    import anyio

    await anyio.sleep(seconds)
