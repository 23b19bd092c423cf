"""Exceptions: the tree, the texts, the facts, and that no secret gets out."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxywhirl import exceptions
from proxywhirl.exceptions import (
    CacheCorruptionError,
    CacheStorageError,
    CacheValidationError,
    NonRetryableError,
    ProxyAuthenticationError,
    ProxyBannedError,
    ProxyConnectionError,
    ProxyError,
    ProxyErrorCode,
    ProxyFetchError,
    ProxyPoolEmptyError,
    ProxyStorageError,
    ProxyValidationError,
    ProxyWhirlError,
    RegexComplexityError,
    RegexTimeoutError,
    RequestQueueFullError,
    RetryableError,
    SessionNotFoundError,
    StrategyMetadataError,
    redact_url,
)

CLASSES = [
    (ProxyWhirlError, "NETWORK_ERROR", False),
    (ProxyValidationError, "PROXY_VALIDATION_FAILED", False),
    (ProxyPoolEmptyError, "PROXY_POOL_EMPTY", False),
    (StrategyMetadataError, "INVALID_CONFIGURATION", False),
    (ProxyConnectionError, "PROXY_CONNECTION_FAILED", True),
    (ProxyBannedError, "PROXY_BANNED", True),
    (ProxyAuthenticationError, "PROXY_AUTH_FAILED", False),
    (SessionNotFoundError, "SESSION_NOT_FOUND", False),
    (ProxyFetchError, "PROXY_FETCH_FAILED", True),
    (ProxyStorageError, "PROXY_STORAGE_FAILED", False),
    (CacheCorruptionError, "CACHE_CORRUPTED", False),
    (CacheStorageError, "CACHE_STORAGE_FAILED", True),
    (CacheValidationError, "CACHE_VALIDATION_FAILED", False),
    (RequestQueueFullError, "QUEUE_FULL", True),
]
SECRET = "hunter2"


@pytest.mark.parametrize(("cls", "code", "retry"), CLASSES)
def test_code_and_advice_of_each_class(cls: type[ProxyWhirlError], code: str, retry: bool) -> None:
    error = cls("it went wrong")
    assert (error.error_code, error.retry_recommended) == (code, retry)
    assert isinstance(error.error_code, ProxyErrorCode)
    assert str(error).startswith("it went wrong")


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (StrategyMetadataError, ProxyPoolEmptyError),
        (ProxyBannedError, ProxyConnectionError),
        (SessionNotFoundError, KeyError),
        (CacheValidationError, ValueError),
        *[(cls, ProxyWhirlError) for cls, _, _ in CLASSES],
    ],
)
def test_the_tree(cls: type, base: type) -> None:
    assert issubclass(cls, base)


def test_what_does_not_inherit() -> None:
    assert ProxyError is ProxyWhirlError
    assert not issubclass(ProxyAuthenticationError, ProxyConnectionError)
    for cls in (RetryableError, NonRetryableError, RegexTimeoutError, RegexComplexityError):
        assert cls.__bases__ == (Exception,)


def test_the_text_names_proxy_and_attempt() -> None:
    error = ProxyWhirlError("Failed", proxy_url="http://u:p@h.test:8080", attempt_count=2)
    assert str(error) == "Failed (proxy: http://h.test:8080) [attempt 2]"
    assert error.message == "Failed"


def test_hints_end_the_text_and_stay_out_of_the_facts() -> None:
    error = ProxyPoolEmptyError("No healthy proxies available", attempt_count=1)
    assert str(error).startswith("No healthy proxies available [attempt 1]. Hint: ")
    assert error.to_dict()["message"] == "No healthy proxies available"


@pytest.mark.parametrize(
    "cls", [ProxyPoolEmptyError, ProxyAuthenticationError, SessionNotFoundError, RequestQueueFullError]
)
def test_the_message_may_be_left_out(cls: Callable[[], ProxyWhirlError]) -> None:
    assert len(str(cls())) > 10


def test_facts() -> None:
    error = ProxyWhirlError(
        "Failed",
        proxy_url="http://h.test:1",
        error_type="refused",
        error_code=ProxyErrorCode.TIMEOUT,
        retry_recommended=True,
        attempt_count=3,
        key="value",
        message_id=7,
    )
    assert error.to_dict() == {
        "error_code": "TIMEOUT",
        "message": "Failed",
        "proxy_url": "http://h.test:1",
        "error_type": "refused",
        "retry_recommended": True,
        "attempt_count": 3,
        "key": "value",
        "message_id": 7,
    }
    assert error.metadata == {"key": "value", "message_id": 7}


@pytest.mark.parametrize("text", ["Request timeout", "it timed out", "ReadTimeout", "a time-out happened"])
def test_a_timeout_is_recognised_by_the_text(text: str) -> None:
    assert ProxyConnectionError(text).error_code is ProxyErrorCode.TIMEOUT
    assert ProxyWhirlError(text).error_code is ProxyErrorCode.NETWORK_ERROR
    assert ProxyBannedError(text).error_code is ProxyErrorCode.PROXY_BANNED
    assert ProxyConnectionError(text, error_code=ProxyErrorCode.QUEUE_FULL).error_code is ProxyErrorCode.QUEUE_FULL


def test_strategy_metadata_error() -> None:
    error = StrategyMetadataError(missing_fields=["ema_response_time_ms"], strategy="performance-based")
    assert error.missing_fields == ["ema_response_time_ms"]
    assert error.strategy == "performance-based"
    assert "'performance-based'" in str(error)
    assert "ema_response_time_ms" in str(error)
    assert error.to_dict()["missing_fields"] == ["ema_response_time_ms"]
    assert StrategyMetadataError("own text").message == "own text"


def test_session_not_found_reads_like_a_sentence() -> None:
    # A KeyError would show the repr of its argument.
    error = SessionNotFoundError("No session 'a'")
    assert str(error) == "No session 'a'"


def test_queue_size_is_shown() -> None:
    error = RequestQueueFullError(queue_size=5)
    assert "5" in str(error)
    assert error.to_dict()["queue_size"] == 5


def test_response_is_kept() -> None:
    answer = object()
    assert ProxyConnectionError("failed after 3 attempts", response=answer).response is answer
    assert ProxyBannedError("banned").response is None


EXAMPLES = [
    ProxyWhirlError("m", proxy_url="http://h:1", attempt_count=2, extra=1),
    ProxyConnectionError("m timeout", response="answer", proxy_url="http://h:1"),
    StrategyMetadataError(missing_fields=["a"], strategy="s"),
    SessionNotFoundError("No session"),
    CacheValidationError("bad"),
    RequestQueueFullError(queue_size=9),
    ProxyPoolEmptyError(),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_copies_are_the_same(error: ProxyWhirlError, duplicate: object) -> None:
    twin = duplicate(error)  # type: ignore[operator]
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert twin.__dict__ == error.__dict__
    assert twin.to_dict() == error.to_dict()


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("http://user:hunter2@h.test:8080", "http://h.test:8080"),
        ("http://user:hunter2@h.test:8080/", "http://h.test:8080/"),
        ("http://hunter2@h.test", "http://h.test"),
        ("socks5://u:hunter2@[2001:db8::1]:1080", "socks5://[2001:db8::1]:1080"),
        ("http://u:hunter2@x@h.test:1", "http://h.test:1"),
        ("http://u:hunter2/x@h.test:1", "http://h.test:1"),
        ("http://u:1/hunter2@h.test:1/path", "http://h.test:1/path"),
        ("http://u:hunter2#x@h.test", "http://h.test"),
        ("u:hunter2@h.test:1", "h.test:1"),
        ("http://h.test/x?token=hunter2&page=2", "http://h.test/x?token=***&page=2"),
        ("http://h.test/x?a=1&api_key=hunter2#top", "http://h.test/x?a=1&api_key=***#top"),
        ("http://h.test/x?PASSWORD=hunter2", "http://h.test/x?PASSWORD=***"),
        ("http://h.test/@name?author=me&q=a@b.test", "http://h.test/@name?author=me&q=a@b.test"),
        ("http://h.test:80/page", "http://h.test:80/page"),
        ("", ""),
        ("no url at all", "no url at all"),
    ],
)
def test_redact_url(url: str, redacted: str) -> None:
    assert redact_url(url) == redacted


@pytest.mark.parametrize("cls", [cls for cls, _, _ in CLASSES])
@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@h.test:8080",
        "http://user:hunter2@x@h.test:8080",
        "http://user:hunter2/x@h.test:8080",
        "socks5://user:hunter2@[::1]:1080",
        "http://h.test/?token=hunter2",
        "user:hunter2@h.test:8080",
    ],
)
def test_no_secret_gets_out(cls: type[ProxyWhirlError], url: str) -> None:
    for error in (
        cls(f"cannot reach '{url}', sorry"),
        cls(
            f"tried {url}, http://a:{SECRET}@b, ({url})",
            proxy_url=url,
            seen=[url],
            nested={"deep": url, "password": SECRET},
        ),
    ):
        shown = [str(error), repr(error), error.message, repr(error.to_dict()), repr(error.args), repr(error.metadata)]
        shown.append(repr(pickle.loads(pickle.dumps(error)).to_dict()))
        assert [text for text in shown if SECRET in text] == []
        assert "h.test" in str(error) or "::1" in str(error)


class _Demanding(ProxyConnectionError):
    """A user's class whose constructor wants something else."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} of {second}", proxy_url="http://h.test:1")


