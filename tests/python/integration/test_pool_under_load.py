"""Lists come and proxies go while many threads use the pool: nothing hangs, nothing is lost.

Each case runs in a process of its own, which a watchdog ends with the stacks of its threads if it hangs.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from sizes import sized

# The watchdog in the process comes first: it shows the stacks.
pytestmark = pytest.mark.timeout(180)

PREAMBLE = """
import faulthandler, os, sys, threading
faulthandler.dump_traceback_later({limit}, exit=True)
from proxywhirl import *
from proxywhirl import _core
from proxywhirl.strategies._adapter import adapt

def urls(start, count):
    return [f"http://10.{{n >> 16 & 255}}.{{n >> 8 & 255}}.{{n & 255}}:80" for n in range(start, start + count)]

def on_threads(count, work):
    faults = []
    def run(number):
        try:
            work(number)
        except BaseException as error:
            faults.append(error)
            stop.set()
            raise
    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    return threads, faults

stop = threading.Event()
rounds = {rounds}
many = {many}
"""


def run(program: str, limit: int = 120) -> str:
    """Run a program; its output."""
    code = PREAMBLE.format(limit=limit, rounds=sized(1, 4), many=sized(600, 5_000)) + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=limit + 30)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stderr == ""
    return done.stdout


USERS = """
pool = ProxyPool(max_pool_size=10**7)
pool.add_many(urls(0, 2_000), tags=["kept"])
kept = pool.get_all_proxies()
for number, proxy in enumerate(kept):
    proxy.country_code = ("DE", "FR", "US")[number % 3]
ids = [proxy.id for proxy in kept]

class Written:
    def select(self, pool, context=None):
        proxy = next(iter(pool.filter_by_tags(["kept"])))
        proxy.start_request()
        return proxy
    def record_result(self, proxy, success, response_time_ms):
        proxy.complete_request(success, response_time_ms)

strategies = [RoundRobinStrategy(), RandomStrategy(), WeightedStrategy(), LeastUsedStrategy(),
              PerformanceBasedStrategy(exploration_count=2), SessionPersistenceStrategy(),
              GeoTargetedStrategy(preferred_countries=["DE"]), CostAwareStrategy(),
              CompositeStrategy(filters=[GeoTargetedStrategy()], selector="random"), adapt(Written())]

def user(number):
    turn = number
    while not stop.is_set():
        turn += 1
        kind = turn % 16
        proxy = kept[turn * 7 % len(kept)]
        if kind == 0:
            assert pool.get_proxy_by_id(proxy.id) is proxy
        elif kind == 1:
            assert pool.get_proxy_by_url(proxy.url) is proxy
        elif kind == 2:
            assert proxy in pool and proxy.id in pool
        elif kind == 3:
            # The same object for every thread, made by one of them.
            one = pool.proxies[turn % 2_000]
            same = pool.get_proxy_by_id(one.id)
            assert same is one or same is None
        elif kind == 4:
            proxy.record_failure(); proxy.record_success(1.0)
        elif kind == 5 and turn % 64 == 5:
            assert len(pool.filter_by_tags(["kept"])) == 2_000
        elif kind == 6 and turn % 64 == 6:
            pool.filter_by_country("DE"); pool.get_source_breakdown()
        elif kind == 7 and turn % 128 == 7:
            assert pool.explain("http://shop.test/") is not None
        elif kind == 8:
            proxy.country_code = ("DE", "FR", "US")[turn % 3]
        elif kind == 9:
            proxy.url = proxy.url
        else:
            strategy = strategies[turn % len(strategies)]
            context = SelectionContext(session_id=f"s{turn % 50}")
            try:
                if kind < 13:
                    lease = pool.lease(strategy, "http://shop.test/", context=context, tags=["kept"])
                    lease.finish("success", elapsed_ms=5.0)
                else:
                    strategy.record_result(strategy.select(pool, context), True, 5.0)
            except ProxyPoolEmptyError:
                pass
"""

MEANWHILE = {
    "load": """
        for round in range(rounds):
            report = pool.load("\\n".join(urls(100_000 + round * 10_000, many)), allow_local=True)
            assert report.added == many, report
            for proxy in pool.get_all_proxies()[2_000:]:
                pool.remove_proxy(proxy.id)
    """,
    "load_file": """
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            for round in range(rounds):
                path = os.path.join(folder, "list.txt")
                with open(path, "w") as file:
                    file.write("\\n".join(urls(100_000 + round * 10_000, many)))
                assert pool.load_file(path, allow_local=True).added == many
                for proxy in pool.get_all_proxies()[2_000:]:
                    pool.remove_proxy(proxy.id)
    """,
    "clear_unhealthy": """
        for round in range(rounds):
            pool.add_many(urls(100_000 + round * 10_000, many))
            for proxy in pool.get_all_proxies():
                if "kept" not in proxy.tags:
                    proxy.health_status = "dead"
            pool.clear_unhealthy()
            assert len(pool) >= 2_000 - 1
    """,
    "replaced as a whole": """
        for round in range(rounds):
            pool.proxies = kept + [Proxy(url=url) for url in urls(100_000 + round * 1_000, 500)]
        pool.proxies = kept
    """,
    "checks that remove": """
        import socket
        closed = socket.socket(); closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        pool.auto_remove_dead = True
        pool.dead_proxy_threshold = 1
        for round in range(rounds):
            doomed = [Proxy(url=f"http://127.0.{n // 250 + 1}.{n % 250 + 1}:{port}") for n in range(many // 5)]
            for proxy in doomed:
                pool.add_proxy(proxy)
            # A proxy is dead after five failures in a row; a user may record a success in between.
            for _ in range(40):
                left = [proxy for proxy in doomed if proxy in pool]
                if not left:
                    break
                run = _core.CheckRun(left, record=True, level="basic", timeout=5.0, concurrency=200)
                while run.next_batch(64) is not None:
                    pass
            assert not any(proxy in pool for proxy in doomed)
        closed.close()
    """,
}


@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_sixteen_threads_go_on(meanwhile: str) -> None:
    body = textwrap.indent(textwrap.dedent(MEANWHILE[meanwhile]), "    ")
    program = USERS + (
        "\ndef meanwhile():\n" + body + "\n\nthreads, faults = on_threads(16, user)\n"
        "try:\n    meanwhile()\nfinally:\n    stop.set()\n"
        "for thread in threads:\n    thread.join()\n"
        "assert not faults, faults\n"
        "assert all(pool.get_proxy_by_id(proxy.id) is proxy for proxy in kept), 'a proxy was lost'\n"
        "assert all(p.requests_started == p.requests_completed + p.requests_active for p in kept)\n"
        "assert all(p.requests_active == 0 for p in kept)\n"
        "print('done')\n"
    )
    assert run(program) == "done\n"
