"""Settings of the command line."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from proxywhirl import ProxyConfiguration, ProxyRotator, generate_encryption_key
from proxywhirl.config import (
    CLIConfig,
    DataStorageConfig,
    ProxyConfig,
    decrypt_credentials,
    discover_config,
    encrypt_credentials,
    get_encryption_key,
    load_config,
    save_config,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder and a working directory of our own."""
    monkeypatch.setattr("proxywhirl.config._cli.config_folder", lambda: tmp_path / "home")
    monkeypatch.delenv("PROXYWHIRL_KEY", raising=False)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "home"


def test_defaults() -> None:
    config = CLIConfig()
    assert (config.rotation_strategy, config.timeout, config.default_format) == ("round-robin", 30, "text")
    assert config.storage_backend == "file"
    assert config.data_storage == DataStorageConfig()
    assert (config.data_storage.pool_size, config.data_storage.persist_geo_data) == (5, False)
    assert CLIConfig(default_format="table").default_format == "text"
    assert CLIConfig(cache_l1_size=5).model_dump()["cache_l1_size"] == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"rotation_strategy": "performance-based"},
        {"default_format": "xml"},
        {"timeout": 0},
        {"proxies": ["nonsense"]},
        {"proxies": [{"url": "http://a.test:1", "username": "u"}]},
        {"data_storage": {"max_error_history": 101}},
    ],
)
def test_what_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        CLIConfig(**wrong)


def test_where_settings_are_found(folder: Path, tmp_path: Path) -> None:
    assert discover_config() is None
    folder.mkdir()
    (folder / "config.toml").write_text("timeout = 5\n")
    assert discover_config() == folder / "config.toml"
    Path("pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert discover_config() == folder / "config.toml"
    Path("pyproject.toml").write_text("[tool.proxywhirl]\ntimeout = 6\n")
    assert discover_config() == Path("pyproject.toml")
    assert load_config().timeout == 6
    (tmp_path / "mine.yaml").write_text("timeout: 7\nproxies: [http://a.test:1]\n")
    assert load_config(tmp_path / "mine.yaml").timeout == 7
    with pytest.raises(FileNotFoundError):
        discover_config(tmp_path / "absent.toml")


def test_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.toml"
    path.write_text("timeout = 5\nmax_retries = 5\nverbose = true\n")
    monkeypatch.setenv("PROXYWHIRL_TIMEOUT", "6")
    monkeypatch.setenv("PROXYWHIRL_MAX_RETRIES", "6")
    config = load_config(path, timeout=7)
    assert (config.timeout, config.max_retries, config.verbose, config.color) == (7, 6, True, True)
    # The same holds for rotators.
    path.write_text("timeout = 5\npool_size = 5\n")
    settings = ProxyConfiguration.from_file(path, timeout=7)
    assert (settings.timeout, settings.pool_size, settings.pool_connections) == (7, 5, 10)
    assert ProxyConfiguration.from_file(path).timeout == 6


@pytest.mark.parametrize("suffix", [".toml", ".json", ".yaml"])
@pytest.mark.parametrize("encrypt", [True, False])
def test_saving(suffix: str, encrypt: bool, tmp_path: Path, folder: Path) -> None:
    config = CLIConfig(
        proxies=[
            "http://user77:pass%2077@a.test:1",
            {"url": "socks5://b.test:2", "username": "user77", "password": "pass 77"},
            "http://c.test:3",
        ],
        rotation_strategy="random",
        encrypt_credentials=encrypt,
        storage_path="p.json",
        cache_l1_size=5,
    )
    assert "77" not in repr(config)
    path = save_config(config, tmp_path / "deep" / f"c{suffix}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert ("pass" in text.replace("password", "")) is not encrypt
    assert (folder / "key").exists() is encrypt
    again = load_config(path)
    assert again.rotation_strategy == "random"
    assert again.model_dump()["cache_l1_size"] == 5
    assert again.proxies[1].password is not None
    assert again.proxies[1].password.get_secret_value() == "pass 77"
    if encrypt:
        assert again.proxies[0].url == "http://a.test:1"
        assert again.proxies[0].username is not None
        assert again.proxies[0].username.get_secret_value() == "user77"
        (folder / "key").unlink()
        with pytest.raises(ValueError, match="no encryption key"):
            load_config(path)
    rotator = ProxyRotator(config={"proxies": json.loads(json.dumps([proxy.url for proxy in again.proxies]))})
    assert rotator.pool.size == 3


def test_the_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no encryption key"):
        get_encryption_key(create=False)
    made = get_encryption_key()
    assert get_encryption_key() == made
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    mine = generate_encryption_key()
    monkeypatch.setenv("OTHER_KEY", mine)
    assert get_encryption_key(CLIConfig(encryption_key_env="OTHER_KEY")) == mine


def test_encrypting_twice_is_once() -> None:
    config = CLIConfig(proxies=[ProxyConfig(url="http://a.test:1", username="u", password="p")])
    once = encrypt_credentials(config)
    assert encrypt_credentials(once) == once
    assert decrypt_credentials(once) == config
    assert decrypt_credentials(config) == config


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="by hand"):
        save_config(CLIConfig(), tmp_path / "pyproject.toml")
    with pytest.raises(ValueError, match="format"):
        save_config(CLIConfig(), tmp_path / "c.ini")
    assert save_config(CLIConfig()).name == "config.toml"
