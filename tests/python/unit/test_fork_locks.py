"""A fork while a lock is held: the child gets a new one."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from proxywhirl import CredentialRotator, RateLimiter
from proxywhirl.rotator._queue import RequestQueue

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize(
    ("made", "name", "use"),
    [
        (CredentialRotator(lambda: {"username": "u", "password": "p"}), "_busy", lambda made: made.current()),
        (RequestQueue(1), "_lock", lambda made: made.place(None).__enter__()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_child_does_not_wait_for_threads_of_its_parent(made: Any, name: str, use: Any) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with getattr(made, name):
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            threading.Timer(5, os._exit, (2,)).start()
            use(made)
            code = 0
        finally:
            os._exit(code)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        done.set()
        thread.join()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_asks_a_limiter_that_threads_of_its_parent_are_asking() -> None:
    limiter = RateLimiter(10)
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            limiter.acquire("p")

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    threading.Timer(5, os._exit, (2,)).start()
                    assert limiter.acquire("of the child")
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert limiter.wait_time("of the child") == 0.0, "the child's tokens are its own"
