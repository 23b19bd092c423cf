"""Forks while other threads have requests under way: neither the parent nor a child waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from sizes import sized

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")

PROGRAM = """
import asyncio, faulthandler, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
faulthandler.dump_traceback_later(150, exit=True)
from proxywhirl import AsyncProxyRotator, ProxyRotator
from proxywhirl.testing import ProxyFleet, ProxySpec

kind, engine, course, rounds = *sys.argv[1:4], int(sys.argv[4])
kinds = {"sync": ProxyRotator, "async": AsyncProxyRotator}

def ask(rotator):
    got = rotator.get(page)
    answer = got if kind == "sync" else asyncio.run(got)
    return answer.status_code

with ProxyFleet([ProxySpec(scheme=scheme) for scheme in ("http", "https", "socks5")]) as fleet:
    page = fleet.site_url("shop.test", "/whoami", https=course != "first")
    def made():
        return kinds[kind](proxies=fleet.urls, engine=engine, verify=False)

    shared, stop, faults = made(), threading.Event(), []
    if course != "first" or engine == "httpx":
        # httpx and httpcore import at their first request; an import in another thread is Python's own matter.
        ask(shared)

    def work():
        while not stop.is_set():
            try:
                # Each of its own: every request opens a connection, with a handshake.
                status = ask(made() if course == "handshakes" else shared)
            except Exception as error:
                status = error
            if status != 200:
                faults.append(status)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(rounds):
        if course != "first":
            time.sleep(0.01)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            os._exit(0 if ask(shared) == ask(made()) == 200 else 2)
        children.append(child)
    codes = {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children}
    stop.set()
    for thread in threads:
        thread.join(60)
    print(codes, faults)
"""


# The program ends itself, with the stacks of its threads, before.
@pytest.mark.timeout(240)
@pytest.mark.parametrize("course", ["first", "kept", "handshakes"])
@pytest.mark.parametrize("engine", ["native", "httpx"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_forks_while_threads_send_requests(kind: str, engine: str, course: str) -> None:
    if (engine, course) == ("httpx", "handshakes"):
        pytest.skip("OpenSSL is not made to be forked in the middle of another thread's handshake")
    command = [sys.executable, "-c", PROGRAM, kind, engine, course, str(sized(10, 40))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stdout) == (0, "{0} []\n"), done.stderr[-4000:]
