"""Files that pools are saved to: nothing lost, nothing leaked, at every moment one whole state."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from proxywhirl import GeoLocation, HealthStatus, Proxy, ProxyPool, ProxySource, generate_encryption_key
from proxywhirl.storage import ClearTextWarning, DamagedFileError
from proxywhirl.storage._pool_file import PoolFile
from proxywhirl.storage._vault import Vault

SECRET = "s3cr3t/ü@:x"


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXYWHIRL_KEY", raising=False)


def rich_proxy() -> Proxy:
    now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
    proxy = Proxy(
        url="socks5://10.1.2.3:1080",
        username="us er",
        password=SECRET,
        allow_local=True,
        health_status="degraded",
        last_success_at=now,
        last_failure_at=now - timedelta(days=1),
        requests_started=8,
        requests_completed=8,
        total_requests=11,
        total_successes=7,
        total_failures=3,
        ema_response_time_ms=12.5,
        average_response_time_ms=99.25,
        latency_ms=3.5,
        ema_alpha=0.4,
        window_start=now,
        window_duration_seconds=60,
        country_code="DE",
        region="Hesse",
        consecutive_failures=1,
        last_health_check=now,
        consecutive_successes=2,
        recovery_attempt=3,
        next_check_time=now,
        last_health_error="said no",
        total_checks=9,
        total_health_failures=4,
        tags={"b", "a", 'quo"te'},
        source=ProxySource.API,
        source_url="https://provider.test/list?key=abcdef",
        metadata={"note": "x", "nested": {"n": [1, 2.5, None]}, "api_key": "hidden-value"},
        created_at=now,
        updated_at=now + timedelta(seconds=1),
        ttl=3600,
        expires_at=now + timedelta(days=4000),
        cost_per_request=0.25,
        cost_per_gb=3.5,
        bytes_sent=1234,
        bytes_received=567_890,
        spent=0.125,
    )
    proxy.geo_location = GeoLocation(country_code="DE", region="Hesse", city="Frankfurt", latitude=50.1, longitude=8.7)
    return proxy


def fields(proxy: Proxy) -> dict[str, Any]:
    return json.loads(proxy.model_dump_json(reveal=True))


def pool_of(*proxies: Proxy | str) -> ProxyPool:
    return ProxyPool(name="mine", proxies=list(proxies), max_pool_size=1000)


def save(path: Path, pool: ProxyPool, key: str | None = None, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ClearTextWarning)
        PoolFile(path, Vault(key)).save(pool, name=pool.name, settings={"max_pool_size": 1000}, **options)


@pytest.mark.parametrize("name", ["p.json", "p.jsonl", "p.json.gz", "p.ndjson.gz"])
@pytest.mark.parametrize("encrypted", [False, True])
def test_nothing_is_lost(name: str, encrypted: bool, tmp_path: Path) -> None:
    key = generate_encryption_key() if encrypted else None
    pool = pool_of(
        rich_proxy(),
        "http://plain.test:80",
        "http://u:p%40w@embedded.test:3128",
        "HTTP://Odd.test:8080/",
        "socks5h://remote.test:1",
        Proxy(url="http://unknown-cost.test:1", cost_per_request=None),
    )
    path = tmp_path / "deep" / name
    save(path, pool, key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = ProxyPool.from_file(path, encryption_key=key)
    assert again.max_pool_size == (100 if ".json" not in name.replace(".jsonl", "") else 1000)
    assert [fields(proxy) for proxy in again.proxies] == [fields(proxy) for proxy in pool.proxies]
    password = again.proxies[0].password
    assert password is not None
    assert password.get_secret_value() == SECRET
    # Once more round, from what was loaded.
    save(path, again, key)
    assert [fields(proxy) for proxy in ProxyPool.from_file(path, encryption_key=key).proxies] == [
        fields(proxy) for proxy in pool.proxies
    ]


def test_the_documented_layout(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    pool = pool_of(rich_proxy())
    save(path, pool)
    document = json.loads(path.read_text())
    assert document["version"] == "1.0"
    assert document["pool_name"] == "mine"
    assert document["last_updated"].endswith("Z")
    assert document["config"]["max_pool_size"] == 1000
    (entry,) = document["proxies"]
    assert list(entry)[:13] == [
        "id",
        "url",
        "username",
        "password",
        "source",
        "health_status",
        "total_requests",
        "total_successes",
        "total_failures",
        "average_response_time_ms",
        "tags",
        "created_at",
        "updated_at",
    ]
    assert (entry["source"], entry["health_status"]) == ("API", "DEGRADED")
    assert entry["url"] == "socks5://10.1.2.3:1080"
    assert entry["tags"] == ["a", "b", 'quo"te']
    assert entry["created_at"] == "2026-01-02T03:04:05.678901Z"


def test_in_flight_requests_die_with_the_process(tmp_path: Path) -> None:
    pool = pool_of("http://a.test:1")
    pool.proxies[0].start_request()
    pool.proxies[0].start_request()
    pool.proxies[0].complete_request(True, 5.0)
    save(tmp_path / "p.json", pool)
    proxy = ProxyPool.from_file(tmp_path / "p.json").proxies[0]
    assert (proxy.requests_started, proxy.requests_completed, proxy.requests_active) == (1, 1, 0)
    assert (proxy.total_requests, proxy.ema_response_time_ms, proxy.average_response_time_ms) == (1, 5.0, 5.0)
    proxy.record_success(10.0)
    # Both averages are still one.
    assert proxy.ema_response_time_ms == proxy.average_response_time_ms == 6.0


def test_learned_state_can_be_left_out(tmp_path: Path) -> None:
    save(tmp_path / "p.json", pool_of(rich_proxy()), learned=False)
    proxy = ProxyPool.from_file(tmp_path / "p.json").proxies[0]
    assert (proxy.health_status, proxy.total_requests, proxy.ema_response_time_ms) == (HealthStatus.UNKNOWN, 0, None)
    assert (proxy.country_code, proxy.tags) == ("DE", {"a", "b", 'quo"te'})


def contents(folder: Path) -> bytes:
    texts = []
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            texts.append(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data)
    return b"\n".join(texts)


@pytest.mark.parametrize("name", ["p.json", "p.jsonl", "p.json.gz"])
@pytest.mark.parametrize("how", ["encrypted", "left out"])
def test_secrets_are_in_no_file_unless_asked(name: str, how: str, tmp_path: Path) -> None:
    pool = pool_of(rich_proxy(), "http://user77:pass%2077@embedded.test:3128")
    path = tmp_path / name
    save(path, pool)
    # In clear first, so that a backup would tell.
    save(path, pool)
    assert b"pass 77" in contents(tmp_path)
    key = generate_encryption_key()
    options: dict[str, Any] = {"key": key} if how == "encrypted" else {"credentials": False}
    save(path, pool, **options)
    found = contents(tmp_path)
    for secret in ("s3cr3t", "pass 77", "pass%2077", "user77", "us er", "abcdef", "hidden-value"):
        assert secret.encode() not in found, secret
    if how == "encrypted":
        save(path, pool, **options)
        if "jsonl" not in name:  # whose lines do not say how secret they are
            assert (tmp_path / (name + ".bak")).exists()
        with pytest.raises(ValueError, match="PROXYWHIRL_KEY"):
            ProxyPool.from_file(path)
        with pytest.raises(Exception, match="another key") as info:
            ProxyPool.from_file(path, encryption_key=generate_encryption_key())
        assert type(info.value).__name__ == "InvalidToken"
    else:
        assert ProxyPool.from_file(path).proxies[0].password is None


def test_the_key_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYWHIRL_KEY", generate_encryption_key())
    path = tmp_path / "p.json"
    PoolFile(path, Vault()).save(pool_of("http://user77:pass77@a.test:1"))
    assert b"pass77" not in path.read_bytes()
    assert ProxyPool.from_file(path).proxies[0].url == "http://user77:pass77@a.test:1"


def test_clear_text_warns_once(tmp_path: Path) -> None:
    file = PoolFile(tmp_path / "p.json", Vault())
    file.save(pool_of("http://a.test:1"))
    with pytest.warns(ClearTextWarning) as caught:
        file.save(pool_of("http://user77:pass77@a.test:1"))
    assert "pass77" not in str(caught[0].message)
    file.save(pool_of("http://user77:pass77@a.test:1"))


def test_only_what_changed_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    pool = pool_of(*(f"http://h{number}.test:1" for number in range(50)))
    file = PoolFile(path, Vault())
    assert file.save(pool, only_changed=True).changed == 50
    size = path.stat().st_size
    assert not file.save(pool, only_changed=True).written
    pool.proxies[3].record_success(7.0)
    gone = pool.proxies[4].id
    pool.remove_proxy(gone)
    pool.add_proxy("http://new.test:1")
    done = file.save(pool, only_changed=True)
    assert (done.changed, done.removed) == (2, 1)
    added = path.read_bytes()[size:].splitlines()
    assert len(added) == 3
    again = ProxyPool.from_file(path)
    assert again.size == 50
    assert again.get_proxy_by_id(gone) is None
    assert [proxy.id for proxy in again.proxies] == [proxy.id for proxy in pool.proxies]
    assert again.proxies[3].total_successes == 1


@pytest.mark.parametrize("name", ["p.json", "p.jsonl"])
def test_an_unchanged_pool_leaves_the_file_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    pool = pool_of("http://a.test:1")
    file = PoolFile(path, Vault())
    file.save(pool)
    before = path.stat()
    assert not file.save(pool, only_changed=True).written
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    pool.proxies[0].tags.add("x")
    assert file.save(pool, only_changed=True).written
    # Another process wrote to it: it is written whatever has changed.
    path.write_text("[]")
    assert file.save(pool, only_changed=True).written
    assert ProxyPool.from_file(path).size == 1


def test_appending_to_gzip(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.gz"
    pool = pool_of("http://a.test:1", "http://b.test:1")
    file = PoolFile(path, Vault())
    file.save(pool)
    for number in range(3):
        pool.proxies[0].record_success(1.0 + number)
        file.save(pool, only_changed=True)
        size = path.stat().st_size
        assert not file.save(pool, only_changed=True).written
        assert path.stat().st_size == size
    assert ProxyPool.from_file(path).proxies[0].total_successes == 3


def test_appended_lines_are_compacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxywhirl.storage import _pool_file

    monkeypatch.setattr(_pool_file, "_COMPACT_FROM", 2000)
    path = tmp_path / "p.jsonl"
    pool = pool_of("http://a.test:1")
    file = PoolFile(path, Vault())
    for _ in range(100):
        pool.proxies[0].record_success(1.0)
        file.save(pool, only_changed=True)
        assert path.stat().st_size < 4000
    assert ProxyPool.from_file(path).proxies[0].total_successes == 100


def test_a_torn_last_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "p.jsonl"
    save(path, pool_of("http://a.test:1", "http://b.test:1"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    pool = ProxyPool.from_file(path)
    assert [proxy.url for proxy in pool.proxies] == ["http://a.test:1"]
    assert "cut off" in caplog.text
    path.write_bytes(whole.replace(b'"url"', b"url", 1))
    with pytest.raises(DamagedFileError):
        ProxyPool.from_file(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "{",
        '{"proxies": 3}',
        '{"proxies": "hunter2"}',
        '{"proxies": [1]}',
        '{"proxies": [{"url": "hunter2"}]}',
        '{"proxies": [{"url": "http://a.test:1", "username": "hunter2"}]}',
        '{"proxies": [{"url": "http://a.test:1", "username": "u", "password": 3}]}',
        '{"proxies": [{"url": "http://a.test:1", "total_requests": "hunter2"}]}',
        '{"proxies": [{"url": "http://a.test:1", "health_status": "hunter2"}]}',
        '{"proxies": [{"url": "http://u:hunter2@127.0.0.1:1", "source": "FETCHED"}]}',
        '{"proxies": [{"url": "http://u:hunter2@a.test:1/path"}]}',
        '{"proxies": [{"url": "http://a.test:1", "username": "**********", "password": "**********"}]}',
        '["hunter2"]',
        '[{"password": "hunter2"}]',
        '{"password": "hunter2"}',
        '{"url": "hunter2"}',
        "3",
        "hunter2",
        "\x00\x01",
    ],
)
def test_damaged_files_are_explained_and_never_quoted(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(ValueError) as info:
        ProxyPool.from_file(path)
    shown = "".join(map(str, [info.value, info.value.__cause__, repr(info.value)]))
    assert "hunter2" not in shown
    assert "p.json" in shown


def test_a_damaged_file_keeps_the_last_whole_state(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "p.json"
    file = PoolFile(path, Vault())
    file.save(pool_of("http://a.test:1"))
    file.save(pool_of("http://a.test:1", "http://b.test:1"))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DamagedFileError, match=r"p\.json\.bak"):
        ProxyPool.from_file(path)
    assert ProxyPool.from_file(tmp_path / "p.json.bak").size == 1
    # Saving over it keeps the backup as it is, and the damaged file for inspection.
    file.save(pool_of("http://c.test:1"))
    assert "damaged" in caplog.text
    assert ProxyPool.from_file(path).proxies[0].url == "http://c.test:1"
    assert ProxyPool.from_file(tmp_path / "p.json.bak").size == 1
    assert (tmp_path / "p.json.damaged").exists()


def test_damaged_gzip(tmp_path: Path) -> None:
    path = tmp_path / "p.json.gz"
    save(path, pool_of(*(f"http://h{number}.test:1" for number in range(500))))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DamagedFileError, match="gzipped"):
        ProxyPool.from_file(path)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real" / "p.json")
    save(link, pool_of("http://a.test:1"))
    assert link.is_symlink()
    assert ProxyPool.from_file(tmp_path / "real" / "p.json").size == 1


def test_copied_identifiers_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    save(path, pool_of("http://a.test:1"))
    document = json.loads(path.read_text())
    document["proxies"].append({**document["proxies"][0], "url": "http://b.test:1"})
    path.write_text(json.dumps(document))
    pool = ProxyPool.from_file(path)
    assert len({proxy.id for proxy in pool.proxies}) == 2


def run(script: str, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        **options,
    )


SAVER = """
import sys
import time
from proxywhirl import ProxyPool
from proxywhirl.storage._pool_file import PoolFile
from proxywhirl.storage._vault import Vault

