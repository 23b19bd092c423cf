"""Rotators that keep their pool: saving, loading, and saving in the background."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from proxywhirl import AsyncProxyRotator, Proxy, ProxyPool, ProxyRotator, RandomStrategy, generate_encryption_key
from proxywhirl.storage import FileStorage, MemoryStorage

PROXIES = ["http://a.test:1", "http://b.test:2"]


def auto_savers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "proxywhirl-auto-save"]


def wait_for(test: Any, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < until
        time.sleep(0.005)


def use(rotator: ProxyRotator) -> None:
    with rotator.lease() as lease:
        lease.success(5.0)


def test_save_and_from_file(tmp_path: Path) -> None:
    # SN-16
    path = tmp_path / "data" / "proxies.json"
    rotator = ProxyRotator(
        proxies=PROXIES,
        strategy="least-used",
        storage_backend="file",
        storage_path=path,
        auto_save_interval=300,
        atomic_writes=True,
    )
    assert not auto_savers()
    assert not path.exists()
    use(rotator)
    rotator.save()
    document = json.loads(path.read_text())
    assert document["config"]["strategy"] == "least-used"
    again = ProxyRotator.from_file(path)
    assert [proxy.url for proxy in again.pool.proxies] == PROXIES
    assert type(again.strategy).__name__ == "LeastUsedStrategy"
    assert sum(proxy.total_successes for proxy in again.pool.proxies) == 1
    use(again)
    again.save()
    assert sum(proxy.total_successes for proxy in ProxyPool.from_file(path).proxies) == 2
    rotator.close()


async def test_the_async_twin(tmp_path: Path) -> None:
    path = tmp_path / "proxies.jsonl"
    async with AsyncProxyRotator(proxies=PROXIES, storage_path=path, auto_save_interval=0.02) as rotator:
        assert not auto_savers()
        async with rotator.lease() as lease:
            lease.success(5.0)
        await asyncio.to_thread(wait_for, path.exists)
        await rotator.save()
        await rotator.save(tmp_path / "copy.json.gz")
    assert not auto_savers()
    again = AsyncProxyRotator.from_file(tmp_path / "copy.json.gz", strategy="random")
    assert isinstance(again.strategy, RandomStrategy)
    assert again.pool.total_requests == 1
    await again.save()


def test_what_is_kept_is_loaded_and_merged(tmp_path: Path) -> None:
    path = tmp_path / "proxies.json"
    first = ProxyRotator(proxies=PROXIES, storage_path=path)
    first.pool.proxies[0].record_success(7.0)
    first.pool.proxies[0].tags.add("kept")
    first.save()
    mine = Proxy(url=PROXIES[0], tags={"mine"})
    second = ProxyRotator(proxies=[mine, "http://c.test:3"], storage_path=path)
    assert [proxy.url for proxy in second.pool.proxies] == [PROXIES[0], "http://c.test:3", PROXIES[1]]
    # What was given stays the object it was, and knows what was learned of its address.
    assert second.pool.get_proxy_by_id(mine.id) is mine
    assert (mine.total_successes, mine.tags) == (1, {"kept", "mine"})
    used = Proxy(url=PROXIES[0], total_requests=5, total_successes=5)
    third = ProxyRotator(proxies=[used], storage_path=path)
    assert third.pool.proxies[0].total_successes == 5


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"country_code": "US"}, ("US", "California")),
        ({}, ("US", "California")),
        # A region means something in its own country only.
        ({"country_code": "DE"}, ("DE", None)),
        ({"country_code": "US", "region": "Texas"}, ("US", "Texas")),
    ],
)
def test_a_saved_place_fills_in_what_was_not_known(
    known: dict[str, str], expected: tuple[str, str | None], tmp_path: Path
) -> None:
    path = tmp_path / "proxies.json"
    ProxyRotator(
        proxies=[Proxy(url="http://a.test:1", country_code="US", region="California")], storage_path=path
    ).save()
    mine = Proxy(url="http://a.test:1", **known)
    assert len(ProxyRotator(proxies=[mine], storage_path=path).pool) == 1
    assert (mine.country_code, mine.region) == expected


def test_saving_in_the_background(tmp_path: Path) -> None:
    path = tmp_path / "proxies.json"
    rotator = ProxyRotator(proxies=PROXIES, storage_path=path, auto_save_interval=0.02)
    use(rotator)
    (thread,) = auto_savers()
    wait_for(path.exists)
    rotator.pool.proxies[1].tags.add("later")
    wait_for(lambda: "later" in path.read_text())
    rotator.pool.proxies[1].tags.add("last")
    rotator.close()
    assert not thread.is_alive()
    assert "last" in path.read_text()
    rotator.close()
    # Used again, it begins again.
    use(rotator)
    assert len(auto_savers()) == 1
    rotator.close()


def test_an_unreferenced_rotator_saves_once_more_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "proxies.json"
    rotator = ProxyRotator(proxies=PROXIES, storage_path=path, auto_save_interval=300)
    use(rotator)
    (thread,) = auto_savers()
    gone = weakref.ref(rotator)
    del rotator
    gc.collect()
    assert gone() is None
    thread.join(10)
    assert not thread.is_alive()
    assert ProxyPool.from_file(path).total_requests == 1


def test_the_end_of_the_program_saves(tmp_path: Path) -> None:
    script = """
    import sys
    from proxywhirl import ProxyRotator
    rotator = ProxyRotator(proxies=["http://a.test:1"], storage_path=sys.argv[1], auto_save_interval=300)
    with rotator.lease() as lease:
        lease.success(1.0)
    """
    path = tmp_path / "p.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(path)], check=True, env=environment, timeout=50)
    assert ProxyPool.from_file(path).total_requests == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_save_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    rotator = ProxyRotator(proxies=PROXIES, storage_path=path, auto_save_interval=300)
    use(rotator)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            use(rotator)
            rotator.close()
            code = 0 if not path.exists() else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    rotator.close()
    assert path.exists()


def test_a_failed_save_is_logged_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "file"
    rotator = ProxyRotator(
        proxies=["http://user77:pass77@a.test:1"], storage_path=folder / "p.json", auto_save_interval=0.01
    )
    folder.write_text("in the way")
    use(rotator)
    wait_for(lambda: "could not be saved" in caplog.text)
    folder.unlink()
    wait_for((folder / "p.json").exists)
    rotator.close()
    assert "pass77" not in caplog.text


def test_encrypted_with_the_rotators_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXYWHIRL_KEY", raising=False)
    key, path = generate_encryption_key(), tmp_path / "p.json"
    rotator = ProxyRotator(proxies=["http://user77:pass77@a.test:1"], storage_path=path, encryption_key=key)
    rotator.save()
    assert "pass77" not in path.read_text()
    assert ProxyRotator.from_file(path, encryption_key=key).pool.proxies[0].url == "http://user77:pass77@a.test:1"
    rotator.save(tmp_path / "bare.json", include_credentials=False)
    assert ProxyRotator.from_file(tmp_path / "bare.json").pool.proxies[0].url == "http://a.test:1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"storage_backend": "file"}, "storage_path required"),
        ({"storage_backend": "sqlite"}, "storage_path required"),
        ({"storage_backend": "tape", "storage_path": "x"}, "storage_backend must be"),
        ({"auto_save_interval": 5}, "needs a storage"),
        ({"storage_path": "x.json", "auto_save_interval": 0}, "must be positive"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProxyRotator(**options)


def test_nothing_to_save_to() -> None:
    with pytest.raises(ValueError, match="storage_path required"):
        ProxyRotator(proxies=PROXIES).save()
    with pytest.raises(TypeError, match="storage_backend"):
        ProxyRotator(storage_backend=3)  # type: ignore[arg-type]


class Shelf:
    """A storage of the user's own."""

    def __init__(self) -> None:
        self.kept: list[Proxy] = [Proxy(url="http://kept.test:1")]
        self.loops: list[object] = []

    async def save(self, proxies: list[Proxy]) -> None:
        self.loops.append(asyncio.get_running_loop())
        self.kept = proxies

    async def load(self) -> list[Proxy]:
        self.loops.append(asyncio.get_running_loop())
        return self.kept

    async def clear(self) -> None:
        self.kept = []


