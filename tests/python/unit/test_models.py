"""The models that are plain pydantic, and the import path they are found at."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import BaseModel, ValidationError

from proxywhirl import models
from proxywhirl.models import (
    BootstrapConfig,
    CircuitBreakerConfig,
    GeoLocation,
    HealthChecker,
    PoolSummary,
    Proxy,
    ProxyChain,
    ProxyCredentials,
    ProxyFormat,
    ProxyMetadata,
    ProxySession,
    ProxySourceConfig,
    ProxyStatus,
    ProxyStorage,
    RenderMode,
    RequestResult,
    SourceStats,
    StorageBackend,
)


def long_ago(seconds: float) -> datetime:
    return datetime.now(timezone.utc) - timedelta(seconds=seconds)


class TestImportPath:
    def test_every_name_is_there(self) -> None:
        for name in models.__all__:
            assert getattr(models, name) is not None
        assert set(models.__all__) <= set(dir(models))
        assert models.__all__ == sorted(models.__all__)

    def test_the_older_path_has_the_same(self) -> None:
        from proxywhirl.models import core

        assert core.__all__ == models.__all__
        assert all(getattr(core, name) is getattr(models, name) for name in models.__all__)
        assert sorted(models.__all__) == dir(core)

    @pytest.mark.parametrize("path", ["proxywhirl.models", "proxywhirl.models.core"])
    def test_an_unknown_name_is_an_attribute_error(self, path: str) -> None:
        module = __import__(path, fromlist=["x"])
        with pytest.raises(AttributeError, match="NoSuchModel"):
            _ = module.NoSuchModel

    def test_enumerations_need_no_pydantic(self) -> None:
        code = (
            "import sys; from proxywhirl.models import HealthStatus, StorageBackend; print('pydantic' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == "False"


class TestGeoLocation:
    def test_code_is_stored_in_upper_case(self) -> None:
        place = GeoLocation(country_code="de", city="Berlin")
        assert place.country_code == "DE"
        assert place.model_dump(exclude_none=True) == {"country_code": "DE", "city": "Berlin"}

    @pytest.mark.parametrize("code", ["", "D", "DEU", "  "])
    def test_other_lengths_are_refused(self, code: str) -> None:
        with pytest.raises(ValueError, match="exactly 2 characters"):
            GeoLocation(country_code=code)

    @pytest.mark.parametrize("wrong", [{"latitude": 91.0}, {"longitude": -181.0}])
    def test_no_such_place(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValidationError):
            GeoLocation(country_code="DE", **wrong)  # type: ignore[arg-type]


class TestCredentials:
    CREDENTIALS = ProxyCredentials(username="alice", password="hunter2", additional_headers={"X-Token": "t0ken"})  # type: ignore[arg-type]

    def test_nothing_shows(self) -> None:
        masked = "**********"
        assert self.CREDENTIALS.to_dict() == {
            "username": masked,
            "password": masked,
            "auth_type": "basic",
            "additional_headers": {"X-Token": masked},
        }
        for text in (repr(self.CREDENTIALS), str(self.CREDENTIALS)):
            assert not any(secret in text for secret in ("alice", "hunter2", "t0ken"))
        assert "hunter2" not in self.CREDENTIALS.model_dump_json()

    def test_reveal(self) -> None:
        shown = self.CREDENTIALS.to_dict(reveal=True)
        assert (shown["username"], shown["password"]) == ("alice", "hunter2")
        assert shown["additional_headers"] == {"X-Token": "t0ken"}

    def test_httpx_objects(self) -> None:
        basic = self.CREDENTIALS.to_httpx_auth()
        assert type(basic) is httpx.BasicAuth
        request = next(basic.auth_flow(httpx.Request("GET", "http://h.test")))
        assert request.headers["authorization"] == "Basic YWxpY2U6aHVudGVyMg=="
        digest = self.CREDENTIALS.model_copy(update={"auth_type": "digest"})
        assert type(digest.to_httpx_auth()) is httpx.DigestAuth
        with pytest.raises(ValueError, match="Authorization header"):
            self.CREDENTIALS.model_copy(update={"auth_type": "bearer"}).to_httpx_auth()


class TestMetadata:
    def test_one_request(self) -> None:
        metadata = ProxyMetadata(proxy_id=uuid4())
        assert metadata.ema_alpha == 0.25
        metadata.increment_started()
        assert (metadata.requests_started, metadata.requests_active, metadata.window_request_count) == (1, 1, 1)
        metadata.record_completion(True, 100.0)
        assert (metadata.requests_completed, metadata.requests_successful, metadata.requests_active) == (1, 1, 0)
        assert metadata.ema_response_time_ms == 100.0

    def test_average(self) -> None:
        metadata = ProxyMetadata(proxy_id=uuid4(), ema_alpha=0.2, ema_response_time_ms=100.0)
        metadata.record_completion(True, 50.0)
        assert metadata.ema_response_time_ms == pytest.approx(90.0)

    def test_a_failure_counts_but_leaves_the_average_alone(self) -> None:
        metadata = ProxyMetadata(proxy_id=uuid4(), ema_response_time_ms=100.0)
        metadata.record_completion(False, 1.0)
        assert (metadata.requests_failed, metadata.requests_completed, metadata.requests_active) == (1, 1, 0)
        assert metadata.ema_response_time_ms == 100.0

    def test_buckets_are_minutes_and_old_ones_go(self) -> None:
        old, new = long_ago(4000), long_ago(1800)
        metadata = ProxyMetadata(proxy_id=uuid4(), request_window={old: 5, new: 2, new.replace(tzinfo=None): 1})
        metadata.increment_started()
        assert metadata.window_request_count == 4
        assert old not in metadata.request_window
        newest = max(key for key in metadata.request_window if key.tzinfo)
        assert (newest.second, newest.microsecond) == (0, 0)

    def test_what_counts_as_an_instance(self) -> None:
        assert isinstance(ProxyMetadata(proxy_id=uuid4()), ProxyMetadata)
        assert not isinstance("text", ProxyMetadata)

        class Narrower(ProxyMetadata):
            pass

        assert isinstance(Narrower(proxy_id=uuid4()), ProxyMetadata)
        assert not isinstance(ProxyMetadata(proxy_id=uuid4()), Narrower)

    def test_native_views_count(self) -> None:
        metadata = Proxy(url="http://h.test:1")._metadata()
        assert isinstance(metadata, ProxyMetadata)

        class Narrower(ProxyMetadata):
            pass

        assert not isinstance(metadata, Narrower)


class TestSession:
    def test_use_prolongs_it(self) -> None:
        session = ProxySession(session_id="s", proxy_id=uuid4(), last_accessed=long_ago(1801))
        assert session.timeout_seconds == 1800
        assert session.is_expired
        session.touch()
        assert not session.is_expired
        assert session.request_count == 1

    def test_a_time_without_a_zone_is_utc(self) -> None:
        session = ProxySession(session_id="s", proxy_id=uuid4(), last_accessed=long_ago(1700).replace(tzinfo=None))
        assert not session.is_expired


class TestSettings:
    def test_breaker(self) -> None:
        config = CircuitBreakerConfig()
        assert (config.failure_threshold, config.window_duration, config.timeout_duration) == (5, 60.0, 30.0)
        for wrong in ({"failure_threshold": 0}, {"window_duration": 0}, {"timeout_duration": 0}, {"failure_rate": 1.1}):
            with pytest.raises(ValidationError):
                CircuitBreakerConfig(**wrong)
        assert CircuitBreakerConfig(persist_state=True).persist_state

    def test_bootstrap(self) -> None:
        config = BootstrapConfig()
        assert config.model_dump() == {
            "enabled": True,
            "sources": None,
            "sample_size": 10,
            "validate_proxies": True,
            "timeout": 10,
            "max_concurrent": 100,
            "show_progress": None,
            "max_proxies": None,
        }
        with pytest.raises(ValidationError, match="frozen"):
            config.enabled = False
        with pytest.raises(ValidationError, match="surprise"):
            BootstrapConfig(surprise=1)  # type: ignore[call-arg]

    def test_bootstrap_sources_in_each_form(self) -> None:
        sources: list[Any] = ["http://h.test/list", {"url": "http://i.test/list", "trusted": True}]
        text, source = BootstrapConfig(sources=sources).sources or []
        assert text == "http://h.test/list"
        assert isinstance(source, ProxySourceConfig)
        assert source.trusted


class TestSources:
    def test_defaults(self) -> None:
        source = ProxySourceConfig(url="https://h.test/list")  # type: ignore[arg-type]
        assert (source.format, source.render_mode) == (ProxyFormat.JSON, RenderMode.AUTO)
        assert (source.wait_timeout, source.refresh_interval) == (30000, 3600)
        assert (source.enabled, source.priority, source.trusted) == (True, 0, False)

    @pytest.mark.parametrize("url", ["ftp://h.test/list", "no url", ""])
    def test_only_http(self, url: str) -> None:
        with pytest.raises(ValidationError, match="url"):
            ProxySourceConfig(url=url)  # type: ignore[arg-type]

    def test_custom_parsers(self) -> None:
        class Parser:
            def parse(self, text: str) -> list[str]:
                return text.split()

        for parser in (Parser(), str.split):
            assert ProxySourceConfig(url="http://h.test", custom_parser=parser).custom_parser is parser  # type: ignore[arg-type]
        with pytest.raises(ValidationError, match="custom_parser must be callable"):
            ProxySourceConfig(url="http://h.test", custom_parser=3)  # type: ignore[arg-type]

    def test_secrets_stay_hidden(self) -> None:
        source = ProxySourceConfig(
            url="http://alice:hunter2@h.test/list",  # type: ignore[arg-type]
            auth=("alice", "hunter2"),
            headers={"Authorization": "Bearer hunter2"},
        )
        assert "hunter2" not in repr(source) + str(source)
        assert "h.test" in repr(source)
        assert source.auth == ("alice", "hunter2")
        assert json.loads(source.model_dump_json(include={"auth"})) == {"auth": ["**********", "**********"]}
        assert source.model_dump()["auth"] == ("alice", "hunter2")
        assert pickle.loads(pickle.dumps(source)) == source

    def test_statistics_hide_secrets_too(self) -> None:
        stats = SourceStats(source_url="http://a:hunter2@h.test", last_error="GET http://a:hunter2@h.test failed")
        assert "hunter2" not in repr(stats)
        assert stats.total_fetched == stats.fetch_failure_count == 0


class TestReports:
    def test_success_is_2xx(self) -> None:
        def result(status: int) -> RequestResult:
            return RequestResult(url="http://h.test", method="GET", status_code=status, elapsed_ms=1.0)

        assert [status for status in (199, 200, 204, 299, 300, 404) if result(status).is_success()] == [200, 204, 299]

    def test_the_proxy_shows_without_its_credentials(self) -> None:
        result = RequestResult(
            url="http://h.test", method="GET", status_code=200, elapsed_ms=1.0, proxy_used="http://a:hunter2@p.test:1"
        )
        assert "hunter2" not in repr(result)
        assert "p.test:1" in repr(result)

    def test_summary(self) -> None:
        status = ProxyStatus(url="http://h.test:1", health="HEALTHY")  # type: ignore[arg-type]
        assert status.is_active
        summary = PoolSummary(
            total_proxies=1,
            healthy=1,
            degraded=0,
            failed=0,
            rotation_strategy="random",
            current_index=0,
            proxies=[status],
        )
        assert PoolSummary.model_validate_json(summary.model_dump_json()) == summary


class TestProtocols:
    def test_storage(self) -> None:
        class Storage:
            async def save(self, proxies: list[Any]) -> None: ...
            async def load(self) -> list[Any]: ...  # type: ignore[empty-body]
            async def clear(self) -> None: ...

        assert isinstance(Storage(), StorageBackend)
        assert ProxyStorage is StorageBackend
        assert not isinstance(object(), StorageBackend)

    def test_checker(self) -> None:
        class Checker:
            async def check(self, proxy: Any) -> bool:
                return bool(proxy)

        assert isinstance(Checker(), HealthChecker)
        assert not isinstance(object(), HealthChecker)


class TestChain:
    URLS = ("http://a.test:1", "socks5://u:p@b.test:2", "http://c.test:3")

    def test_links(self) -> None:
        proxies = [Proxy(url=url) for url in self.URLS]
        chain = ProxyChain(proxies=proxies, name="three")
        assert chain.entry_proxy is proxies[0]
        assert chain.exit_proxy is proxies[-1]
        assert chain.chain_length == 3
        assert chain.get_chain_urls() == list(self.URLS)

    def test_one_link_is_no_chain(self) -> None:
        with pytest.raises(ValidationError, match="at least 2"):
            ProxyChain(proxies=[Proxy(url=self.URLS[0])])

    def test_links_may_be_given_as_data(self) -> None:
        chain = ProxyChain.model_validate({"proxies": [{"url": url} for url in self.URLS]})
        assert all(isinstance(proxy, Proxy) for proxy in chain.proxies)
        assert isinstance(chain, BaseModel)