path, name, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
pool = ProxyPool(name=name, max_pool_size=10_000)
pool.add_many([f"http://{name}-{number}.test:1" for number in range(3000)])
file = PoolFile(path, Vault())
file.save(pool, name=name)
print("ready", flush=True)
while True:
    pool.get_all_proxies()[0].record_success(1.0)
    file.save(pool, name=name, only_changed=True)
    time.sleep(pause)
"""


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_killed_at_any_moment(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    for attempt in range(6):
        child = run(SAVER, path, "only", 0)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(0.01 + 0.013 * attempt)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        pool = ProxyPool.from_file(path)
        assert pool.size == 3000
        assert pool.proxies[-1].url == "http://only-2999.test:1"
    # What the killed ones left lying about is gone with the next save.
    save(path, pool)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".saving")]


def test_two_processes_write(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    children = [run(SAVER, path, name, 0.02) for name in ("one", "two")]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
        seen = set()
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            pool = ProxyPool.from_file(path)
            assert pool.size == 3000
            assert {proxy.host.split("-")[0] for proxy in pool.proxies} == {pool.name}
            seen.add(pool.name)
        assert seen == {"one", "two"}
    finally:
        for child in children:
            child.kill()
            child.communicate()


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_a_full_disk(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    pool = pool_of(*(f"http://h{number}.test:1" for number in range(300)))
    file = PoolFile(path, Vault())
    file.save(pool)
    size = path.stat().st_size
    for proxy in pool.proxies:
        proxy.record_success(1.0)
    # No file of this process may grow beyond that: what a full disk says, it says.
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000 if suffix == ".jsonl" else size // 2, before[1]))
    try:
        with pytest.raises(OSError):
            file.save(pool, only_changed=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.stat().st_size == size
    assert ProxyPool.from_file(path).proxies[0].total_requests == 0
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".saving")]
    file.save(pool, only_changed=True)
    assert ProxyPool.from_file(path).proxies[0].total_requests == 1


def test_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    from proxywhirl._base.files import file_lock

    path = tmp_path / "p.json"
    with file_lock(path):
        with pytest.raises(TimeoutError, match="locked"), file_lock(path, timeout=0.05):
            pass
        thread = threading.Thread(target=save, args=(path, pool_of("http://a.test:1")))
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        assert not path.exists()
    thread.join(10)
    assert path.exists()


def test_without_atomic_writes(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text("x" * 100_000)
    PoolFile(path, Vault(), atomic=False).save(pool_of("http://a.test:1"))
    assert ProxyPool.from_file(path).size == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_metadata_that_is_no_json(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pool = pool_of("http://a.test:1", "http://b.test:1")
    circle: dict[str, Any] = {}
    circle["self"] = circle
    pool.proxies[0].metadata = {"circle": circle}
    pool.proxies[1].metadata["when"] = datetime(2026, 1, 1, tzinfo=timezone.utc)
    pool.proxies[1].metadata["set"] = {2, 1}
    save(tmp_path / "p.json", pool)
    again = ProxyPool.from_file(tmp_path / "p.json")
    assert again.proxies[0].metadata == {}
    assert again.proxies[1].metadata == {"when": "2026-01-01T00:00:00+00:00", "set": [1, 2]}
    assert "left out" in caplog.text


def test_far_years_and_averages_that_differ(tmp_path: Path) -> None:
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
    pool = pool_of(
        Proxy(url="http://a.test:1", expires_at=never, average_response_time_ms=5.0, ema_response_time_ms=None),
        Proxy(url="http://b.test:1", average_response_time_ms=None, ema_response_time_ms=0.1 + 0.2),
    )
    save(tmp_path / "p.json", pool)
    again = ProxyPool.from_file(tmp_path / "p.json")
    assert [fields(proxy) for proxy in again.proxies] == [fields(proxy) for proxy in pool.proxies]
    assert not again.proxies[0].is_expired
    # Of a file that knows one average only, that is both.
    (tmp_path / "q.json").write_text('[{"url": "http://a.test:1", "average_response_time_ms": 7.5}]')
    assert ProxyPool.from_file(tmp_path / "q.json").proxies[0].ema_response_time_ms == 7.5


@pytest.mark.parametrize("code", ["a ", " a", "\x1ca", "ßa", "ß", "ŉa", "de", "--", "\u2003x", "deu", ""])
def test_country_codes_that_are_none(code: str, tmp_path: Path) -> None:
    proxy = Proxy(url="http://a.test:1", country_code=code)
    place = proxy.geo_location
    assert place is None or place.country_code == code.upper()
    save(tmp_path / "p.json", pool_of(proxy))
    assert fields(ProxyPool.from_file(tmp_path / "p.json").proxies[0]) == fields(proxy)