def test_a_storage_of_ones_own() -> None:
    shelf = Shelf()
    rotator = ProxyRotator(proxies=PROXIES, storage_backend=shelf)
    assert not shelf.loops
    use(rotator)
    assert rotator.pool.size == 3
    rotator.save()
    assert len(shelf.kept) == 3
    assert rotator.load() == 0


async def test_a_storage_of_ones_own_in_its_loop() -> None:
    shelf = Shelf()
    async with AsyncProxyRotator(proxies=PROXIES, storage_backend=shelf) as rotator:
        async with rotator.lease():
            pass
        assert rotator.pool.size == 3
        await rotator.save()
    assert set(shelf.loops) == {asyncio.get_running_loop()}
    # And a synchronous one, used where a loop runs.
    other = ProxyRotator(storage_backend=Shelf())
    assert other.load() == 1


def test_saving_does_not_forget_what_was_never_loaded() -> None:
    shelf = Shelf()
    ProxyRotator(proxies=PROXIES, storage_backend=shelf).save()
    assert len(shelf.kept) == 3


def test_an_unknown_strategy_in_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"proxies": PROXIES, "config": {"strategy": "of-last-year", "auto_remove_dead": True}}))
    rotator = ProxyRotator.from_file(path)
    assert type(rotator.strategy).__name__ == "RoundRobinStrategy"
    assert "of-last-year" in caplog.text
    assert rotator.pool.auto_remove_dead


