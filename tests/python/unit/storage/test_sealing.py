"""Encrypted texts belong to one field of one proxy: moved elsewhere they are refused, never used."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxywhirl import (
    Proxy,
    ProxyPool,
    ProxyRotator,
    _core,
    encrypt_credentials,
    generate_encryption_key,
)
from proxywhirl._base.crypto import PREFIX, is_bound, open_sealed, seal_bound
from proxywhirl.cli import main
from proxywhirl.config import CLIConfig, load_config, save_config
from proxywhirl.config import encrypt_credentials as encrypt_settings
from proxywhirl.storage import FileStorage

fernet = pytest.importorskip("cryptography.fernet")
KEY = generate_encryption_key()
Records = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYWHIRL_KEY", KEY)
    monkeypatch.delenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", raising=False)
    monkeypatch.delenv("PROXYWHIRL_CACHE_KEY_PREVIOUS", raising=False)


def proxies() -> list[Proxy]:
    made = [
        Proxy(url="http://a.test:1", username="user-a", password="secret-a"),
        Proxy(url="https://b.test:1", username="user-b", password="secret-b", source_url="https://l.test/?key=1"),
        Proxy(url="https://b.test:1", username="user-c", password="secret-c"),
        Proxy(url="http://u:secret-d@d.test:1", protocol="socks5", allow_local=True),
    ]
    for number, proxy in enumerate(made):
        proxy.metadata = {"note": f"note-{number}"}
    return made


def logins(found: Any) -> list[tuple[str, str, Any]]:
    shown = [proxy.model_dump(reveal=True) for proxy in found]
    plain = [{name: _plain(value) for name, value in entry.items()} for entry in shown]
    return [(entry["username"], entry["password"], entry["metadata"]) for entry in plain]


def _plain(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


EXPECTED = logins(proxies())

# What an attacker with write access to the file, but without the key, can do.
MOVES: dict[str, Callable[[Records], None]] = {
    "a password to another proxy": lambda r: r[1].update(password=r[0]["password"]),
    "a login to another proxy": lambda r: r[1].update(username=r[0]["username"], password=r[0]["password"]),
    "two passwords swapped": lambda r: (
        r[0].update(password=r[1]["password"], x=r[0]["password"]),
        r[1].update(password=r[0].pop("x")),
    )[0],
    "two logins of one address swapped": lambda r: (
        r[1].update(username=r[2]["username"], password=r[2]["password"], x=(r[1]["username"], r[1]["password"])),
        r[2].update(zip(("username", "password"), r[1].pop("x"))),
    )[0],
    "user name and password swapped": lambda r: r[0].update(username=r[0]["password"], password=r[0]["username"]),
    "a password as user name": lambda r: r[0].update(username=r[0]["password"]),
    "a password as address of a list": lambda r: r[1].update(source_url=r[1]["password"]),
    "the proxy's host": lambda r: r[0].update(url="http://evil.test:1"),
    "the proxy's port": lambda r: r[0].update(url="http://a.test:2"),
    "TLS taken away": lambda r: r[1].update(url="http://b.test:1"),
    "another protocol": lambda r: r[1].update(protocol="http"),
    "another id": lambda r: r[0].update(id="00000000-0000-4000-8000-000000000001"),
    "metadata to another proxy": lambda r: r[0].update(metadata=r[1]["metadata"]),
    "a password as metadata": lambda r: r[0].update(metadata=r[0]["password"]),
    "one letter": lambda r: r[0].update(password=r[0]["password"][:-6] + "AAAAA" + r[0]["password"][-1]),
    "cut short": lambda r: r[0].update(password=r[0]["password"][:40]),
    "nothing left": lambda r: r[0].update(password=PREFIX + "v2:"),
    "no base64": lambda r: r[0].update(password=PREFIX + "v2:ü!"),
    "the mark of the version": lambda r: r[0].update(password=r[0]["password"].replace("v2:", "")),
}


def rewrite(path: Path, move: Callable[[Records], Any]) -> None:
    packed = path.suffix == ".gz"
    text = (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()).decode()
    if ".jsonl" in path.name:
        records = [json.loads(line) for line in text.splitlines()]
        move(records)
        text = "".join(json.dumps(record) + "\n" for record in records)
    else:
        whole = json.loads(text)
        move(whole if isinstance(whole, list) else whole["proxies"])
        text = json.dumps(whole)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("name", ["p.json", "p.jsonl.gz", "bare.json"])
def test_what_was_moved_in_a_file_is_refused(name: str, move: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "bare.json":
        asyncio.run(FileStorage(path).save(proxies()))
    else:
        ProxyRotator(proxies=proxies()).save(path)
    assert logins(ProxyPool.from_file(path)) == EXPECTED
    for secret in ("secret-", "user-", "note-", "key=1"):
        assert secret not in path.read_bytes().decode("latin-1")
    rewrite(path, MOVES[move])
    with pytest.raises(fernet.InvalidToken) as info:
        ProxyPool.from_file(path)
    assert "secret" not in repr(info.value)
    with pytest.raises(fernet.InvalidToken):
        asyncio.run(FileStorage(path).load())
    with pytest.raises(fernet.InvalidToken):
        ProxyRotator(storage_backend="file", storage_path=path)


def test_a_record_in_an_unusual_form_is_bound_as_well(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    ProxyRotator(proxies=proxies()).save(path)
    # A date without a time sends an entry the slow way.
    rewrite(path, lambda records: records[0].update(created_at="2026-01-01"))
    assert logins(ProxyPool.from_file(path)) == EXPECTED
    rewrite(path, lambda records: records[0].update(password=records[1]["password"]))
    with pytest.raises(fernet.InvalidToken):
        ProxyPool.from_file(path)


SQL_MOVES = {
    "a password to another proxy": "update proxy_identities set password = (select password from proxy_identities "
    "where host = 'b.test' limit 1) where host = 'a.test'",
    "user name and password swapped": "update proxy_identities set username = password, password = username "
    "where host = 'a.test'",
    "the address": "update proxy_identities set bare_url = 'http://evil.test:1' where host = 'a.test'",
    "TLS taken away": "update proxy_identities set bare_url = 'http://b.test:1' where host = 'b.test'",
    "the id": "update proxy_identities set id = '00000000-0000-4000-8000-000000000001' where host = 'a.test'",
}


@pytest.mark.parametrize("move", SQL_MOVES)
def test_what_was_moved_in_a_database_is_refused(move: str, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    from proxywhirl.storage import SQLiteStorage

    path = tmp_path / "p.db"

    async def run(work: Callable[[SQLiteStorage], Any]) -> Any:
        async with SQLiteStorage(path) as storage:
            return await work(storage)

    asyncio.run(run(lambda storage: storage.save(proxies())))
    assert logins(asyncio.run(run(lambda storage: storage.load()))) == EXPECTED
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(SQL_MOVES[move])
    connection.close()
    with pytest.raises(fernet.InvalidToken):
        asyncio.run(run(lambda storage: storage.load()))
    with pytest.raises(fernet.InvalidToken):
        ProxyRotator(storage_backend="sqlite", storage_path=path)


def unbound(path: Path) -> None:
    """Write a file as versions before the binding did: Fernet tokens behind the prefix."""
    ProxyRotator(proxies=proxies()).save(path)

    def change(records: Records) -> None:
        for record, (username, password, metadata) in zip(records, EXPECTED):
            record["username"], record["password"], record["metadata"] = (
                PREFIX + encrypt_credentials(text, KEY) for text in (username, password, json.dumps(metadata))
            )
        records[1]["source_url"] = PREFIX + encrypt_credentials("https://l.test/?key=1", KEY)

    rewrite(path, change)


@pytest.mark.parametrize("name", ["p.json", "p.jsonl", "p.jsonl.gz"])
def test_older_files_are_read_once_and_written_bound(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    unbound(path)
    rotator = ProxyRotator(storage_backend="file", storage_path=path)
    assert logins(rotator.pool) == EXPECTED
    assert rotator.pool.get_all_proxies()[1].source_url == "https://l.test/?key=1"
    rotator.save()
    text = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    assert text.count(b"encrypted:v2:") == text.count(b"encrypted:") == 13
    assert logins(ProxyPool.from_file(path)) == EXPECTED


def test_a_save_encrypts_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxywhirl.storage import _vault

    sealed: list[str] = []
    real = _vault.seal_bound
    monkeypatch.setattr(
        _vault, "seal_bound", lambda text, binding, key: (sealed.append(text), real(text, binding, key))[1]
    )
    rotator = ProxyRotator(proxies=["http://u:p@a.test:1", "http://u:p@b.test:1"])
    path = tmp_path / "p.json"
    rotator._keeping.made()
    rotator.save(path)
    assert sorted(sealed) == ["p", "p", "u", "u"]  # equal texts of two proxies, each bound to its own
    rotator.save(path)
    assert len(sealed) == 4
    rotator.pool.add_proxy("http://v:q@a.test:1")
    rotator.save(path)
    assert sorted(sealed[4:]) == ["q", "v"]


def test_texts_and_places() -> None:
    sealed = seal_bound("pässword", "here", KEY)
    assert is_bound(sealed)
    assert sealed.isascii()
    assert sealed != seal_bound("pässword", "here", KEY)
    assert open_sealed(sealed, "here", KEY) == open_sealed(sealed, "here", KEY.encode()) == "pässword"
    for binding, key in (("there", KEY), ("", KEY), ("here", generate_encryption_key())):
        with pytest.raises(fernet.InvalidToken, match="cannot decrypt"):
            open_sealed(sealed, binding, key)
    with pytest.raises(ValueError, match="not a Fernet key"):
        seal_bound("x", "here", "nonsense")
    data = base64.urlsafe_b64decode(sealed.removeprefix("encrypted:v2:") if hasattr(str, "removeprefix") else "")
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= 1
        with pytest.raises(fernet.InvalidToken):
            open_sealed("encrypted:v2:" + base64.urlsafe_b64encode(altered).decode(), "here", KEY)


def test_bindings() -> None:
    proxy = Proxy(url="http://u:p@a.test:1", protocol="socks5")
    here = _core.proxy_seal_binding("password", proxy)
    assert here == _core.seal_binding("password", str(proxy.id), "http://a.test:1", "SOCKS5")
    assert "u:p" not in here
    assert _core.seal_binding("password", "", "https://a.test:1") == '["password","","https://a.test:1","https"]'
    assert _core.seal_binding("password", "", "nonsense") == '["password","","nonsense",""]'


# The settings of the command line: several values, one key, no ids.

SETTINGS_MOVES: dict[str, Callable[[Records], Any]] = {
    name: MOVES[name]
    for name in (
        "a password to another proxy",
        "a login to another proxy",
        "two passwords swapped",
        "user name and password swapped",
        "a password as user name",
        "the proxy's host",
        "TLS taken away",
        "one letter",
    )
}
SETTINGS_MOVES["a password to another login of one address"] = lambda r: r[2].update(password=r[1]["password"])


def settings_of(path: Path) -> list[tuple[str, str]]:
    found = load_config(path).proxies
    assert all(proxy.username is not None and proxy.password is not None for proxy in found)
    return [(_plain(proxy.username), _plain(proxy.password)) for proxy in found]


def saved_settings(path: Path) -> list[tuple[str, str]]:
    entries = [
        {"url": proxy.url.replace("u:secret-d@", ""), "username": username, "password": password}
        for proxy, (username, password, _) in zip(proxies(), EXPECTED)
    ]
    save_config(CLIConfig(proxies=entries), path)
    return [(username, password) for username, password, _ in EXPECTED]


@pytest.mark.parametrize("move", SETTINGS_MOVES)
def test_what_was_moved_in_settings_is_refused(move: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "settings.json"
    assert saved_settings(path) == settings_of(path)
    whole = json.loads(path.read_text())
    SETTINGS_MOVES[move](whole["proxies"])
    path.write_text(json.dumps(whole))
    with pytest.raises(fernet.InvalidToken):
        load_config(path)
    assert main(["--config", str(path), "config", "show"]) == 1
    assert "secret" not in "".join(capsys.readouterr())


def test_older_settings_are_bound_when_they_are_saved(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    expected = saved_settings(path)
    whole = json.loads(path.read_text())
    for entry, login in zip(whole["proxies"], expected):
        entry["username"], entry["password"] = (PREFIX + encrypt_credentials(text, KEY) for text in login)
    path.write_text(json.dumps(whole))
    assert settings_of(path) == expected
    assert main(["--config", str(path), "config", "set", "timeout", "7"]) == 0
    assert path.read_text().count("encrypted:v2:") == path.read_text().count("encrypted:") == 2 * len(expected)
    assert settings_of(path) == expected
    config = CLIConfig(**json.loads(path.read_text()))
    assert encrypt_settings(config) == config
