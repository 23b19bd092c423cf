"""Saves that were ended by force: what was whole is read, the rest is said once, and the next save repairs it."""

from __future__ import annotations

import gzip
import json
import logging
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from proxywhirl import ProxyPool, ProxyRotator
from proxywhirl.storage import DamagedFileError, FileStorage
from proxywhirl.storage._pool_file import PoolFile
from proxywhirl.storage._vault import Vault

PLAIN, PACKED = [".jsonl", ".ndjson"], [".jsonl.gz", ".ndjson.gz"]
# A file is cut at every byte; under the second name, which stands for the same format, at every 23rd.
EVERY = {".jsonl": 1, ".jsonl.gz": 1, ".ndjson": 23, ".ndjson.gz": 23}


def pool_of(count: int) -> ProxyPool:
    pool = ProxyPool(max_pool_size=100_000)
    pool.add_many([f"http://h{number}.test:1" for number in range(count)])
    return pool


def appended(path: Path, count: int = 5) -> tuple[bytes, bytes]:
    """A file with an append: its bytes before that and after. The append changes every proxy and adds one."""
    pool, file = pool_of(count), PoolFile(path, Vault())
    file.save(pool)
    before = path.read_bytes()
    for proxy in pool:
        proxy.record_success(7.0)
    pool.add_proxy("http://new.test:1")
    file.save(pool, only_changed=True)
    after = path.read_bytes()
    assert after.startswith(before)
    assert len(after) > len(before)
    return before, after


def successes(pool: ProxyPool) -> list[int]:
    return [proxy.total_successes for proxy in pool]


