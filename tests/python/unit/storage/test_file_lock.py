"""Locks of files: between threads and processes, and through forks at every point of a save."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxywhirl import ProxyPool, ProxyRotator, generate_encryption_key
from proxywhirl._base import file_lock as _file_lock
from proxywhirl._base.file_lock import FileLock
from proxywhirl._base.files import file_lock
from proxywhirl.storage._pool_file import PoolFile
from proxywhirl.storage._vault import Vault
from proxywhirl.utils import CLILock

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]


@contextmanager
def lasting_child(work: Any = None) -> Iterator[int]:
    """A child of a fork that lives until the block is left; first it does some work, and says 0 or 1 in a pipe."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        outcome = b"1"
        try:
            if work is not None:
                work()
            outcome = b"0"
        finally:
            os.write(writing, outcome)
            signal.pause()
            os._exit(0)
    try:
        os.close(writing)
        assert os.read(reading, 1) == b"0"
        yield pid
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def is_free(path: Path) -> bool:
    """Whether another process can take the lock now."""
    program = (
        "import sys; from proxywhirl._base.file_lock import FileLock; sys.exit(not FileLock(sys.argv[1]).try_acquire())"
    )
    return subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 0


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = FileLock(path), FileLock(path)
    assert first.try_acquire()
    assert first.held
    assert first.try_acquire()
    assert not second.try_acquire()
    assert not second.held
    assert not second.acquire(0.03)
    assert not is_free(path)
    first.release()
    first.release()
    assert is_free(path)
    assert second.acquire(0)
    second.release()


def test_a_child_does_not_hold_what_its_parent_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock(path)
    assert lock.try_acquire()

    def in_child() -> None:
        assert not lock.held
        assert not FileLock(path).try_acquire()
        lock.release()
        assert not FileLock(path).try_acquire()  # it was not the child's to release

    with lasting_child(in_child):
        assert not is_free(path)
        lock.release()
        assert is_free(path)
        assert lock.try_acquire()
        lock.release()


