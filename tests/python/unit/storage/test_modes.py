"""Saved files are readable by their owner only, whatever the umask, from the first moment on."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxywhirl import ProxyPool, ProxyRotator, generate_encryption_key
from proxywhirl._base.files import atomic_write, make_folder
from proxywhirl.cli import main
from proxywhirl.config import CLIConfig, get_encryption_key, save_config
from proxywhirl.storage import FileStorage
from proxywhirl.storage._pool_file import PoolFile
from proxywhirl.storage._vault import Vault

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX"),
    pytest.mark.filterwarnings("ignore::proxywhirl.storage.ClearTextWarning"),
]


@pytest.fixture(params=[0o000, 0o022, 0o027, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(root: Path) -> dict[str, str]:
    """The modes below a folder, but for those that are as they should be."""
    odd = {}
    for path in root.rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode != (0o700 if path.is_dir() else 0o600):
            odd[str(path.relative_to(root))] = oct(mode)
    return odd


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".json.gz"])
@pytest.mark.parametrize("atomic", [True, False])
def test_pools(suffix: str, atomic: bool, umask: int, tmp_path: Path) -> None:
    path = tmp_path / "one" / "two" / f"p{suffix}"
    pool = ProxyPool(proxies=["http://u:p@a.test:1"])
    file = PoolFile(path, Vault(), atomic=atomic)
    file.save(pool)
    pool.add_proxy("http://b.test:1")
    file.save(pool)
    pool.add_proxy("http://c.test:1")
    file.save(pool, only_changed=True)
    assert modes(tmp_path) == {}
    assert ProxyPool.from_file(path).size == 3


def test_backups_and_damaged_files_of_others(umask: int, tmp_path: Path) -> None:
    for name, text in (("whole.json", '["http://a.test:1"]'), ("broken.json", "{")):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o644)
        PoolFile(path, Vault()).save(ProxyPool(proxies=["http://b.test:1"]))
    assert modes(tmp_path) == {}
    assert {"whole.json.bak", "broken.json.damaged"} <= {path.name for path in tmp_path.iterdir()}


def test_storages_and_settings(umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXYWHIRL_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    asyncio.run(FileStorage(tmp_path / "a" / "b" / "p.json").save([]))
    assert get_encryption_key() == get_encryption_key()
    save_config(CLIConfig(proxies=[{"url": "http://u:p@a.test:1"}]), tmp_path / "c" / "d" / "settings.json")
    assert main(["config", "init"]) == 0
    assert main(["pool", "add", "http://u:p@a.test:1"]) == 0
    assert modes(tmp_path) == {}


def test_databases(umask: int, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    path = tmp_path / "a" / "b" / "p.db"
    rotator = ProxyRotator(proxies=["http://u:p@a.test:1"], storage_backend="sqlite", storage_path=path)
    rotator.save()
    # The log beside it is there while the connection is.
    assert {entry.name for entry in path.parent.iterdir()} >= {"p.db", "p.db-wal"}
    assert modes(tmp_path) == {}
    rotator.close()


def test_no_moment_at_which_others_could_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file and folder is made with its last mode, or a stricter one."""
    made: list[tuple[str, int]] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if recording and event == "os.mkdir":
            made.append((str(arguments[0]), int(str(arguments[1]))))

    recording = True
    sys.addaudithook(watch)
    opened: list[int] = []
    real = os.open

    def spy(path: object, flags: int, mode: int = 0o777, **options: object) -> int:
        if flags & os.O_CREAT:
            opened.append(mode)
        return real(path, flags, mode, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", spy)
    before = os.umask(0)
    try:
        rotator = ProxyRotator(proxies=["http://u:p@a.test:1"])
        for name in ("p.json", "p.jsonl.gz"):
            rotator.save(tmp_path / "x" / "y" / name)
        atomic_write(tmp_path / "key", generate_encryption_key(), mode=0o600)
    finally:
        recording = False
        os.umask(before)
    assert opened
    assert all(mode & 0o077 == 0 for mode in opened)
    assert [(Path(name).name, oct(mode)) for name, mode in made] == [("x", "0o700"), ("y", "0o700")]


def test_folders_that_exist_stay_as_they_are(tmp_path: Path) -> None:
    open_one = tmp_path / "open"
    open_one.mkdir()
    open_one.chmod(0o755)
    make_folder(open_one / "new")
    make_folder(open_one / "new")
    assert oct(stat.S_IMODE(open_one.stat().st_mode)) == "0o755"
    assert oct(stat.S_IMODE((open_one / "new").stat().st_mode)) == "0o700"
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError):
            make_folder(path)