@pytest.mark.parametrize("suffix", PACKED)
def test_a_packed_append_counts_when_it_is_whole(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    before, after = appended(path)
    for cut in range(len(before), len(after), EVERY[suffix]):
        path.write_bytes(after[:cut])
        assert successes(ProxyPool.from_file(path)) == [0] * 5, f"cut at {cut} of {len(after)}"
    path.write_bytes(after)
    assert successes(ProxyPool.from_file(path)) == [1] * 5 + [0]


@pytest.mark.parametrize("suffix", PLAIN)
def test_a_line_counts_when_it_is_whole(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    before, after = appended(path)
    for cut in range(len(before), len(after) + 1, EVERY[suffix]):
        path.write_bytes(after[:cut])
        # A line is whole with its last brace, whether or not the end of the line is there.
        whole = after[len(before) : cut].count(b"}\n") + after[:cut].endswith(b"}")
        whole -= cut == len(before) and after[:cut].endswith(b"}")
        expected = [1] * min(whole, 5) + [0] * (5 - min(whole, 5)) + [0] * (whole > 5)
        assert successes(ProxyPool.from_file(path)) == expected, f"cut at {cut} of {len(after)}"


@pytest.mark.parametrize("suffix", PLAIN + PACKED)
def test_zeros_in_place_of_what_was_to_come(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    before, _ = appended(path)
    for zeros in (1, 10, 5000):
        path.write_bytes(before + b"\0" * zeros)
        assert successes(ProxyPool.from_file(path)) == [0] * 5


@pytest.mark.parametrize("suffix", PLAIN + PACKED)
def test_an_empty_pool_and_an_append_to_it(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    pool, file = pool_of(0), PoolFile(path, Vault())
    file.save(pool)
    before = path.read_bytes()
    assert ProxyPool.from_file(path).size == 0
    pool.add_proxy("http://a.test:1")
    file.save(pool, only_changed=True)
    after = path.read_bytes()
    for cut in range(len(before), len(after)):
        path.write_bytes(after[:cut])
        assert ProxyPool.from_file(path).size in ((0,) if suffix in PACKED else (0, 1))


@pytest.mark.parametrize("suffix", PACKED)
def test_the_first_member_gives_its_whole_lines(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    PoolFile(path, Vault()).save(pool_of(3000))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    hosts = [proxy.host for proxy in ProxyPool.from_file(path)]
    assert 0 < len(hosts) < 3000
    assert hosts == [f"h{number}.test" for number in range(len(hosts))]


@pytest.mark.parametrize("suffix", [".json.gz", ".jsonl.gz"])
def test_what_is_altered_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    PoolFile(path, Vault()).save(pool_of(300))
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match="damaged"):
        ProxyPool.from_file(path)
    path.write_bytes(gzip.compress(b"") + b"not gzip")
    with pytest.raises(DamagedFileError, match="damaged"):
        ProxyPool.from_file(path)


@pytest.mark.parametrize("suffix", PLAIN + PACKED)
def test_said_once_and_repaired_by_the_next_save(suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / f"p{suffix}"
    _, after = appended(path)
    path.write_bytes(after[:-20])
    with ProxyRotator(storage_backend="file", storage_path=path) as rotator:
        seen = {proxy.host: proxy.total_successes for proxy in rotator.pool}
        rotator.save()
        rotator.save()
    said = [record for record in caplog.records if "cut off" in record.message]
    assert [record.levelno for record in said] == [logging.WARNING]
    assert "repairs it" in said[0].message
    data = path.read_bytes()
    lines = (gzip.decompress(data) if suffix in PACKED else data).splitlines()
    assert len([json.loads(line) for line in lines]) == len(seen)
    caplog.clear()
    assert {proxy.host: proxy.total_successes for proxy in ProxyPool.from_file(path)} == seen
    assert not caplog.records


def test_an_append_after_a_tear_of_another_process(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.gz"
    pool, file = pool_of(5), PoolFile(path, Vault())
    file.save(pool)
    with path.open("ab") as other:
        other.write(gzip.compress(b"{}")[:7])
    pool.add_proxy("http://new.test:1")
    file.save(pool, only_changed=True)
    assert ProxyPool.from_file(path).size == 6
    assert len(gzip.decompress(path.read_bytes()).splitlines()) == 6


# Each kind of save, over and over: the first is whole before the child says that it is ready.
CHILD = """
import asyncio, itertools, os, sys, warnings
warnings.simplefilter("ignore")
from proxywhirl import ProxyPool, ProxyRotator

kind, path = sys.argv[1:]
pool = ProxyPool(max_pool_size=10_000)
pool.add_many([f"http://u{n}:p{n}@h{n}.test:1" for n in range(1500)])
proxies = pool.get_all_proxies()

def change(turn):
    for proxy in proxies:
        proxy.record_success(1.0 + turn)

if kind in ("background", "rewrite", "sqlite"):
    rotator = ProxyRotator(proxies=pool, storage_backend="sqlite" if kind == "sqlite" else "file", storage_path=path)
    def save(turn):
        if kind == "background":
            rotator._keeping.made().save(only_changed=turn > 0)
        else:
            rotator.save()
elif kind == "elsewhere":
    rotator = ProxyRotator(proxies=pool)
    def save(turn):
        rotator.save(path)
elif kind == "storage":
    from proxywhirl.storage import FileStorage
    storage = FileStorage(path)
    def save(turn):
        asyncio.run(storage.save(proxies))
elif kind == "database":
    from proxywhirl.storage import SQLiteStorage
    storage = SQLiteStorage(path)
    def save(turn):
        asyncio.run(storage.save(proxies))
elif kind == "settings":
    from proxywhirl.config import CLIConfig, save_config
    os.environ["XDG_CONFIG_HOME"] = os.path.dirname(path)
    def save(turn):
        if turn % 5 == 0:
            key = os.path.join(os.path.dirname(path), "proxywhirl", "key")
            if turn and os.path.exists(key):
                os.environ["PROXYWHIRL_KEY"] = open(key).read().strip()
        entries = [{"url": f"http://h{n}.test:1", "username": "u", "password": str(turn)} for n in range(60)]
        save_config(CLIConfig(proxies=entries, timeout=turn + 1), path)

save(0)
print("ready", flush=True)
for turn in itertools.count(1):
    change(turn)
    save(turn)
"""

KINDS = [
    ("background", "p.jsonl.gz"),
    ("background", "p.jsonl"),
    ("background", "p.json"),
    ("rewrite", "p.json.gz"),
    ("rewrite", "p.ndjson.gz"),
    ("elsewhere", "p.jsonl.gz"),
    ("storage", "p.json"),
    ("sqlite", "p.db"),
    ("database", "p.db"),
    ("settings", "p.json"),
]


def state_of(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """What is in a file: how often each proxy, all of which must be there, had succeeded."""
    if kind == "settings":
        from proxywhirl.config import load_config

        monkeypatch.setenv("XDG_CONFIG_HOME", str(path.parent))
        config = load_config(path)
        assert len(config.proxies) == 60
        return {int(proxy.password.get_secret_value()) for proxy in config.proxies if proxy.password is not None}
    if path.suffix == ".db":
        with ProxyRotator(storage_backend="sqlite", storage_path=path) as rotator:
            pool = rotator.pool
    else:
        pool = ProxyPool.from_file(path)
    assert pool.size == 1500
    assert {proxy.credentials is not None for proxy in pool} == {True}
    return {proxy.total_successes for proxy in pool}


@pytest.mark.parametrize(("kind", "name"), KINDS)
@pytest.mark.filterwarnings("ignore::proxywhirl.storage.ClearTextWarning")
def test_killed_during_every_kind_of_save(
    kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name.endswith(".db"):
        pytest.importorskip("sqlalchemy")
    monkeypatch.delenv("PROXYWHIRL_KEY", raising=False)
    draw = random.Random(name + kind)
    for turn in range(3):
        # A folder each: a child goes on from what it finds, and a mixture that it finds would stay one.
        path = tmp_path / str(turn) / name
        path.parent.mkdir()
        child = subprocess.Popen([sys.executable, "-c", CHILD, kind, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"ready\n"
            time.sleep(draw.random() * 0.15)
        finally:
            child.send_signal(signal.SIGKILL)
            child.communicate()
        states = state_of(kind, path, monkeypatch)
        # One state; where lines are appended, each proxy is in the state before or in the one after.
        most = 2 if name.endswith(".jsonl") else 1
        assert len(states) <= most
        assert max(states) - min(states) <= 1


async def test_file_storage_reads_what_is_whole(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "p.jsonl.gz")
    await storage.save(pool_of(3).get_all_proxies())
    storage.filepath.write_bytes(storage.filepath.read_bytes() + gzip.compress(b'{"url": "http://x.test:1"}\n')[:-1])
    assert len(await storage.load()) == 3
