"""Proxies in SQLite, and in a PostgreSQL server where there is one to start."""

from __future__ import annotations

import asyncio
import glob
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxywhirl import (
    AsyncProxyRotator,
    HealthStatus,
    Proxy,
    ProxyPool,
    ProxyRotator,
    ProxyStorageError,
    generate_encryption_key,
)

pytest.importorskip("sqlalchemy")
pytest.importorskip("aiosqlite")

from proxywhirl.storage import ClearTextWarning, SQLiteStorage
from proxywhirl.storage._extras import How

pytestmark = pytest.mark.filterwarnings("ignore::proxywhirl.storage.ClearTextWarning")


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROXYWHIRL_KEY", "PROXYWHIRL_CACHE_ENCRYPTION_KEY", "PROXYWHIRL_CACHE_KEY_PREVIOUS"):
        monkeypatch.delenv(name, raising=False)


def _server_programs() -> str | None:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    program = shutil.which("initdb") or (found[-1] if found else None)
    return None if program is None else os.path.dirname(program)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server of our own, on a socket in a folder of our own."""
    pytest.importorskip("psycopg")
    programs = _server_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL server here")
    # Outside pytest's folders, which are closed to the user that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="proxywhirl-pg-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        # The server refuses to run as root.
        name = next(name for name in ("postgres", "nobody") if _user_exists(name))
        user["user"] = name
        shutil.chown(folder, name)
    data = folder / "data"
    environment = {**os.environ, "LC_ALL": "C", "HOME": str(folder)}
    common: dict[str, Any] = {"env": environment, "cwd": folder, "stdin": subprocess.DEVNULL, **user}
    made = subprocess.run(
        [f"{programs}/initdb", "-D", data, "-U", "tester", "-A", "trust", "-N"], capture_output=True, **common
    )
    if made.returncode:
        pytest.skip(f"no database could be made here: {made.stderr.decode(errors='replace')[-300:]}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    log = folder / "log"
    started = subprocess.run(
        [f"{programs}/pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **common,
    )
    if started.returncode:
        pytest.skip(f"no server could be started here: {log.read_text()[-300:]}")
    try:
        yield f"postgresql://tester@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run(
            [f"{programs}/pg_ctl", "-D", data, "-m", "immediate", "stop"],
            stdout=subprocess.DEVNULL,
            check=False,
            **common,
        )


def _user_exists(name: str) -> bool:
    import pwd

    return any(entry.pw_name == name for entry in pwd.getpwall())


@pytest.fixture(params=["sqlite", "sqlite on threads", "sqlite in memory", "postgres", "postgres on threads"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SQLiteStorage]:
    threads = "threads" in request.param
    if request.param.startswith("postgres"):
        made = SQLiteStorage(request.getfixturevalue("postgres"), use_async_driver=not threads)
        await made.clear()
    elif "memory" in request.param:
        made = SQLiteStorage(":memory:")
    else:
        made = SQLiteStorage(tmp_path / "proxies.db", use_async_driver=not threads)
    yield made
    await made.close()


async def emptied(target: Any) -> None:
    storage = SQLiteStorage(target)
    await storage.clear()
    await storage.close()


def rich(number: int = 0, **fields: Any) -> Proxy:
    return Proxy(
        **{
            "url": f"socks5://h{number + 1}.test:1080",
            "country_code": "DE",
            "region": "Hesse",
            "health_status": "degraded",
            "total_requests": 9,
            "total_successes": 6,
            "total_failures": 3,
            "consecutive_failures": 1,
            "ema_response_time_ms": 12.5,
            "average_response_time_ms": 14.5,
            "tags": {"a", "b"},
            "metadata": {"note": ["x"]},
            "cost_per_request": 0.5,
            "ttl": 1_000_000,
            **fields,
        }
    )


def fields(proxies: Any) -> list[dict[str, Any]]:
    return [proxy.model_dump(mode="json", reveal=True) for proxy in proxies]


async def test_nothing_is_lost(storage: SQLiteStorage) -> None:
    proxies = [
        rich(0, username="us er", password="s3cr3t/ü"),
        rich(1),
        Proxy(url="http://u:p%40w@embedded.test:3128"),
        # The same address with other credentials, and with none, are other proxies.
        Proxy(url="http://v:w@embedded.test:3128"),
        Proxy(url="http://embedded.test:3128"),
    ]
    await storage.save(proxies)
    loaded = await storage.load()
    assert all(isinstance(proxy, Proxy) for proxy in loaded)
    assert fields(loaded) == fields(proxies)
    # What is saved updates what was, and leaves the rest; replacing takes it out.
    proxies[1].record_success(3.0)
    await storage.save(proxies[1:2])
    assert fields(await storage.load()) == fields(proxies)
    await storage.save([])
    assert len(await storage.load()) == len(proxies)
    await storage.replace(proxies[1:])
    assert fields(await storage.load()) == fields(proxies[1:])
    await storage.replace([])
    assert await storage.load() == []
    await storage.save(proxies)
    await storage.clear()
    assert await storage.load() == []


async def test_adding_and_deleting(storage: SQLiteStorage) -> None:
    assert await storage.add_proxy(rich(0))
    assert not await storage.add_proxy(rich(0, total_requests=77))
    assert (await storage.load())[0].total_requests == 9
    assert await storage.add_proxies_batch([rich(0), rich(1), rich(2)]) == (2, 1)
    assert await storage.add_proxy(rich(2, username="u", password="p"))
    assert await storage.delete("socks5://u:p@h3.test:1080")
    assert not await storage.delete("socks5://u:p@h3.test:1080")
    assert await storage.delete("socks5://h1.test:1080")
    assert [proxy.host for proxy in await storage.load()] == ["h2.test", "h3.test"]


async def test_queries(storage: SQLiteStorage) -> None:
    await storage.save([rich(0, source="api"), rich(1, country_code="US"), Proxy(url="http://c.test:1", source="file")])
    assert [proxy.host for proxy in await storage.query(source="api")] == ["h1.test"]
    assert [proxy.host for proxy in await storage.query(health_status=HealthStatus.UNKNOWN)] == ["c.test"]
    assert [proxy.host for proxy in await storage.query(country_code="us", protocol="socks5")] == ["h2.test"]
    assert len(await storage.get_proxies_by_status("DEGRADED")) == 2
    assert len(await storage.query()) == 3
    with pytest.raises(ValueError, match="no such filter"):
        await storage.query(password="x")
    stats = await storage.get_stats()
    assert stats["total_proxies"] == 3
    assert stats["by_status"] == {"degraded": 2, "unknown": 1}
    assert stats["by_protocol"] == {"socks5": 2, "http": 1}
    assert stats["by_source"] == {"api": 1, "user": 1, "file": 1}


async def test_validations(storage: SQLiteStorage) -> None:
    await storage.save([rich(0), rich(1, average_response_time_ms=None, ema_response_time_ms=None)])
    one, two = "socks5://h1.test:1080", "socks5://h2.test:1080"
    await storage.record_validation(two, True, 100.0)
    await storage.record_validation(two, True, 50.0)
    (healthy,) = await storage.get_healthy_proxies()
    assert healthy.average_response_time_ms == pytest.approx(90.0)
    assert (
        await storage.record_validations_batch([(one, False, None, "timeout"), ("http://else.test:1", True, 1.0, None)])
        == 1
    )
    assert (await storage.query(host="h1.test"))[0].health_status is HealthStatus.UNHEALTHY
    await storage.record_validation(one, False, None, "refused", "http://user:hunter2@h1.test said no")
    await storage.record_validation(one, False)
    assert (await storage.query(host="h1.test"))[0].health_status is HealthStatus.DEAD
    assert [proxy.host for proxy in await storage.load_validated()] == ["h2.test"]
    assert await storage.get_healthy_proxies(max_age_hours=0) == []
    assert await storage.get_healthy_proxies(country_code="US") == []
    assert len(await storage.get_healthy_proxies(protocol="socks5", country_code="de", limit=5)) == 1
    assert (await storage.get_stats())["total_validations"] == 5
    await storage.record_validation(one, True)
    assert (await storage.query(host="h1.test"))[0].health_status is HealthStatus.HEALTHY


async def test_cleaning(storage: SQLiteStorage) -> None:
    await storage.add_proxies_batch([rich(0), rich(1)], validated=True)
    await storage.add_proxies_batch([rich(2), rich(3, health_status="dead")])
    kept = await storage.cleanup(remove_dead=False, remove_stale_days=None, remove_never_validated=False)
    assert kept == {"dead": 0, "stale": 0, "never_validated": 0}
    assert await storage.cleanup() == {"dead": 1, "stale": 0, "never_validated": 1}
    assert await storage.cleanup(remove_stale_days=0, vacuum=False) == {"dead": 0, "stale": 2, "never_validated": 0}
    assert await storage.load() == []


def everything_in(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


async def test_credentials_are_encrypted_and_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.db"
    first = generate_encryption_key()
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", first)
    await SQLiteStorage(path).save([Proxy(url="http://user77:pass77@a.test:1")])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"pass77" not in everything_in(path)
    assert b"user77" not in everything_in(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("select url, bare_url from proxy_identities").fetchall() == [("http://a.test:1",) * 2]
        assert connection.execute("select password from proxy_identities").fetchone()[0].startswith("encrypted:")
    connection.close()
    # The key is changed; what the old one encrypted can still be read.
    second = generate_encryption_key()
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", second)
    with pytest.raises(Exception, match="another key"):
        await SQLiteStorage(path).load()
    monkeypatch.setenv("PROXYWHIRL_CACHE_KEY_PREVIOUS", first)
    storage = SQLiteStorage(path)
    loaded = await storage.load()
    assert loaded[0].url == "http://user77:pass77@a.test:1"
    # It is one proxy still, whichever key its credentials are under.
    assert await storage.add_proxies_batch([Proxy(url="http://user77:pass77@a.test:1")]) == (0, 1)
    await storage.save(loaded)
    monkeypatch.delenv("PROXYWHIRL_CACHE_KEY_PREVIOUS")
    assert (await SQLiteStorage(path).load())[0].url == "http://user77:pass77@a.test:1"
    monkeypatch.delenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY")
    with pytest.raises(ValueError, match="encryption_key"):
        await SQLiteStorage(path).load()


@pytest.mark.filterwarnings("default::proxywhirl.storage.ClearTextWarning")
async def test_clear_text_warns(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "p.db")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await storage.save([Proxy(url="http://user77:pass77@a.test:1")])
        await storage.save([Proxy(url="http://user77:pass77@a.test:1")])
    assert [found.category for found in caught] == [ClearTextWarning]
    assert stat.S_IMODE((tmp_path / "p.db").stat().st_mode) == 0o600


async def test_tables_of_others_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table proxies (x)")
        connection.execute("create table proxy_identities (url text primary key, hunter2 text)")
        connection.execute("insert into proxy_identities values ('http://a.test:1', 'x')")
    connection.close()
    with pytest.raises(ProxyStorageError, match="something else"):
        await SQLiteStorage(path).initialize()
    with sqlite3.connect(path) as connection:
        assert connection.execute("select count(*) from proxy_identities").fetchone() == (1,)
        assert connection.execute("select count(*) from proxies").fetchone() == (0,)
    connection.close()


async def test_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    path.write_bytes(b"this is no database, by hunter2" * 100)
    with pytest.raises(ProxyStorageError) as info:
        await SQLiteStorage(path).load()
    assert "hunter2" not in str(info.value)


def test_other_databases_are_refused() -> None:
    with pytest.raises(ValueError, match="PostgreSQL") as info:
        SQLiteStorage("mysql://user:hunter2@db/x")
    assert "hunter2" not in str(info.value)
    assert "hunter2" not in repr(SQLiteStorage("postgresql://user:hunter2@db/x"))


def test_an_error_shows_no_password(postgres: str) -> None:
    storage = SQLiteStorage(postgres.replace("/postgres", "/absent").replace("tester@", "tester:hunter2@"))
    with pytest.raises(ProxyStorageError) as info:
        asyncio.run(storage.load())
    shown = "".join(map(str, (info.value, info.value.__cause__, repr(storage))))
    assert "hunter2" not in shown


@pytest.mark.parametrize("where", ["sqlite", "postgres"])
def test_a_rotators_storage(where: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    path: Any = tmp_path / "p.db" if where == "sqlite" else request.getfixturevalue("postgres")
    if where == "postgres":
        asyncio.run(emptied(path))
    options: dict[str, Any] = {"storage_backend": "sqlite", "storage_path": path}
    first = ProxyRotator(proxies=["http://a.test:1", "http://u:p@b.test:2"], **options)
    with first.lease() as lease:
        lease.success(5.0)
    first.save()
    first.pool.proxies[0].tags.add("changed")
    gone = first.pool.proxies[1]
    first.pool.remove_proxy(gone.id)
    first.pool.add_proxy("http://c.test:3")
    autosave = first._keeping.made()
    done = autosave.save(only_changed=True)
    assert (done.changed, done.removed) == (2, 1)
    assert not autosave.save(only_changed=True).written
    second = ProxyRotator(**options)
    second.load()
    assert [proxy.url for proxy in second.pool.proxies] == ["http://a.test:1", "http://c.test:3"]
    assert second.pool.proxies[0].total_successes == 1
    assert "changed" in second.pool.proxies[0].tags
    second.save(include_credentials=False, learned=False)
    third = ProxyRotator(**options)
    third.load()
    assert third.pool.total_requests == 0
    for rotator in (first, second, third):
        rotator.close()


async def test_an_async_rotators_storage(storage: SQLiteStorage) -> None:
    async with AsyncProxyRotator(proxies=["http://a.test:1"], storage_backend=storage) as rotator:
        async with rotator.lease() as lease:
            lease.success(5.0)
        await rotator.save()
    again = AsyncProxyRotator(storage_backend=storage)
    await again.load()
    assert again.pool.total_requests == 1
    await again.aclose()


def test_many_writers(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    script = """
    import asyncio, sys
    from proxywhirl import Proxy
    from proxywhirl.storage import SQLiteStorage
    async def main():
        storage = SQLiteStorage(sys.argv[1])
        for number in range(20):
            await storage.add_proxy(Proxy(url=f"http://{sys.argv[2]}-{number}.test:1"))
    asyncio.run(main())
    """
    import textwrap

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    children = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), str(path), name], env=environment)
        for name in ("a", "b", "c")
    ]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert len(asyncio.run(SQLiteStorage(path).load())) == 60


def test_several_event_loops_in_turn(storage: SQLiteStorage) -> None:
    async def use(number: int) -> int:
        await storage.add_proxy(rich(number))
        count = len(await storage.load())
        await storage.close()
        return count

    in_memory = "memory" in repr(storage)
    assert [asyncio.run(use(number)) for number in range(3)] == ([1, 1, 1] if in_memory else [1, 2, 3])


def test_a_thousand_at_once(storage: SQLiteStorage) -> None:
    pool = ProxyPool(max_pool_size=1000)
    pool.add_many([f"http://h{number}.test:1" for number in range(1000)])
    place = storage._place()
    how = How(only_changed=True, gentle=True)
    assert place.save(pool, {}, how).changed == 1000
    for proxy in pool.get_all_proxies()[:600]:
        proxy.record_success(1.0)
    assert place.save(pool, {}, how).changed == 600
    other = ProxyPool(max_pool_size=1000)
    assert place.load(other) == 1000
    assert [proxy.id for proxy in other.proxies] == [proxy.id for proxy in pool.proxies]
    assert other.total_requests == 600
    place.close()
