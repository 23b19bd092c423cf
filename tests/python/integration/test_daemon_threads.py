"""Daemon threads use a pool while the program ends: the process ends with its exit code, without output."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PREAMBLE = """
import sys, threading, time
from proxywhirl import *
from proxywhirl import _core
from proxywhirl.strategies._adapter import adapt
pool = ProxyPool(max_pool_size=1000)
for n in range(20):
    pool.add_proxy(Proxy(url=f"http://10.0.0.{n}:8080"))
objects = list(pool)
began = threading.Event()

class Slow:
    def select(self, pool, context=None):
        proxy = pool.get_all_proxies()[0]
        for _ in range(2_000):
            pass
        proxy.start_request()
        return proxy
    def record_result(self, proxy, success, response_time_ms):
        proxy.complete_request(success, response_time_ms)
"""

# Each one spends most of its time in Python code that native code has called.
USES = {
    "identifiers": "pool.get_proxy_by_id(objects[turn % 20].id)",
    "a strategy in Python": "pool.lease(slow).finish('success', elapsed_ms=1.0)",
    "a generator": "pool.add_many(url for url in (f'http://10.1.0.{n}:80' for n in range(250)) for _ in range(20))",
    "an observer": "pool.lease(robin, observer=lambda *facts: sum(range(2_000))).finish('success', elapsed_ms=1.0)",
    "a model": "Proxy.model_validate(objects[0].model_dump(reveal=True))",
    "checks": "_core.CheckRun(['http://127.0.0.1:9'], level='basic').next_batch(9)",
    "a list": "pool.load('\\n'.join(f'http://10.2.0.{n}:80' for n in range(250)), allow_local=True)",
}


@pytest.mark.parametrize("use", USES)
def test_the_process_ends_with_its_exit_code(use: str) -> None:
    program = PREAMBLE + textwrap.dedent(f"""
        slow, robin = adapt(Slow()), RoundRobinStrategy()
        def user():
            turn = 0
            while True:
                turn += 1
                {USES[use]}
                began.set()
        for _ in range(3):
            threading.Thread(target=user, daemon=True).start()
        began.wait(30)
        time.sleep(0.05)
        sys.exit(7)
    """)
    for _ in range(4):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (7, "")
