"""``Proxy`` and the live ``ProxyMetadata`` view (api 4.1, 4.2)."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import datetime, timedelta, timezone
from typing import Any, Callable
from uuid import UUID, uuid4

import pydantic
import pytest

from proxywhirl import GeoLocation, HealthStatus, Proxy, ProxyCredentials, ProxyPool, ProxySource
from proxywhirl.models import ProxyMetadata

SECRET = "hunter2"

FIELDS = [
    "id", "url", "protocol", "username", "password", "allow_local", "rotating", "health_status", "last_success_at",
    "last_failure_at", "requests_started", "requests_completed", "requests_active", "total_requests",
    "total_successes", "total_failures", "bytes_sent", "bytes_received", "average_response_time_ms", "latency_ms", "ema_response_time_ms",
    "ema_alpha", "window_start", "window_duration_seconds", "country_code", "region", "consecutive_failures",
    "last_health_check", "consecutive_successes", "recovery_attempt", "next_check_time", "last_health_error",
    "total_checks", "total_health_failures", "tags", "source", "source_url", "metadata", "created_at", "updated_at",
    "ttl", "expires_at", "cost_per_request", "cost_per_gb", "spent", "geo_location",
]  # fmt: skip

COUNTERS = [
    "requests_started", "requests_completed", "requests_active", "total_requests", "total_successes",
    "total_failures", "consecutive_failures", "consecutive_successes", "recovery_attempt", "total_checks",
    "total_health_failures",
]  # fmt: skip


def make(**fields: Any) -> Proxy:
    fields.setdefault("url", "http://proxy.test:8080")
    return Proxy(**fields)


# --- Construction -----------------------------------------------------------------------------------------------


def test_defaults() -> None:
    before = datetime.now(timezone.utc)
    proxy = make()
    assert isinstance(proxy.id, UUID)
    assert proxy.url == "http://proxy.test:8080"
    assert proxy.protocol == "http"
    assert proxy.health_status is HealthStatus.UNKNOWN
    assert proxy.source is ProxySource.USER
    assert (proxy.username, proxy.password, proxy.allow_local) == (None, None, False)
    for name in COUNTERS:
        assert getattr(proxy, name) == 0, name
    for name in (
        "last_success_at", "last_failure_at", "average_response_time_ms", "latency_ms", "ema_response_time_ms",
        "window_start", "country_code", "region", "last_health_check", "next_check_time", "last_health_error",
        "source_url", "ttl", "expires_at", "geo_location",
    ):  # fmt: skip
        assert getattr(proxy, name) is None, name
    assert proxy.ema_alpha == 0.2
    assert proxy.window_duration_seconds == 3600
    assert proxy.cost_per_request == 0.0
    assert proxy.tags == set()
    assert proxy.metadata == {}
    for moment in (proxy.created_at, proxy.updated_at):
        assert moment.tzinfo is not None
        assert before - timedelta(seconds=1) <= moment <= datetime.now(timezone.utc) + timedelta(seconds=1)


def test_fields_come_in_the_documented_order() -> None:
    assert list(Proxy._fields()) == FIELDS
    assert list(make().model_dump()) == FIELDS
    assert list(Proxy.model_fields) == FIELDS


def test_ids_are_unique_and_given_ones_kept() -> None:
    assert make().id != make().id
    wanted = uuid4()
    assert make(id=wanted).id == wanted
    assert make(id=str(wanted)).id == wanted


@pytest.mark.parametrize(
    ("url", "protocol", "host", "port"),
    [
        ("http://proxy.test:8080", "http", "proxy.test", 8080),
        ("HTTP://proxy.test:8080", "http", "proxy.test", 8080),
        ("http://proxy1.com", "http", "proxy1.com", 80),
        ("https://proxy.test", "https", "proxy.test", 443),
        ("socks4://proxy.test", "socks4", "proxy.test", 1080),
        ("socks5://proxy.test", "socks5", "proxy.test", 1080),
        ("socks5://proxy.test:1", "socks5", "proxy.test", 1),
        ("http://proxy.test:65535/", "http", "proxy.test", 65535),
        ("http://10.1.2.3:3128", "http", "10.1.2.3", 3128),
        ("http://127.0.0.1:9050", "http", "127.0.0.1", 9050),
        ("http://localhost:8888", "http", "localhost", 8888),
    ],
)
def test_urls(url: str, protocol: str, host: str, port: int) -> None:
    proxy = make(url=url)
    assert (proxy.protocol, proxy.host, proxy.port) == (protocol, host, port)


def test_ipv6() -> None:
    proxy = make(url="http://[2001:db8::1]:8080")
    assert proxy.port == 8080
    assert proxy.host.strip("[]") == "2001:db8::1"


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "proxy.test:8080", "ftp://proxy.test:21", "http://", "http://:8080", "http:///", "://proxy.test",
        "http://proxy.test:0", "http://proxy.test:65536", "http://proxy.test:-1", "http://proxy.test:port",
        "http://pro xy.test:80", "http://proxy.test:80\r\nX-Evil: 1", "http://proxy.test\n:80", "http://[::1:80",
        "http://2130706433:80", "http://0x7f.1:80", "http://pro\x00xy:80", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_bad_urls(url: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        make(url=url)


def test_a_url_is_needed() -> None:
    with pytest.raises(pydantic.ValidationError, match="url"):
        Proxy()  # type: ignore[call-arg]


@pytest.mark.parametrize("message", ["URL must have a scheme", "Port must be between 1 and 65535"])
def test_documented_texts(message: str) -> None:
    url = "proxy.test:8080" if "scheme" in message else "http://proxy.test:99999"
    with pytest.raises(pydantic.ValidationError, match=message):
        make(url=url)


@pytest.mark.parametrize("half", [{"username": "u"}, {"password": SECRET}, {"username": "u", "password": None}])
def test_half_credentials(half: dict[str, Any]) -> None:
    with pytest.raises(
        pydantic.ValidationError, match="Both username and password must be provided together"
    ) as caught:
        make(**half)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", COUNTERS)
def test_counters_are_not_negative_at_construction(name: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        make(**{name: -1})


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "not-a-uuid"}, {"health_status": "poorly"}, {"source": "heaven"}, {"ema_alpha": 1.5},
        {"ema_alpha": -0.1}, {"average_response_time_ms": -1.0}, {"latency_ms": -1.0}, {"ema_response_time_ms": -1.0},
        {"cost_per_request": -0.1}, {"requests_started": "many"}, {"protocol": "gopher"}, {"tags": 3},
        {"metadata": 3}, {"created_at": "soon"}, {"url": None}, {"url": 3},
    ],
)  # fmt: skip
def test_bad_fields(fields: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        make(**fields)


def test_unknown_keywords_are_ignored() -> None:
    assert not hasattr(make(no_such_field=1), "no_such_field")


def test_enumerations_are_read_in_any_case() -> None:
    proxy = make(health_status="HEALTHY", source="FETCHED", url="http://p.test:1")
    assert proxy.health_status is HealthStatus.HEALTHY
    assert proxy.source is ProxySource.FETCHED
    assert proxy.health_status == "healthy"


@pytest.mark.parametrize("source", ["fetched", "api"])
@pytest.mark.parametrize(
    "url",
    ["http://localhost:1", "http://localhost.localdomain:1", "http://127.0.0.1:1", "http://10.0.0.1:1",
     "http://192.168.1.1:1", "http://172.16.0.1:1", "http://169.254.1.1:1", "http://[::1]:1", "http://0.0.0.0:1"],
)  # fmt: skip
def test_lists_of_others_may_not_point_home(source: str, url: str) -> None:
    # C-50
    with pytest.raises(pydantic.ValidationError, match=r"Localhost addresses not allowed|Private/internal IP"):
        make(url=url, source=source)
    assert make(url=url, source=source, allow_local=True).url == url
    assert make(url=url, source="user").url == url


def test_ttl_makes_expiry() -> None:
    proxy = make(ttl=60)
    assert proxy.expires_at == proxy.created_at + timedelta(seconds=60)
    assert not proxy.is_expired
    created = datetime(2020, 1, 1, tzinfo=timezone.utc)
    old = make(ttl=60, created_at=created)
    assert old.expires_at == created + timedelta(seconds=60)
    assert old.is_expired
    assert make(expires_at=created).is_expired


# --- Credentials ------------------------------------------------------------------------------------------------


def test_credentials_in_the_url_fill_the_fields() -> None:
    proxy = make(url=f"http://us%40er:{SECRET}%2F@p.test:1")
    assert proxy.url == f"http://us%40er:{SECRET}%2F@p.test:1"
    assert proxy.username is not None
    assert proxy.password is not None
    assert proxy.username.get_secret_value() == "us@er"
    assert proxy.password.get_secret_value() == SECRET + "/"


@pytest.mark.parametrize("wrap", [str, pydantic.SecretStr])
def test_credentials_in_the_fields(wrap: Any) -> None:
    proxy = make(username=wrap("user"), password=wrap(SECRET))
    assert isinstance(proxy.username, pydantic.SecretStr)
    assert proxy.password is not None
    assert proxy.password.get_secret_value() == SECRET
    credentials = proxy.credentials
    assert isinstance(credentials, ProxyCredentials)
    assert credentials.password.get_secret_value() == SECRET
    assert make().credentials is None


@pytest.mark.parametrize("fields", [{"url": f"http://user:{SECRET}@p.test:1"}, {"username": "u", "password": SECRET}])
def test_secrets_do_not_show(fields: dict[str, Any]) -> None:
    proxy = make(**fields)
    texts = [
        repr(proxy), str(proxy), f"{proxy}", repr([proxy]), str(proxy.model_dump()), proxy.model_dump_json(),
        str(proxy.model_dump(mode="json")), str(proxy.model_dump_json(indent=2)), repr(ProxyPool(proxies=[proxy])),
        str(ProxyPool(proxies=[proxy]).model_dump()), repr(proxy._metadata()),
    ]  # fmt: skip
    assert [text for text in texts if SECRET in text] == []
    assert SECRET in proxy.model_dump_json(reveal=True)


def test_secrets_do_not_show_in_errors() -> None:
    for fields in (
        {"url": f"http://user:{SECRET}@p.test:99999"},
        {"url": f"http://user:{SECRET}@:1"},
        {"url": f"ftp://user:{SECRET}@p.test"},
        {"url": "http://p.test:1", "password": SECRET},
    ):
        with pytest.raises(pydantic.ValidationError) as caught:
            Proxy(**fields)  # type: ignore[arg-type]
        assert SECRET not in str(caught.value) + repr(caught.value.errors(include_context=False))


# --- Reading and writing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COUNTERS)
def test_counters_are_written_directly(name: str) -> None:
    proxy = make()
    setattr(proxy, name, 7)
    assert getattr(proxy, name) == 7
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        setattr(proxy, name, -1)
    with pytest.raises(TypeError):
        setattr(proxy, name, "7")
    assert getattr(proxy, name) == 7


@pytest.mark.parametrize("name", ["average_response_time_ms", "latency_ms", "ema_response_time_ms", "cost_per_request"])
def test_measurements_are_written_directly(name: str) -> None:
    proxy = make()
    setattr(proxy, name, 12.5)
    assert getattr(proxy, name) == 12.5
    setattr(proxy, name, 3)
    assert getattr(proxy, name) == 3.0
    setattr(proxy, name, None)
    assert getattr(proxy, name) is None


@pytest.mark.parametrize("name", ["last_success_at", "last_failure_at", "window_start", "last_health_check",
                                  "next_check_time", "expires_at", "created_at", "updated_at"])  # fmt: skip
def test_moments_are_written_directly(name: str) -> None:
    proxy = make()
    moment = datetime(2031, 2, 3, 4, 5, 6, 789000, tzinfo=timezone.utc)
    setattr(proxy, name, moment)
    assert getattr(proxy, name) == moment
    elsewhere = moment.astimezone(timezone(timedelta(hours=5)))
    setattr(proxy, name, elsewhere)
    assert getattr(proxy, name) == moment


def test_other_fields_are_written_directly() -> None:
    proxy, other_id = make(), uuid4()
    proxy.id = str(other_id)  # type: ignore[assignment]
    assert proxy.id == other_id
    proxy.country_code, proxy.region = "de", "Bavaria"
    assert (proxy.country_code.upper(), proxy.region) == ("DE", "Bavaria")
    proxy.health_status = "DEAD"
    assert proxy.health_status is HealthStatus.DEAD
    proxy.source = ProxySource.API
    assert proxy.source is ProxySource.API
    proxy.last_health_error = "refused"
    assert proxy.last_health_error == "refused"
    proxy.window_duration_seconds = 60
    assert proxy.window_duration_seconds == 60
    proxy.ema_alpha = 0.9
    assert proxy.ema_alpha == 0.9
    proxy.username, proxy.password = "u", SECRET  # type: ignore[assignment]
    assert proxy.credentials is not None
    with pytest.raises((ValueError, TypeError)):
        proxy.health_status = "poorly"
    with pytest.raises(AttributeError):
        proxy.success_rate = 1.0  # type: ignore[misc]


def test_tags_and_metadata_are_changed_in_place() -> None:
    proxy = make(tags=["a"], metadata={"k": 1})
    proxy.tags.add("b")
    proxy.tags |= {"c"}
    proxy.tags.discard("a")
    assert proxy.tags == {"b", "c"}
    assert isinstance(proxy.tags, set)
    proxy.metadata["x"] = [1]
    assert proxy.metadata == {"k": 1, "x": [1]}
    assert proxy.metadata is proxy.metadata
    proxy.tags = {"z"}
    assert proxy.tags == {"z"}


def test_given_containers_are_not_shared() -> None:
    tags, metadata = {"a"}, {"k": 1}
    one, other = make(tags=tags, metadata=metadata), make(tags=tags, metadata=metadata)
    one.tags.add("b")
    one.metadata["k"] = 2
    assert (tags, metadata) == ({"a"}, {"k": 1})
    assert (other.tags, other.metadata) == ({"a"}, {"k": 1})


def test_geo_location_writes_through() -> None:
    # C-18
    proxy = make(geo_location=GeoLocation(country_code="us", region="Texas", city="Austin", latitude=30.3))
    assert (proxy.country_code, proxy.region) == ("US", "Texas")
    proxy.region = "Ohio"
    location = proxy.geo_location
    assert location is not None
    assert (location.country_code, location.region, location.city, location.latitude) == ("US", "Ohio", "Austin", 30.3)
    proxy.geo_location = GeoLocation(country_code="DE")
    assert proxy.country_code == "DE"


def test_derived() -> None:
    proxy = make(total_requests=4, total_successes=3)
    assert proxy.success_rate == 0.75
    proxy.total_successes = 9
    assert proxy.success_rate == 1.0
    assert make().success_rate == 0.0
    assert not proxy.is_healthy
    proxy.health_status = HealthStatus.HEALTHY
    assert proxy.is_healthy


# --- Counting ---------------------------------------------------------------------------------------------------


def test_start_and_complete() -> None:
    proxy = make()
    proxy.start_request()
    proxy.start_request()
    assert (proxy.requests_started, proxy.requests_active, proxy.requests_completed) == (2, 2, 0)
    assert proxy.window_start is not None
    proxy.complete_request(True, 100.0)
    assert (proxy.requests_started, proxy.requests_active, proxy.requests_completed) == (2, 1, 1)
    proxy.complete_request(success=False, response_time_ms=5.0)
    proxy.complete_request(False, 5.0)
    assert (proxy.requests_active, proxy.requests_completed) == (0, 3)
    assert (proxy.total_requests, proxy.total_successes, proxy.total_failures) == (3, 1, 2)
    assert proxy.ema_response_time_ms == 100.0


def test_the_average() -> None:
    proxy = make(ema_response_time_ms=100.0, average_response_time_ms=100.0)
    proxy.complete_request(True, 50.0)
    assert proxy.ema_response_time_ms == pytest.approx(90.0)
    assert proxy.average_response_time_ms == pytest.approx(90.0)
    assert proxy.latency_ms == 50.0
    proxy.record_success(50.0, alpha=0.5)
    assert proxy.ema_response_time_ms == pytest.approx(70.0)
    proxy.update_metrics(70.0, 1.0)
    assert proxy.ema_response_time_ms == 70.0
    assert proxy.total_requests == 2
    proxy.record_failure()
    assert proxy.ema_response_time_ms == 70.0


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_times_are_finite_and_not_negative(value: float) -> None:
    proxy = make()
    with pytest.raises(ValueError, match="response_time_ms"):
        proxy.record_success(value)
    assert proxy.ema_response_time_ms is None
    assert proxy.total_requests == 0


def test_status_by_failures_in_a_row() -> None:
    proxy, seen = make(health_status="healthy"), []
    for _ in range(6):
        proxy.record_failure("refused")
        seen.append(proxy.health_status.value)
    assert seen == ["degraded", "degraded", "unhealthy", "unhealthy", "dead", "dead"]
    assert proxy.consecutive_failures == proxy.total_failures == 6
    assert proxy.last_failure_at is not None
    proxy.record_success(10.0)
    assert proxy.health_status is HealthStatus.HEALTHY  # B-30, 23.7
    assert proxy.consecutive_failures == 0
    assert proxy.last_success_at is not None


def test_the_last_ten_errors_are_kept() -> None:
    proxy = make()
    for number in range(15):
        proxy.record_failure(f"error {number}")
    proxy.record_failure()
    kept = proxy.metadata["last_errors"]
    assert [entry["error"] for entry in kept] == [f"error {number}" for number in range(5, 15)]
    assert all("timestamp" in entry for entry in kept)


def test_windows() -> None:
    proxy = make(requests_started=5, requests_completed=3, requests_active=2)
    assert not proxy.is_window_expired()  # while it has no beginning
    assert not proxy.reset_if_expired()
    proxy.window_start = datetime.now(timezone.utc) - timedelta(seconds=3599)
    assert not proxy.is_window_expired()
    proxy.window_start = datetime.now(timezone.utc) - timedelta(seconds=3601)
    assert proxy.is_window_expired()
    assert proxy.reset_if_expired()
    assert (proxy.requests_started, proxy.requests_completed, proxy.requests_active) == (0, 0, 2)
    assert not proxy.is_window_expired()
    proxy.requests_started = 4
    proxy.reset_window()
    assert proxy.requests_started == 0


def test_window_request_count() -> None:
    proxy = make()
    for _ in range(3):
        proxy.start_request()
    assert proxy.window_request_count == 3


def test_history() -> None:
    proxy = make()
    for number in range(250):
        proxy.record_request(number % 2 == 0, 10.0)
    assert proxy.max_history_entries == 100
    assert 0 < len(proxy.history) <= 101
    assert (proxy.total_successes, proxy.total_failures) == (125, 125)


# --- The live metadata ------------------------------------------------------------------------------------------


def test_metadata_is_a_live_view() -> None:
    proxy = make(ema_alpha=0.5)
    view = proxy._metadata()
    assert isinstance(view, ProxyMetadata)
    view.increment_started()
    assert (proxy.requests_started, proxy.requests_active) == (1, 1)
    assert view.window_request_count == 1
    assert sum(view.request_window.values()) == 1
    assert all(bucket.second == bucket.microsecond == 0 for bucket in view.request_window)
    view.record_completion(True, 40.0)
    proxy.start_request()
    proxy.complete_request(False, 1.0)
    assert (view.requests_started, view.requests_completed, view.requests_active) == (2, 2, 0)
    assert (view.requests_successful, view.requests_failed) == (1, 1)
    assert (proxy.total_successes, proxy.total_failures) == (1, 1)
    assert view.ema_response_time_ms == proxy.ema_response_time_ms == 40.0
    assert view.ema_alpha == 0.5
    assert view.proxy_id == proxy.id
    assert view.window_duration_seconds == 3600
    assert view.last_updated.tzinfo is not None


# --- Behaving like a model --------------------------------------------------------------------------------------


def test_equality_and_hash() -> None:
    one = make(tags={"a"}, metadata={"k": [1]})
    other = Proxy(**one.model_dump(reveal=True))
    assert one == other
    assert hash(one) == hash(other)
    assert one == one.model_copy()
    other.total_requests = 1
    assert one != other
    assert one != "proxy"
    assert {one: 1}[one] == 1


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p)), lambda p: p.model_copy(),
     lambda p: p.model_copy(deep=True), lambda p: Proxy(**p.model_dump(reveal=True)),
     lambda p: Proxy.model_validate(p.model_dump(reveal=True)),
     lambda p: Proxy.model_validate_json(p.model_dump_json(reveal=True))],
    ids=["copy", "deepcopy", "pickle", "model_copy", "deep model_copy", "dump", "validate", "json"],
)  # fmt: skip
def test_copies_have_every_field(duplicate: Callable[[Proxy], Proxy]) -> None:
    original = make(
        url=f"socks5://user:{SECRET}@p.test:1", tags={"a", "b"}, metadata={"k": [1, {"x": None}]}, country_code="US",
        region="Texas", ttl=60, total_requests=5, total_successes=3, total_failures=2, requests_started=7,
        requests_completed=6, requests_active=1, ema_response_time_ms=12.5, health_status="degraded", source="file",
        cost_per_request=0.25, last_success_at=datetime(2030, 1, 1, tzinfo=timezone.utc), window_duration_seconds=60,
        consecutive_failures=2, source_url="https://list.test/a.txt",
    )  # fmt: skip
    made = duplicate(original)
    assert made is not original
    assert made.model_dump(reveal=True) == original.model_dump(reveal=True)
    assert made == original
    made.tags.add("c")
    made.start_request()
    assert "c" not in original.tags
    assert original.requests_started == 7


def test_deep_copies_share_nothing_shallow_ones_the_values() -> None:
    original = make(metadata={"k": [1]})
    copy.deepcopy(original).metadata["k"].append(2)
    assert original.metadata == {"k": [1]}


def test_model_copy_update() -> None:
    original = make()
    made = original.model_copy(update={"country_code": "DE", "total_requests": 4})
    assert (made.country_code, made.total_requests) == ("DE", 4)
    assert original.country_code is None
    assert made.id == original.id


def test_json() -> None:
    data = json.loads(make(tags={"b", "a"}, country_code="US").model_dump_json())
    assert data["tags"] == ["a", "b"]
    assert data["health_status"] == "unknown"
    assert data["source"] == "user"
    UUID(data["id"])
    datetime.fromisoformat(data["created_at"].replace("Z", "+00:00"))


def test_as_a_field_of_a_users_model() -> None:
    class Job(pydantic.BaseModel):
        proxy: Proxy
        others: list[Proxy] = []

    proxy = make()
    job = Job(proxy=proxy, others=[{"url": "http://b.test:1"}])  # type: ignore[list-item]
    assert job.proxy is proxy
    assert job.others[0].host == "b.test"
    again = Job.model_validate_json(job.model_dump_json())
    assert again.proxy == proxy
    with pytest.raises(pydantic.ValidationError):
        Job(proxy={"url": "nonsense"})  # type: ignore[arg-type]
    assert "proxy" in Job.model_json_schema()["properties"]


def test_subclasses() -> None:
    class Rated(Proxy):
        def rating(self) -> float:
            return self.success_rate * 5

    proxy = Rated(url="http://p.test:1", total_requests=2, total_successes=1)
    assert proxy.rating() == 2.5
    pool = ProxyPool(proxies=[proxy])
    assert pool.proxies[0] is proxy
