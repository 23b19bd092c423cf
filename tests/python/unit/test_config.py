"""StrategyConfig, ProxyConfiguration and the files they come from."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from proxywhirl.config import ProxyConfiguration, StrategyConfig, load_config_file


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.upper().startswith("PROXYWHIRL_"):
            monkeypatch.delenv(name)


class TestStrategyConfig:
    def test_defaults(self) -> None:
        assert StrategyConfig().model_dump() == {
            "weights": None,
            "ema_alpha": 0.2,
            "session_stickiness_duration_seconds": 300,
            "preferred_countries": None,
            "preferred_regions": None,
            "geo_fallback_enabled": True,
            "geo_secondary_strategy": "round_robin",
            "fallback_strategy": None,
            "max_response_time_ms": None,
            "min_success_rate": None,
            "window_duration_seconds": 3600,
            "exploration_count": 5,
            "metadata": {},
            "strategy_name": None,
            "session_timeout_seconds": 3600,
            "geo_preferences": [],
            "enable_filtering": True,
            "enable_fallback": True,
        }

    def test_documented_form(self) -> None:
        config = StrategyConfig(strategy_name="least-used", window_duration_seconds=7200)
        assert config.window_duration_seconds == 7200
        assert config.model_fields_set == {"strategy_name", "window_duration_seconds"}

    def test_unknown_keys_are_refused(self) -> None:
        with pytest.raises(ValidationError, match="alhpa"):
            StrategyConfig(alhpa=0.2)  # type: ignore[call-arg]

    @pytest.mark.parametrize(
        ("field", "good", "bad"),
        [
            ("ema_alpha", [0.0, 1.0], [-0.1, 1.1]),
            ("min_success_rate", [0.0, 1.0, None], [-0.1, 1.1]),
            ("window_duration_seconds", [1], [0]),
            ("exploration_count", [0], [-1]),
            ("session_stickiness_duration_seconds", [0], [-1]),
            ("session_timeout_seconds", [1], [0]),
            ("max_response_time_ms", [0.0, 100], [float("nan"), -1.0]),
            ("fallback_strategy", ["random", {"name": "weighted", "seed": 1}, None], [3]),
            ("weights", [{}, {"source:user": 0.8}, {"x": float("inf")}], [["a"]]),
        ],
    )
    def test_bounds(self, field: str, good: list[Any], bad: list[Any]) -> None:
        for value in good:
            StrategyConfig(**{field: value})
        for value in bad:
            with pytest.raises(ValidationError, match=field):
                StrategyConfig(**{field: value})

    @pytest.mark.parametrize(
        ("given", "merged"),
        [
            ({"preferred_countries": ["US", "CA"]}, ["US", "CA"]),
            ({"geo_preferences": ["DE"]}, ["DE"]),
            ({"preferred_countries": ["US"], "geo_preferences": ["DE", "US"]}, ["US", "DE"]),
            ({"preferred_countries": None, "geo_preferences": ["DE"]}, ["DE"]),
        ],
    )
    def test_both_names_of_the_countries_agree(self, given: dict[str, Any], merged: list[str]) -> None:
        config = StrategyConfig(**given)
        assert (config.preferred_countries, config.geo_preferences) == (merged, merged)

    def test_a_wrong_type_of_countries_is_reported_under_its_name(self) -> None:
        with pytest.raises(ValidationError, match="geo_preferences"):
            StrategyConfig(geo_preferences="US")  # type: ignore[arg-type]


class TestProxyConfiguration:
    def test_defaults(self) -> None:
        config = ProxyConfiguration()
        assert config.model_dump(mode="json") == {
            "timeout": 30,
            "max_retries": 3,
            "verify_ssl": True,
            "follow_redirects": True,
            "pool_connections": 10,
            "pool_max_keepalive": 20,
            "pool_timeout": 30,
            "keepalive_timeout": 300,
            "max_concurrent_requests": 1000,
            "pool_size": None,
            "strategy": "round-robin",
            "health_check_enabled": True,
            "health_check_interval_seconds": 300,
            "health_check_url": "http://httpbin.org/ip",
            "health_check_timeout": 10,
            "log_level": "WARNING",
            "log_format": "auto",
            "log_redact_credentials": True,
            "storage_backend": "memory",
            "storage_path": None,
            "queue_enabled": False,
            "queue_size": 100,
            "health_cache_ttl": 300,
            "dynamic_timeout": False,
        }

    def test_prefixed_variables_are_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PROXYWHIRL_STRATEGY", "random")
        monkeypatch.setenv("PROXYWHIRL_TIMEOUT", "12")
        monkeypatch.setenv("proxywhirl_pool_size", "50")
        monkeypatch.setenv("PROXYWHIRL_MAX_RETRIES", "")
        config = ProxyConfiguration()
        assert (config.strategy, config.timeout, config.pool_size, config.max_retries) == ("random", 12, 50, 3)

    def test_other_variables_are_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"TIMEOUT": "30s", "LOG_LEVEL": "chatty", "STRATEGY": "x", "STORAGE_BACKEND": "s3"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PROXYWHIRL_KEY", "of the command line")
        assert ProxyConfiguration() == ProxyConfiguration(timeout=30)

    def test_it_is_frozen(self) -> None:
        config = ProxyConfiguration()
        with pytest.raises(ValidationError, match="frozen"):
            config.timeout = 5

    def test_unknown_settings_are_refused(self) -> None:
        with pytest.raises(ValidationError, match="time_out"):
            ProxyConfiguration(time_out=3)  # type: ignore[call-arg]

    @pytest.mark.parametrize(
        ("field", "good", "bad"),
        [
            ("timeout", [1, 0.5], [0, -1]),
            ("max_retries", [1], [0]),
            ("pool_connections", [100], [0]),
            ("queue_size", [1, 10000], [0, 10001]),
            ("log_format", ["auto", "json", "text"], ["xml"]),
            ("log_level", ["debug", "WARNING"], ["chatty"]),
            ("pool_size", [None, 1], [0]),
            ("strategy", [None, "random", {"name": "weighted"}], [1]),
            ("health_check_url", ["https://h.test/ip"], ["no url"]),
        ],
    )
    def test_bounds(self, field: str, good: list[Any], bad: list[Any]) -> None:
        for value in good:
            ProxyConfiguration(**{field: value})
        for value in bad:
            with pytest.raises(ValidationError, match=field):
                ProxyConfiguration(**{field: value})

    @pytest.mark.parametrize("backend", ["sqlite", "file"])
    def test_storage_needs_a_path(self, backend: Any) -> None:
        with pytest.raises(ValidationError, match="storage_path required"):
            ProxyConfiguration(storage_backend=backend)
        assert ProxyConfiguration(storage_backend=backend, storage_path=Path("x.db")).storage_path == Path("x.db")

    def test_precedence(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "settings.json"
        file.write_text('{"timeout": 11, "pool-size": 12, "max_retries": 4, "proxies": ["http://h.test:1"]}')
        monkeypatch.setenv("PROXYWHIRL_POOL_SIZE", "22")
        monkeypatch.setenv("Proxywhirl_Max_Retries", "5")
        config = ProxyConfiguration.from_file(file, max_retries=6)
        assert (config.timeout, config.pool_size, config.max_retries, config.pool_timeout) == (11, 22, 6, 30)

    def test_unknown_settings_in_a_file_are_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "settings.json"
        file.write_text('{"time_out": 11}')
        with pytest.raises(ValidationError, match="time_out"):
            ProxyConfiguration.from_file(file)


FILES = {
    "a.yaml": "strategy: random\ntimeout: 7\npool_size: 50\nproxies:\n  - {url: 'http://h.test:1', username: u, password: p}\n  - http://i.test:2\n",
    "a.yml": "strategy: random\nTimeout: 7\npool-size: 50\nproxies: [{url: 'http://h.test:1', username: u, password: p}, 'http://i.test:2']\n",
    "a.toml": 'strategy = "random"\ntimeout = 7\npool_size = 50\nproxies = [{url = "http://h.test:1", username = "u", password = "p"}, "http://i.test:2"]\n'.replace(
        ', "http://i.test:2"]', ', {url = "http://i.test:2"}]'
    ),
    "pyproject.toml": '[project]\nname = "x"\n[tool.proxywhirl]\nstrategy = "random"\ntimeout = 7\npool-size = 50\n[[tool.proxywhirl.proxies]]\nurl = "http://h.test:1"\nusername = "u"\npassword = "p"\n[[tool.proxywhirl.proxies]]\nurl = "http://i.test:2"\n',
    "a.json": json.dumps(
        {
            "strategy": "random",
            "timeout": 7,
            "pool_size": 50,
            "proxies": [{"url": "http://h.test:1", "username": "u", "password": "p"}, "http://i.test:2"],
        }
    ),
}


class TestFiles:
    @pytest.mark.parametrize("name", FILES)
    def test_each_format(self, tmp_path: Path, name: str) -> None:
        if name.endswith("toml"):
            try:
                import tomllib  # noqa: F401
            except ImportError:
                pytest.importorskip("tomli")
        if name.endswith(("yaml", "yml")):
            pytest.importorskip("yaml")
        file = tmp_path / name
        file.write_text(FILES[name])
        data = load_config_file(file)
        first, second = data.pop("proxies")
        assert data == {"strategy": "random", "timeout": 7, "pool_size": 50}
        assert first == {"url": "http://h.test:1", "username": "u", "password": "p"}
        assert second in ("http://i.test:2", {"url": "http://i.test:2"})
        assert ProxyConfiguration.from_file(file).pool_size == 50

    @pytest.mark.parametrize("name", [".env", "scraper.env", ".env.local"])
    def test_env_files(self, tmp_path: Path, name: str) -> None:
        file = tmp_path / name
        file.write_text(
            "# comment\nTIMEOUT=30s\nexport PROXYWHIRL_TIMEOUT='9' # seconds\nPROXYWHIRL_STRATEGY=random # why\n"
            'PROXYWHIRL_POOL_SIZE=\nPROXYWHIRL_PROXIES="http://h.test:1, http://i.test:2"\n'
        )
        assert load_config_file(file) == {
            "timeout": "9",
            "strategy": "random",
            "proxies": ["http://h.test:1", "http://i.test:2"],
        }
        config = ProxyConfiguration.from_file(file)
        assert (config.timeout, config.strategy) == (9, "random")

    def test_a_json_list_of_proxies_in_an_env_file(self, tmp_path: Path) -> None:
        file = tmp_path / ".env"
        file.write_text('PROXYWHIRL_PROXIES=[{"url": "http://h.test:1"}]')
        assert load_config_file(file)["proxies"] == [{"url": "http://h.test:1"}]

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a.json", '{"password": "hunter2",\n oops}'),
            ("a.yaml", "a: hunter2\nb: [hunter2\n"),
            ("a.toml", 'a = "hunter2"\nb = hunter2\n'),
            (".env", "PROXYWHIRL_A=hunter2\nhunter2 hunter2\n"),
        ],
    )
    def test_a_malformed_file_is_named_with_the_line_but_not_quoted(self, tmp_path: Path, name: str, text: str) -> None:
        if name.endswith("toml"):
            try:
                import tomllib  # noqa: F401
            except ImportError:
                pytest.importorskip("tomli")
        file = tmp_path / name
        file.write_text(text)
        with pytest.raises(ValueError, match=r"not (a )?valid .*line \d") as caught:
            load_config_file(file)
        assert name in str(caught.value)
        assert "hunter2" not in str(caught.value)
        # The parser's own error quotes the line; a traceback must not show it either.
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("[1, 2]", "mapping of settings"),
            ('{"proxies": 3}', "must be a list"),
            ('{"proxies": [{"host": "h"}]}', "item 0"),
            ('{"proxies": ["http://h.test:1", 4]}', "item 1"),
        ],
    )
    def test_wrong_shapes(self, tmp_path: Path, text: str, reason: str) -> None:
        file = tmp_path / "a.json"
        file.write_text(text)
        with pytest.raises(ValueError, match=reason):
            load_config_file(file)

    def test_an_empty_yaml_file_has_no_settings(self, tmp_path: Path) -> None:
        pytest.importorskip("yaml")
        file = tmp_path / "a.yaml"
        file.write_text("# nothing yet\n")
        assert load_config_file(file) == {}

    def test_unknown_suffix_and_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="cannot tell the format"):
            load_config_file(tmp_path / "a.ini")
        with pytest.raises(FileNotFoundError):
            load_config_file(tmp_path / "a.json")

    @pytest.mark.parametrize(
        ("name", "modules", "extra"), [("a.yaml", {"yaml"}, "yaml"), ("a.toml", {"tomllib", "tomli"}, "toml")]
    )
    def test_a_missing_extra_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, modules: set[str], extra: str
    ) -> None:
        real = builtins.__import__

        def without(module: str, *args: Any, **kwargs: Any) -> Any:
            if module in modules:
                raise ImportError(module)
            return real(module, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", without)
        file = tmp_path / name
        file.write_text("")
        with pytest.raises(ImportError, match=rf"proxywhirl-rs\[{extra}\]"):
            load_config_file(file)
