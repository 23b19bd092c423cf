"""Standing in line for a proxy: order, deadlines, cancellation; threads and tasks."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import time
import weakref
from collections import Counter
from typing import Any, Callable, NamedTuple

import pytest

from proxywhirl import ProxyPool, ProxyPoolEmptyError, _core
from proxywhirl._httpx.admission import wait_async


class Wish(NamedTuple):
    key: str
    ask: Callable[[], Any]
    seconds: float | None


class Admission:
    """The core's line in front of a pool that is not the core's."""

    def __init__(self, pool: FakePool) -> None:
        self.line = pool.line

    @property
    def waiting(self) -> int:
        return self.line.waiting

    def now(self, ask: Callable[[], Any], seconds: float | None) -> Any:
        """As :class:`LeaseAcquirer` does."""
        if self.line.waiting:
            return None
        try:
            return ask()
        except ProxyPoolEmptyError as error:
            if seconds == 0 or self.line.is_useless(error, seconds):
                raise
            return None

    def wait(self, wish: Wish) -> Any:
        return self.line.wait(*wish)

    async def wait_async(self, wish: Wish) -> Any:
        return await wait_async(self.line, *wish)


class FakeLease:
    def __init__(self, pool: FakePool) -> None:
        self.pool = pool
        self.open = True

    def release(self) -> None:
        assert self.open
        self.open = False
        with self.pool.lock:
            self.pool.active -= 1
        self.pool.tell()


class FakePool:
    """A pool of so many places, in which a site may be closed until a moment."""

    def __init__(self, places: int = 1) -> None:
        self.places = places
        self.active = 0
        self.most = 0
        self.asked = 0
        self.closed: dict[str, float] = {}
        self.lock = threading.Lock()
        self.line = _core.WaitingLine()
        self.granted: list[Any] = []

    def tell(self) -> None:
        if self.line.waiting > 0:
            self.line.look()

    def lease(self, site: str = "", name: Any = None) -> FakeLease:
        with self.lock:
            self.asked += 1
            left = self.closed.get(site, 0.0) - time.monotonic()
            if left > 0:
                raise ProxyPoolEmptyError(retry_after=left, reasons={"banned_here": 1})
            if self.active >= self.places:
                raise ProxyPoolEmptyError(may_free=self.places > 0, reasons={"at_capacity": 1})
            self.active += 1
            self.most = max(self.most, self.active)
            self.granted.append(name)
            return FakeLease(self)

    def wish(self, seconds: float | None = 5.0, site: str = "", name: Any = None) -> Wish:
        return Wish(site, lambda: self.lease(site, name), seconds)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_at_once_when_no_request_waits() -> None:
    pool = FakePool()
    admission = Admission(pool)
    lease = admission.now(pool.lease, 5.0)
    assert admission.now(pool.lease, 5.0) is None
    with pytest.raises(ProxyPoolEmptyError):
        admission.now(pool.lease, 0)
    lease.release()
    assert admission.waiting == 0


def test_useless_waiting_is_not_begun() -> None:
    pool = FakePool(0)
    admission = Admission(pool)
    began = time.monotonic()
    for attempt in (lambda: admission.now(pool.lease, None), lambda: admission.wait(pool.wish(None))):
        with pytest.raises(ProxyPoolEmptyError):
            attempt()
    pool.closed["a"] = time.monotonic() + 60
    with pytest.raises(ProxyPoolEmptyError):
        admission.now(lambda: pool.lease("a"), 30.0)
    with pytest.raises(ProxyPoolEmptyError):
        admission.wait(pool.wish(30.0, "a"))
    assert time.monotonic() - began < 20
    assert admission.waiting == 0


def test_until_the_deadline() -> None:
    pool = FakePool()
    admission = Admission(pool)
    pool.lease()
    began = time.monotonic()
    with pytest.raises(ProxyPoolEmptyError):
        admission.wait(pool.wish(0.1))
    assert 0.09 < time.monotonic() - began < 20
    assert admission.waiting == 0


def test_until_a_known_moment() -> None:
    pool = FakePool()
    admission = Admission(pool)
    pool.closed["a"] = time.monotonic() + 0.1
    admission.wait(pool.wish(5, "a"))
    assert time.monotonic() >= pool.closed["a"]
    assert pool.asked < 10, "it sleeps, it does not poll"


def test_first_come_first_served() -> None:
    pool = FakePool()
    admission = Admission(pool)
    held = pool.lease()
    order: list[int] = []

    def work(number: int) -> None:
        lease = admission.wait(pool.wish())
        order.append(number)
        lease.release()

    threads = []
    for number in range(20):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        until(lambda: admission.waiting == len(threads))
    held.release()
    for thread in threads:
        thread.join(5)
    assert order == list(range(20))
    assert (admission.waiting, pool.active, pool.most) == (0, 0, 1)


def test_a_newcomer_does_not_overtake() -> None:
    pool = FakePool()
    admission = Admission(pool)
    held = pool.lease()
    waiting = threading.Thread(target=lambda: admission.wait(pool.wish(name="first")))
    waiting.start()
    until(lambda: admission.waiting == 1)
    # The place becomes free without a signal: what comes now must still let the first request go first.
    held.open = False
    pool.active = 0
    assert admission.now(pool.lease, 0) is None
    with pytest.raises(ProxyPoolEmptyError):
        admission.wait(pool.wish(0, name="second"))
    waiting.join(5)
    assert pool.granted[-1] == "first"


def test_a_request_that_can_be_served_is_not_held_up() -> None:
    pool = FakePool(2)
    admission = Admission(pool)
    pool.closed["a"] = time.monotonic() + 60.0
    stuck = threading.Thread(target=lambda: admission.wait(pool.wish(90, "a")))
    stuck.start()
    until(lambda: admission.waiting == 1)
    admission.wait(pool.wish(30, "b")).release()
    assert admission.waiting == 1, "the first still waits"
    with pytest.raises(ProxyPoolEmptyError):
        # Too late for a request with less time than the first: useless, so the error comes at once.
        admission.wait(pool.wish(20, "a"))
    assert admission.waiting == 1
    pool.closed["a"] = 0.0
    admission.line.look()
    stuck.join(60)
    assert pool.active == 1


def test_a_change_helps_even_requests_that_wait_for_a_moment() -> None:
    pool = FakePool()
    admission = Admission(pool)
    pool.closed["a"] = time.monotonic() + 100
    stuck = threading.Thread(target=lambda: admission.wait(pool.wish(None, "a")))
    stuck.start()
    until(lambda: admission.waiting == 1)
    pool.tell()
    del pool.closed["a"]
    pool.tell()
    stuck.join(5)
    assert not stuck.is_alive()


def test_what_the_choice_raises_reaches_the_waiting_request() -> None:
    pool = FakePool()
    admission = Admission(pool)
    held = pool.lease()
    caught: list[BaseException] = []
    turns = iter([True])

    def ask() -> Any:
        if next(turns, None):
            raise ProxyPoolEmptyError(may_free=True)
        raise ZeroDivisionError

    def work() -> None:
        try:
            admission.wait(Wish("x", ask, 5))
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: admission.waiting == 1)
    held.release()
    thread.join(5)
    assert isinstance(caught[0], ZeroDivisionError)
    assert admission.waiting == 0


def test_many_threads_never_exceed_the_places() -> None:
    pool = FakePool(8)
    admission = Admission(pool)
    served = Counter[int]()

    def work(number: int) -> None:
        draw = random.Random(number)
        for _ in range(25):
            lease = admission.now(pool.lease, 10) or admission.wait(pool.wish(10))
            if draw.random() < 0.2:
                time.sleep(0.0005)
            served[number] += 1
            lease.release()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(served.values()) == 1000
    assert pool.most == 8
    assert (admission.waiting, pool.active) == (0, 0)
    assert not admission.line._groups


async def test_tasks_in_order() -> None:
    pool = FakePool()
    admission = Admission(pool)
    held = pool.lease()
    order: list[int] = []

    async def work(number: int) -> None:
        lease = await admission.wait_async(pool.wish())
        order.append(number)
        await asyncio.sleep(0)
        lease.release()

    tasks = [asyncio.create_task(work(number)) for number in range(200)]
    await asyncio.sleep(0)
    assert admission.waiting == 200
    held.release()
    await asyncio.gather(*tasks)
    assert order == list(range(200))
    assert (admission.waiting, pool.active, pool.most) == (0, 0, 1)


async def test_deadlines_of_tasks_do_not_block_the_loop() -> None:
    pool = FakePool()
    admission = Admission(pool)
    pool.lease()
    beats = 0

    async def heart() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.005)
            beats += 1

    beating = asyncio.create_task(heart())
    with pytest.raises(ProxyPoolEmptyError):
        await admission.wait_async(pool.wish(0.2))
    beating.cancel()
    assert beats > 10


async def test_a_cancelled_task_passes_its_place_on() -> None:
    pool = FakePool()
    admission = Admission(pool)
    held = pool.lease()
    first = asyncio.create_task(admission.wait_async(pool.wish()))
    second = asyncio.create_task(admission.wait_async(pool.wish()))
    await asyncio.sleep(0)
    # Served, and cancelled before it can know.
    held.release()
    first.cancel()
    lease = await second
    with pytest.raises(asyncio.CancelledError):
        await first
    lease.release()
    assert (admission.waiting, pool.active) == (0, 0)


async def test_the_request_that_kept_the_time_is_cancelled() -> None:
    pool = FakePool()
    admission = Admission(pool)
    pool.closed["a"] = time.monotonic() + 0.1
    first = asyncio.create_task(admission.wait_async(pool.wish(600, "a")))
    second = asyncio.create_task(admission.wait_async(pool.wish(600, "a")))
    await asyncio.sleep(0.01)
    first.cancel()
    # Of its own accord: nothing else would wake it within its ten minutes.
    (await asyncio.wait_for(second, 60)).release()


async def test_cancelled_at_random() -> None:
    pool = FakePool(3)
    admission = Admission(pool)
    draw = random.Random(3)

    async def work() -> None:
        lease = await admission.wait_async(pool.wish(10, draw.choice("ab")))
        try:
            await asyncio.sleep(draw.random() * 0.002)
        finally:
            lease.release()

    for _ in range(10):
        tasks = [asyncio.create_task(work()) for _ in range(60)]
        await asyncio.sleep(0.001)
        for task in draw.sample(tasks, 30):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (admission.waiting, pool.active) == (0, 0)
    assert pool.most == 3


def test_threads_and_loops_share_one_line() -> None:
    pool = FakePool(2)
    admission = Admission(pool)

    def by_thread() -> None:
        for _ in range(50):
            admission.wait(pool.wish(10)).release()

    async def by_tasks() -> None:
        async def one() -> None:
            lease = await admission.wait_async(pool.wish(10))
            await asyncio.sleep(0)
            lease.release()

        await asyncio.gather(*(one() for _ in range(50)))

    threads = [threading.Thread(target=by_thread) for _ in range(4)]
    threads += [threading.Thread(target=lambda: asyncio.run(by_tasks())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(pool.granted) == 350
    assert (admission.waiting, pool.active, pool.most) == (0, 0, 2)


def test_a_loop_that_ended_with_its_waiters() -> None:
    pool = FakePool()
    admission = Admission(pool)
    held = pool.lease()

    async def leave_behind() -> None:
        asyncio.create_task(admission.wait_async(pool.wish(60))).add_done_callback(lambda task: None)
        await asyncio.sleep(0)

    asyncio.run(leave_behind())
    assert admission.waiting == 0
    held.release()
    assert pool.active == 0


def test_one_line_for_one_pool_and_gone_with_it() -> None:
    def refuse() -> Any:
        raise ProxyPoolEmptyError(may_free=True)

    def in_vain(line: _core.WaitingLine) -> None:
        with pytest.raises(ProxyPoolEmptyError):
            line.wait("x", refuse, 0.2)

    def use() -> weakref.ref[ProxyPool]:
        pool = ProxyPool(proxies=["http://a.test:1"])
        line = pool._waiting_line()
        waiting = threading.Thread(target=in_vain, args=(line,))
        waiting.start()
        until(lambda: line.waiting == 1)
        assert pool._waiting_line().waiting == 1
        assert ProxyPool()._waiting_line().waiting == 0
        waiting.join(60)
        return weakref.ref(pool)

    gone = use()
    gc.collect()
    assert gone() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_begins_with_an_empty_line() -> None:
    pool = FakePool()
    admission = Admission(pool)
    held = pool.lease()
    waiting = threading.Thread(target=lambda: admission.wait(pool.wish()))
    waiting.start()
    until(lambda: admission.waiting == 1)
    child = os.fork()
    if child == 0:
        try:
            pool.active = 0
            admission.wait(pool.wish(1)).release()
            os._exit(0 if admission.waiting == 0 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    held.release()
    waiting.join(5)


def test_a_lease_that_ends_while_others_are_served() -> None:
    pool = FakePool(2)
    admission = Admission(pool)
    held = [pool.lease(), pool.lease()]

    def ask() -> FakeLease:
        # As the garbage collector might, in the middle of it.
        if held:
            held.pop().release()
        return pool.lease()

    lease = admission.wait(Wish("x", ask, 5))
    lease.release()
    assert admission.waiting == 0


def test_ctrl_c_ends_the_wait_of_the_main_thread() -> None:
    import signal

    pool = FakePool()
    admission = Admission(pool)
    held = pool.lease()

    def interrupt() -> None:
        until(lambda: admission.waiting == 1)
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        admission.wait(pool.wish(60))
    interrupting.join(60)
    assert admission.waiting == 0
    held.release()
    assert pool.active == 0
