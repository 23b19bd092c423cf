"""Bodies still to come, each with the lease that it comes through."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from proxywhirl._core import hold_of
from proxywhirl._httpx.judge import meaning_of
from proxywhirl._native.enums import AMBIGUOUS, Outcome

if TYPE_CHECKING:
    from proxywhirl._httpx.judge import Verdict
    from proxywhirl._httpx.library import HttpLibrary
    from proxywhirl._httpx.payload import AsyncPayload, Payload
    from proxywhirl._httpx.rotation import Answer


async def close_shielded(payload: AsyncPayload, *, interrupted: bool = False) -> None:
    if not payload.closed:
        import anyio

        with anyio.CancelScope(shield=True):
            await payload.close(interrupted=interrupted)


def load(payload: Payload) -> None:
    """Read the rest of an answer whose status says enough: a body that breaks off is lost, and nothing is raised."""
    if payload.body is None:
        try:
            payload.read()
        except Exception as error:
            if meaning_of(error, tunnel=payload.tunnel) is None:
                raise
            payload.body = payload.content = b""
        finally:
            payload.close()


async def load_async(payload: AsyncPayload) -> None:
    """As :func:`load`."""
    if payload.body is None:
        try:
            await payload.read()
        except Exception as error:
            if meaning_of(error, tunnel=payload.tunnel) is None:
                raise
            payload.body = payload.content = b""
        finally:
            await close_shielded(payload)


class _LeasedBody:
    """A body still to come, with the lease it comes through.

    Read to its end or closed early, the lease (if it is still open) ends as its answer was judged; cut short, as the
    failure says; interrupted, it is given back.
    """

    def __init__(
        self, payload: Any, lease: Any, outcome: Verdict, answer: Answer, facts: dict[str, Any], kind: HttpLibrary
    ) -> None:
        self._payload = payload
        self._lease = lease
        self._outcome = outcome
        self._answer = answer
        self._facts = facts
        self._kind = kind

    def _settle(self, outcome: Verdict, error: BaseException | None = None) -> None:
        lease, self._lease = self._lease, None
        if lease is None:
            return
        if error is not None:
            lease.finish(outcome, None, error)
        else:
            answer = self._answer
            lease.finish(outcome, answer.elapsed_ms, hold=hold_of(outcome, answer.retry_after), status=answer.status)

    def _settle_interrupted(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()

    def _broken(self, error: Exception) -> Exception:
        """Settle a body that broke off; the exception to raise."""
        meaning = meaning_of(error, tunnel=self._payload.tunnel)
        if meaning is None:
            self._settle_interrupted()
            return error
        secrets = self._payload.secrets
        if secrets is not None:
            told = secrets.scrub_error(error)
            error = told if isinstance(told, Exception) else error
        self._facts["outcome"] = Outcome.TARGET_FAULT if meaning.outcome is AMBIGUOUS else meaning.outcome
        self._settle(meaning.outcome, error)
        shown = self._kind.error(meaning.name, str(error) or type(error).__name__)
        shown.__cause__ = error
        return shown


class _SyncLeasedBody(_LeasedBody):
    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._payload.parts()
        except GeneratorExit:
            # The reader stopped early; close() follows.
            raise
        except Exception as error:  # noqa: BLE001 - raised again, as what it means
            self._payload.close()
            shown = self._broken(error)
            raise shown from shown.__cause__
        except BaseException:
            self._settle_interrupted()
            self._payload.close(interrupted=True)
            raise
        self._settle(self._outcome)

    def close(self) -> None:
        try:
            self._payload.close()
        finally:
            self._settle(self._outcome)


class _AsyncLeasedBody(_LeasedBody):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._payload.parts():
                yield part
        except GeneratorExit:
            raise
        except Exception as error:  # noqa: BLE001 - raised again, as what it means
            await close_shielded(self._payload)
            shown = self._broken(error)
            raise shown from shown.__cause__
        except BaseException:
            self._settle_interrupted()
            await close_shielded(self._payload, interrupted=True)
            raise
        self._settle(self._outcome)

    async def aclose(self) -> None:
        try:
            await close_shielded(self._payload)
        finally:
            self._settle(self._outcome)


_bodies: dict[tuple[str, type], type] = {}


def _body_class(kind: HttpLibrary, own: type, base: Any) -> Any:
    # A client insists on streams derived from its own package's class.
    key = (kind.name, own)
    found = _bodies.get(key)
    if found is None:
        found = _bodies[key] = type(own.__name__, (own, base), {})
    return found


def leased_body(kind: HttpLibrary) -> Any:
    return _body_class(kind, _SyncLeasedBody, kind.SyncByteStream)


def async_leased_body(kind: HttpLibrary) -> Any:
    return _body_class(kind, _AsyncLeasedBody, kind.AsyncByteStream)