def test_the_profile_times_saves(tmp_path: Path) -> None:
    rotator = ProxyRotator(proxies=PROXIES, enable_profiling=True)
    rotator.save(tmp_path / "p.json")
    assert rotator.get_performance_profile()["storage_save_avg_ms"] > 0.0


async def test_file_storage(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "deep" / "p.json")
    with pytest.raises(FileNotFoundError):
        await storage.load()
    await storage.save([])
    assert json.loads(storage.filepath.read_text()) == []
    await storage.save([Proxy(url=url, country_code="DE", total_requests=3) for url in PROXIES])
    assert json.loads(storage.filepath.read_text())[0]["url"] == PROXIES[0]
    loaded = await storage.load()
    assert [(proxy.url, proxy.country_code, proxy.total_requests) for proxy in loaded] == [
        (u, "DE", 3) for u in PROXIES
    ]
    storage.filepath.write_text("{")
    with pytest.raises(ValueError, match=r"p\.json"):
        await storage.load()
    await storage.clear()
    await storage.clear()
    assert not list(storage.filepath.parent.glob("p.json*"))
    (tmp_path / "blocked").write_text("")
    with pytest.raises(OSError):
        await FileStorage(tmp_path / "blocked" / "p.json").save([])


async def test_file_storage_with_a_key(tmp_path: Path) -> None:
    key = generate_encryption_key()
    storage = FileStorage(tmp_path / "p.json", encryption_key=key.encode())
    await storage.save([Proxy(url="http://user77:pass77@a.test:1")])
    assert "pass77" not in storage.filepath.read_text()
    assert (await storage.load())[0].password is not None
    with pytest.raises(Exception, match="another key"):
        await FileStorage(tmp_path / "p.json", encryption_key=generate_encryption_key()).load()


async def test_memory_storage() -> None:
    storage = MemoryStorage()
    assert await storage.load() == []
    proxy = Proxy(url=PROXIES[0], username="u", password="p")
    await storage.save([proxy])
    (kept,) = await storage.load()
    assert kept is not proxy
    assert (kept.id, kept.password) == (proxy.id, proxy.password)
    await storage.clear()
    assert await storage.load() == []


def test_standing_survives(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    rotator = ProxyRotator(proxies=[*PROXIES, "http://c.test:3"], storage_path=path)
    site = "https://www.shop.example/x"
    with rotator.lease(site) as lease:
        benched = lease.proxy
        lease.banned(cooldown=600)
    rotator.save()
    (entry,) = (entry for entry in json.loads(path.read_text())["proxies"] if "standings" in entry)
    (stood,) = entry["standings"]
    assert (entry["id"], stood["site"], stood["kind"], stood["level"]) == (str(benched.id), "shop.example", "banned", 1)
    # Nothing has changed, though time has passed.
    autosave = rotator._keeping.made()
    assert not autosave.save(only_changed=True).written
    again = ProxyRotator(storage_path=path)
    (row,) = again.pool._standings()
    assert (row[0].id, row[1], row[2], row[4]) == (benched.id, "shop.example", "banned", 1)
    for _ in range(6):
        with again.lease(site) as lease:
            assert lease.proxy.id != benched.id
    with again.lease("https://elsewhere.example/") as lease:
        lease.release()
    again.save(learned=False)
    assert ProxyRotator.from_file(path).pool._standings() == []


def test_rest_survives(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    rotator = ProxyRotator(proxies=PROXIES, storage_path=path)
    with rotator.lease() as lease:
        resting = lease.proxy
        lease.failure("refused")
    rotator.save()
    again = ProxyRotator(storage_path=path)
    (verdict,) = (verdict for verdict in again.explain() if verdict.proxy.id == resting.id)
    assert not verdict.eligible
    assert verdict.until is not None
    for _ in range(4):
        with again.lease() as lease:
            assert lease.proxy.id != resting.id
    # Its time comes as if nothing had happened in between.
    text = "\n".join(
        json.dumps(
            {**json.loads(line), "rest_until": "2020-01-01T00:00:00Z"} if "rest_until" in line else json.loads(line)
        )
        for line in path.read_text().splitlines()
    )
    path.write_text(text + "\n")
    later = ProxyRotator(storage_path=path)
    time.sleep(0.05)  # the clock of selections is coarse
    seen = set()
    for _ in range(4):
        with later.lease() as lease:
            seen.add(lease.proxy.id)
            lease.success(1.0)
    assert resting.id in seen
