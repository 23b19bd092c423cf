"""A load test: requests at a steady rate, whatever becomes of them.

The pacing is open-loop. Every request has its moment from the beginning, and its latency counts from that moment, not
from when a user was free to send it: a site that stalls for a second is seen by every request that was due in that
second (Gil Tene calls the opposite "coordinated omission").
"""

from __future__ import annotations

import asyncio
import inspect
import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Callable

from proxywhirl._native.redact import shown
from proxywhirl.testing._course import REFRESH, Course, LoadTestResult, progress_bar

__all__ = ["LoadTest", "LoadTestResult"]


class LoadTest:
    """Sends requests through a rotator at a steady rate, and tells how it went.

    ::

        test = LoadTest(rotator, "https://example.com", 60, requests_per_second=100, concurrent_users=50)
        print(test.run().table())

    It ends when the duration is over and the requests under way are done, or after ``grace_seconds`` more.

    Args:
        rotator: Of either kind.
        target_url: The page to get.
        duration_seconds: How long requests are begun.
        requests_per_second: How many fall due in each second.
        concurrent_users: Most requests under way at the same time.
        method: The method.
        options: Further arguments of each request.
        grace_seconds: How long requests under way are waited for at the end.
        progress: Whether to show a bar; by default on a terminal, if rich (extra ``cli``) is installed.

    Raises:
        ValueError: A number is not positive.
        TypeError: The rotator has no ``request``.
    """

    def __init__(
        self,
        rotator: Any,
        target_url: str,
        duration_seconds: float = 60,
        requests_per_second: float = 10,
        concurrent_users: int = 10,
        *,
        method: str = "GET",
        options: Mapping[str, Any] | None = None,
        grace_seconds: float = 30.0,
        progress: bool | None = None,
    ) -> None:
        for name, value in (
            ("duration_seconds", duration_seconds),
            ("requests_per_second", requests_per_second),
            ("concurrent_users", concurrent_users),
        ):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, not {shown(value)}")
        if not grace_seconds >= 0:
            raise ValueError(f"grace_seconds must not be negative, not {shown(grace_seconds)}")
        if int(concurrent_users) != concurrent_users:
            raise ValueError(f"concurrent_users must be a whole number, not {shown(concurrent_users)}")
        if not callable(getattr(rotator, "request", None)):
            raise TypeError(f"a load test needs a rotator, not {type(rotator).__name__}")
        self.rotator = rotator
        self.target_url = target_url
        self.duration_seconds = float(duration_seconds)
        self.requests_per_second = float(requests_per_second)
        self.concurrent_users = int(concurrent_users)
        self._method = method
        self._options = dict(options or {})
        self._grace = grace_seconds
        self._progress = progress
        self._is_async = inspect.iscoroutinefunction(rotator.request)

    def run(self) -> LoadTestResult:
        """Run it, and wait for its end.

        Returns:
            What it found.

        Raises:
            RuntimeError: The rotator is asynchronous and an event loop is running here; await :meth:`run_async`.
        """
        if self._is_async:
            return self._run_in_new_loop()
        course = Course(self)
        workers = [
            threading.Thread(target=self._work, args=(course,), name="proxywhirl-load", daemon=True)
            for _ in range(min(self.concurrent_users, course.total))
        ]
        with self._shown(course) as show:
            course.begin()
            for worker in workers:
                worker.start()
            try:
                while any(worker.is_alive() for worker in workers) and not course.overdue():
                    course.wait(REFRESH)
                    show()
            finally:
                # Also when interrupted: no user begins another request.
                course.stop()
            return course.result()

    async def run_async(self) -> LoadTestResult:
        """The same without blocking the event loop; a synchronous rotator works on threads meanwhile.

        Returns:
            What it found.
        """
        if not self._is_async:
            return await asyncio.to_thread(self.run)
        course = Course(self)
        with self._shown(course) as show:
            course.begin()
            tasks = {
                asyncio.ensure_future(self._work_async(course)) for _ in range(min(self.concurrent_users, course.total))
            }
            try:
                pending = tasks
                while pending and not course.overdue():
                    _, pending = await asyncio.wait(pending, timeout=REFRESH)
                    show()
            finally:
                course.stop()
                result = course.result()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            return result

    def _run_in_new_loop(self) -> LoadTestResult:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.run_async())
        raise RuntimeError("an event loop is running here: await run_async() instead")

    def _work(self, course: Course) -> None:
        while True:
            due = course.next_due()
            if due is None or not course.wait_for(due):
                return
            try:
                response = self.rotator.request(self._method, self.target_url, **self._options)
            except Exception as error:  # noqa: BLE001 - it is what the test is about
                course.failed(due, error)
            else:
                course.answered(due, response)

    async def _work_async(self, course: Course) -> None:
        while True:
            due = course.next_due()
            if due is None:
                return
            ahead = due - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            if not course.still_time():
                return
            try:
                response = await self.rotator.request(self._method, self.target_url, **self._options)
            except Exception as error:  # noqa: BLE001 - it is what the test is about
                course.failed(due, error)
            else:
                course.answered(due, response)

    @contextmanager
    def _shown(self, course: Course) -> Iterator[Callable[[], None]]:
        bar = None if self._progress is False else progress_bar(self._progress is True)
        if bar is None:
            yield lambda: None
            return
        with bar:
            task = bar.add_task("load test", total=course.total, note="")

            def show() -> None:
                bar.update(task, completed=course.begun, note=course.note())

            yield show
            show()
        bar.console.print(course.result().table(), highlight=False, markup=False)