def test_subclasses_with_other_arguments_can_be_copied() -> None:
    error = _Demanding(1, 2)
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(twin), str(twin), twin.to_dict()) == (_Demanding, str(error), error.to_dict())


_AROUND = st.text(alphabet="ab:@/#?%&=.-_~!1", max_size=6)


@given(
    _AROUND,
    _AROUND,
    st.sampled_from(["http", "https", "socks4", "socks5"]),
    st.sampled_from(["h.test", "[::1]", "10.0.0.1"]),
)
def test_no_shape_of_a_password_gets_out(before: str, after: str, scheme: str, host: str) -> None:
    # Unquoted delimiters make the URL ambiguous; hiding must not depend on how they are read.
    url = f"{scheme}://user:{before}SECRET{after}@{host}:8080"
    for text in (redact_url(url), str(ProxyWhirlError(f"bad proxy '{url}', see log"))):
        assert "SECRET" not in text
        assert f"{host}:8080" in text


def test_hostile_text_takes_linear_time() -> None:
    # Each of these is quadratic for a careless pattern: about 10**10 steps, minutes instead of milliseconds.
    for text in (
        "://" * 100_000 + "@",
        "a:b@" * 100_000,
        "?key" * 100_000 + "=",
        "x" * 400_000 + "@",
        "://a@" * 100_000,
    ):
        assert len(exceptions.ProxyWhirlError(text).message) <= len(text) + 1000


def test_only_the_standard_library_is_needed() -> None:
    code = (
        "import sys; before = set(sys.modules); import proxywhirl.exceptions\n"
        "print({'pydantic', 'httpx'} & (set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"


def test_everything_public_is_exported() -> None:
    public = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == exceptions.__name__
    }
    assert public <= set(exceptions.__all__)
    assert {"ProxyError", "ProxyErrorCode", "redact_url"} <= set(exceptions.__all__)
