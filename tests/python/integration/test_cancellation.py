"""Cancellation at every await point: whatever was taken is given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxywhirl import AsyncProxyRotator, ProxyPoolEmptyError, RetryPolicy
from proxywhirl.testing import ProxyFleet, ProxySpec

QUICK = RetryPolicy(base_delay=0.001, max_backoff_delay=0.002)
# More suspensions than any of the requests below has.
MOST = 400


class _CancelledAt:
    """Awaits something, and cancels the task that does when it is suspended for the nth time."""

    def __init__(self, work: Awaitable[Any], moment: int) -> None:
        self._work = work
        self._moment = moment
        self.suspended = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._work.__await__()
        reply: Any = None
        error: BaseException | None = None
        while True:
            try:
                waited = inner.send(reply) if error is None else inner.throw(error)
            except StopIteration as end:
                return end.value
            if self.suspended == self._moment:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            self.suspended += 1
            reply, error = None, None
            try:
                reply = yield waited
            except BaseException as thrown:
                error = thrown


async def sweep(rotator: AsyncProxyRotator, work: Callable[[], Awaitable[Any]]) -> int:
    """Cancel at the first await, at the second, and so on, until it ends before; how many there were."""
    for moment in range(MOST):
        attempt = _CancelledAt(work(), moment)

        async def run(attempt: _CancelledAt = attempt) -> Any:
            return await attempt

        task = asyncio.create_task(run())
        await asyncio.wait([task])
        for proxy in rotator.pool:
            assert proxy.requests_active == 0, f"cancelled at await {moment}"
            assert proxy.requests_started == proxy.requests_completed
        assert rotator._chooser.admission.waiting == 0
        if attempt.suspended <= moment:
            if not task.cancelled():
                task.exception()
            return moment
    raise AssertionError(f"more than {MOST} awaits")


@asynccontextmanager
async def rotating(fleet: ProxyFleet, **options: Any) -> AsyncIterator[AsyncProxyRotator]:
    options.setdefault("retry_policy", QUICK)
    async with AsyncProxyRotator(proxies=fleet.urls, verify=fleet.ca_file(), **options) as rotator:
        yield rotator


@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks5"])
@pytest.mark.parametrize("secure", [False, True])
# The native engine opens the connection and sends and receives behind one await.
@pytest.mark.parametrize(("engine", "least"), [("httpx", 3), ("native", 1)])
def test_a_request(scheme: str, secure: bool, engine: str, least: int) -> None:
    async def main(fleet: ProxyFleet) -> None:
        async with rotating(fleet, engine=engine) as rotator:
            url = fleet.site_url("shop.test", "/bytes/20000", https=secure)

            async def get() -> None:
                assert (await rotator.get(url)).status_code == 200
                # The next one needs a new connection, so that every await of making one is among them.
                await rotator._transport.aclose()

            assert await sweep(rotator, get) >= least

    with ProxyFleet([ProxySpec(scheme=scheme)]) as fleet:
        asyncio.run(main(fleet))


def test_failover_with_pauses() -> None:
    async def main(fleet: ProxyFleet) -> None:
        async with rotating(fleet) as rotator:
            url = fleet.site_url("shop.test", "/whoami")
            assert await sweep(rotator, lambda: rotator.get(url)) >= 2

    with ProxyFleet([ProxySpec(fault="502"), ProxySpec(fault="reset"), ProxySpec(name="good")]) as fleet:
        asyncio.run(main(fleet))


def test_a_stream() -> None:
    async def main(fleet: ProxyFleet) -> None:
        async with rotating(fleet) as rotator:

            async def read() -> int:
                size = 0
                async with rotator.stream("GET", fleet.site_url("shop.test", "/bytes/200000")) as response:
                    async for part in response.aiter_raw():
                        size += len(part)
                assert size == 200_000
                return size

            assert await sweep(rotator, read) >= 2

    with ProxyFleet(1) as fleet:
        asyncio.run(main(fleet))


def test_standing_in_line_for_a_connection() -> None:
    async def main(fleet: ProxyFleet) -> None:
        async with rotating(fleet, config={"pool_connections": 1}) as rotator:
            slow = fleet.site_url("shop.test", "/delay/30")

            async def behind_another() -> None:
                other = asyncio.create_task(rotator.get(slow))
                try:
                    await asyncio.sleep(0)
                    assert (await rotator.get(slow)).status_code == 200
                finally:
                    other.cancel()
                    await asyncio.wait([other])

            assert await sweep(rotator, behind_another) >= 4

    with ProxyFleet(1) as fleet:
        asyncio.run(main(fleet))


def test_leases() -> None:
    async def main(fleet: ProxyFleet) -> None:
        async with rotating(fleet) as rotator:

            async def take() -> None:
                async with rotator.lease(timeout=1) as lease:
                    await asyncio.sleep(0)
                    assert lease.proxy.requests_active == 1

            assert await sweep(rotator, take) >= 1
            with pytest.raises(ProxyPoolEmptyError):
                await rotator.lease(timeout=0.05, exclude=[proxy.id for proxy in rotator.pool])

    with ProxyFleet(2) as fleet:
        asyncio.run(main(fleet))