def test_a_parent_that_is_killed_leaves_no_lock_to_its_child(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = f"""
import os, signal, time
from proxywhirl._base.file_lock import FileLock
lock = FileLock({str(path)!r})
assert lock.try_acquire()
pid = os.fork()
if pid == 0:
    time.sleep(60)
    os._exit(0)
print(pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    parent = subprocess.Popen([sys.executable, "-W", "ignore", "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.wait()
    try:
        os.kill(child, 0)  # it lives
        assert is_free(path)
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()


def test_a_program_that_is_started_meanwhile_has_no_copy(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with file_lock(path):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        assert is_free(tmp_path / ".lock.lock")
    finally:
        child.kill()
        child.communicate()


def test_forks_while_other_threads_open_and_close_locks(tmp_path: Path) -> None:
    stop = threading.Event()

    def work(number: int) -> None:
        while not stop.is_set():
            with file_lock(tmp_path / str(number)):
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    children = []
    try:
        for _ in range(12):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
        held = [name for name in (".0.lock", ".1.lock", ".2.lock") if not is_free(tmp_path / name)]
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert held == []


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".jsonl.gz"])
def test_forks_during_saves(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    pool = ProxyPool(max_pool_size=50_000)
    pool.add_many([f"http://10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}:80" for n in range(20_000)])
    rotator = ProxyRotator(proxies=pool, storage_backend="file", storage_path=path)
    rotator.save()
    saving = threading.Thread(target=lambda: [rotator.save() for _ in range(4)])
    saving.start()
    children = []
    try:
        for _ in range(6):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
            time.sleep(0.01)
        saving.join(60)
        assert not saving.is_alive()
        assert is_free(tmp_path / f".{path.name}.lock")
        rotator.save()
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert ProxyPool.from_file(path).size == 20_000


@pytest.mark.parametrize("key", [None, "with a key"])
@pytest.mark.filterwarnings("ignore::proxywhirl.storage.ClearTextWarning")
def test_children_save_what_their_parent_was_saving(key: str | None, tmp_path: Path) -> None:
    pool = ProxyPool(max_pool_size=50_000)
    pool.add_many([f"http://u:{n}@10.{n >> 8 & 255}.{n & 255}.1:80" for n in range(3000)])
    options: dict[str, Any] = {"encryption_key": generate_encryption_key()} if key else {}
    rotator = ProxyRotator(proxies=pool, storage_backend="file", storage_path=tmp_path / "p.jsonl.gz", **options)
    rotator.save()
    stop = threading.Event()

    def save() -> None:
        while not stop.wait(0.02):
            rotator.save()

    saving = threading.Thread(target=save)
    saving.start()
    try:
        for _ in range(8):
            pid = os.fork()
            if pid == 0:
                outcome = 1
                try:
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)
                    signal.alarm(60)
                    rotator.save()
                    outcome = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(outcome)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        stop.set()
        saving.join(30)
    assert ProxyPool.from_file(tmp_path / "p.jsonl.gz", **options).size == 3000


def test_a_child_saves_although_a_thread_of_its_parent_was_saving(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    file = PoolFile(path, Vault())
    pool = ProxyPool(proxies=["http://a.test:1"])
    file.save(pool)
    with file._lock, file_lock(path):
        # As if another thread were in the middle of a save when this one forks.
        pid = os.fork()
        if pid == 0:
            outcome = 1
            try:
                assert not file._lock.locked()
                outcome = 0
            finally:
                os._exit(outcome)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with lasting_child(lambda: file.save(pool)):
        file.save(pool)


def test_two_rotators_on_one_file_and_a_child(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    ProxyRotator(proxies=["http://a.test:1"]).save(path)
    first, second = (ProxyRotator.from_file(path) for _ in range(2))

    def in_child() -> None:
        for _ in range(5):
            first.save()

    with lasting_child(in_child):
        threads = [threading.Thread(target=rotator.save) for rotator in (first, second) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
    assert ProxyPool.from_file(path).size == 1


def test_the_lock_of_the_command_line(tmp_path: Path) -> None:
    lock = CLILock(tmp_path)
    with lock, lasting_child():
        lock.release()
        assert is_free(lock.path)
    with CLILock(tmp_path):
        assert lock.path.read_text() == str(os.getpid())


def test_saving_in_the_background_is_off_in_a_child(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    rotator = ProxyRotator(
        proxies=["http://a.test:1"], storage_backend="file", storage_path=path, auto_save_interval=1000.0
    )
    rotator._keeping.begin()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            import logging

            seen: list[str] = []
            handler = logging.Handler()
            handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
            logging.getLogger("proxywhirl.storage").addHandler(handler)
            rotator._keeping.begin()
            rotator._keeping.begin()
            rotator.save()
            rotator.close()
            os.write(writing, f"{len(seen)} {threading.active_count()} {seen}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    output = os.read(reading, 2000).decode()
    os.close(reading)
    os.waitpid(pid, 0)
    assert output.startswith("1 1 ['auto_save_interval is off in process")
    rotator.close()


@pytest.mark.filterwarnings("ignore::proxywhirl.storage.ClearTextWarning")
def test_a_database_in_parent_and_child(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    path = tmp_path / "p.db"
    rotator = ProxyRotator(proxies=["http://u:p@a.test:1"], storage_backend="sqlite", storage_path=path)
    rotator.save()

    def in_child() -> None:
        assert rotator._keeping.made().place._storage._engines._blocking is None  # type: ignore[union-attr]
        for _ in range(3):
            rotator.save()
        rotator.close()

    with lasting_child(in_child):
        rotator.pool.add_proxy("http://b.test:1")
        rotator.save()
    # The child's end did not take the log of the parent's connection away.
    rotator.pool.add_proxy("http://c.test:1")
    rotator.save()
    rotator.close()
    with ProxyRotator(storage_backend="sqlite", storage_path=path) as again:
        assert [proxy.host for proxy in again.pool] == ["a.test", "b.test", "c.test"]


def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(descriptor: int) -> bool:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(_file_lock, "_take", refuse)
    for _ in range(2):
        PoolFile(tmp_path / "p.json", Vault()).save(ProxyPool(proxies=["http://a.test:1"]))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "without locks" in caplog.text

    def fail(descriptor: int) -> bool:
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(_file_lock, "_take", fail)
    lock = FileLock(tmp_path / "lock")
    with pytest.raises(OSError, match="disk is gone"):
        lock.try_acquire()
    assert not lock.held


def test_the_mode_of_a_lock(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        for _ in range(2):
            with file_lock(tmp_path / "x"):
                pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / ".x.lock").stat().st_mode) == 0o600
