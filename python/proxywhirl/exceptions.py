"""Exceptions of proxywhirl; pure standard library.

::

    Exception
      ProxyWhirlError = ProxyError
        ProxyValidationError
        ProxyPoolEmptyError
          StrategyMetadataError
        ProxyConnectionError
          ProxyBannedError
        ProxyAuthenticationError
        ProxyBudgetExceededError
        SessionNotFoundError            also a KeyError
        ProxyFetchError
        ProxyStorageError
        CacheCorruptionError
        CacheStorageError
        CacheValidationError            also a ValueError
        RequestQueueFullError
        InternalError
      RetryableError
      NonRetryableError
      RegexTimeoutError
      RegexComplexityError

Credentials never show: URLs given as ``proxy_url``, found in the message or in the metadata are redacted when the
exception is made. Every class can be pickled and copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, ClassVar

from proxywhirl._native.redact import redact_url, scrub_credentials_from_dict, scrub_text

__all__ = [
    "CacheCorruptionError", "CacheStorageError", "CacheValidationError", "InternalError", "NonRetryableError",
    "ProxyAuthenticationError", "ProxyBannedError", "ProxyBudgetExceededError", "ProxyConnectionError", "ProxyError",
    "ProxyErrorCode", "ProxyFetchError", "ProxyPoolEmptyError", "ProxyStorageError", "ProxyValidationError",
    "ProxyWhirlError", "RegexComplexityError", "RegexTimeoutError", "RequestQueueFullError", "RetryableError",
    "SessionNotFoundError", "StrategyMetadataError", "redact_url",
]  # fmt: skip

_TIMEOUT = re.compile(r"time[ds]?[ _-]?out", re.IGNORECASE)


class ProxyErrorCode(str, Enum):
    """Machine-readable reason of a :class:`ProxyWhirlError`; a member equals its value."""

    PROXY_POOL_EMPTY = "PROXY_POOL_EMPTY"
    PROXY_VALIDATION_FAILED = "PROXY_VALIDATION_FAILED"
    PROXY_CONNECTION_FAILED = "PROXY_CONNECTION_FAILED"
    PROXY_AUTH_FAILED = "PROXY_AUTH_FAILED"
    PROXY_BANNED = "PROXY_BANNED"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    PROXY_FETCH_FAILED = "PROXY_FETCH_FAILED"
    PROXY_STORAGE_FAILED = "PROXY_STORAGE_FAILED"
    CACHE_CORRUPTED = "CACHE_CORRUPTED"
    CACHE_STORAGE_FAILED = "CACHE_STORAGE_FAILED"
    CACHE_VALIDATION_FAILED = "CACHE_VALIDATION_FAILED"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    TIMEOUT = "TIMEOUT"
    NETWORK_ERROR = "NETWORK_ERROR"
    INVALID_CONFIGURATION = "INVALID_CONFIGURATION"
    QUEUE_FULL = "QUEUE_FULL"
    INTERNAL_ERROR = "INTERNAL_ERROR"


def _restore(cls: type[ProxyWhirlError], args: tuple[Any, ...]) -> ProxyWhirlError:
    """The first half of unpickling and copying; the attributes follow."""
    return cls.__new__(cls, *args)


class ProxyWhirlError(Exception):
    """Base of all errors of this library.

    Args:
        message: What was asked, what was found, what to do. Credentials in it are hidden.
        proxy_url: The proxy concerned; stored without its credentials.
        error_type: Free classification, for instance ``"timeout"``.
        error_code: Overrides the code of the class.
        retry_recommended: Whether trying again makes sense; ``None`` takes the answer of the class.
        attempt_count: How many attempts were made.
        **metadata: Anything else worth knowing; part of :meth:`to_dict`.
    """

    default_error_code: ClassVar[ProxyErrorCode] = ProxyErrorCode.NETWORK_ERROR
    default_retry_recommended: ClassVar[bool] = False
    hint: ClassVar[str | None] = None
    """What the user can do about it; the end of the text."""

    def __init__(
        self,
        message: str,
        *,
        proxy_url: str | None = None,
        error_type: str | None = None,
        error_code: ProxyErrorCode | None = None,
        retry_recommended: bool | None = None,
        attempt_count: int | None = None,
        **metadata: Any,
    ) -> None:
        text = str(message)
        self.proxy_url: str | None = None
        if proxy_url is not None:
            self.proxy_url = redact_url(proxy_url)
            # The exact URL is known here, so it goes first: no guess about where it ends in the text is needed.
            text = text.replace(str(proxy_url), self.proxy_url)
        self.message = scrub_text(text)
        self.error_type = error_type
        self.error_code = self.default_error_code if error_code is None else error_code
        self.retry_recommended = self.default_retry_recommended if retry_recommended is None else retry_recommended
        self.attempt_count = attempt_count
        self.metadata = scrub_credentials_from_dict(metadata)
        super().__init__(self.message)

    def __str__(self) -> str:
        text = self.message
        if self.proxy_url is not None:
            text += f" (proxy: {self.proxy_url})"
        # Most messages of the loop tell the number themselves.
        if self.attempt_count is not None and f"after {self.attempt_count} attempt" not in self.message:
            text += f" [attempt {self.attempt_count}]"
        hint = self._advice()
        if hint:
            text += f"{'' if text.endswith(('.', '!', '?')) else '.'} Hint: {hint}"
        return text

    def _advice(self) -> str | None:
        return self.hint

    def __reduce__(self) -> tuple[Any, ...]:
        # Not the default, which would call __init__ again: subclasses of users may need other arguments.
        return (_restore, (type(self), self.args), self.__dict__.copy())

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as a dictionary that may be logged.

        Returns:
            ``error_code`` (its value), ``message``, ``proxy_url``, ``error_type``, ``retry_recommended``,
            ``attempt_count``, what else the class has, then the metadata.
        """
        code = self.error_code
        facts: dict[str, Any] = {
            "error_code": code.value if isinstance(code, Enum) else code,
            "message": self.message,
            "proxy_url": self.proxy_url,
            "error_type": self.error_type,
            "retry_recommended": self.retry_recommended,
            "attempt_count": self.attempt_count,
            **self._own_facts(),
        }
        for key, value in self.metadata.items():
            facts.setdefault(key, value)
        return facts

    def _own_facts(self) -> dict[str, Any]:
        return {}


ProxyError = ProxyWhirlError


class ProxyValidationError(ProxyWhirlError):
    """A proxy, or what was meant as one, is not acceptable."""

    default_error_code = ProxyErrorCode.PROXY_VALIDATION_FAILED
    hint = "a proxy URL looks like http://user:password@host:8080, with http, https, socks4 or socks5 in front"


class ProxyPoolEmptyError(ProxyWhirlError):
    """No proxy can be chosen.

    Args:
        message: The text.
        retry_after: Seconds until waiting may help; ``None`` when no moment is known.
        may_free: Whether a request under way can make a proxy free by ending.
        reasons: How many proxies were passed over, by reason: ``unhealthy``, ``expired``, ``breaker_open``,
            ``banned_here``, ``rate_limited_here``, ``at_capacity``, ``no_tokens``, ``filtered``, ``excluded``,
            ``resting``. Empty when there were no proxies at all.
        **details: As for :class:`ProxyWhirlError`.
    """

    default_error_code = ProxyErrorCode.PROXY_POOL_EMPTY
    hint = "add proxies with add_proxy(), or look at the health of those in the pool"

    retry_after: float | None = None
    may_free: bool = False
    reasons: dict[str, int]

    def __init__(
        self,
        message: str = "No healthy proxies available",
        *,
        retry_after: float | None = None,
        may_free: bool = False,
        reasons: Mapping[str, int] | None = None,
        **details: Any,
    ) -> None:
        self.retry_after = retry_after
        self.may_free = may_free
        self.reasons = dict(reasons or {})
        super().__init__(message, **details)

    def _advice(self) -> str | None:
        # Proxies that are busy or cooling down need patience, not company.
        return None if self.reasons else self.hint

    def _own_facts(self) -> dict[str, Any]:
        if not self.reasons and self.retry_after is None:
            return {}
        return {"retry_after": self.retry_after, "may_free": self.may_free, "reasons": dict(self.reasons)}


class StrategyMetadataError(ProxyPoolEmptyError):
    """A strategy lacks the facts about the proxies that it chooses by.

    Args:
        message: The text; made from the other two when left out.
        missing_fields: Names of the fields without data.
        strategy: Name of the strategy.
        **details: As for :class:`ProxyWhirlError`.
    """

    default_error_code = ProxyErrorCode.INVALID_CONFIGURATION
    hint = "send some requests first, configure a fallback strategy, or allow exploration"

    def __init__(
        self,
        message: str | None = None,
        *,
        missing_fields: Iterable[str] = (),
        strategy: str | None = None,
        **details: Any,
    ) -> None:
        self.missing_fields = list(missing_fields)
        self.strategy = strategy
        if message is None:
            subject = f"Strategy {strategy!r}" if strategy else "The strategy"
            what = f": {', '.join(self.missing_fields)}" if self.missing_fields else ""
            message = f"{subject} needs metadata that no proxy has{what}"
        super().__init__(message, **details)

    def _own_facts(self) -> dict[str, Any]:
        return {**super()._own_facts(), "missing_fields": list(self.missing_fields), "strategy": self.strategy}


class ProxyConnectionError(ProxyWhirlError):
    """A request could not be carried through a proxy.

    Args:
        message: What happened; mentioning a timeout sets the code to ``TIMEOUT``.
        response: The last answer received, when attempts were used up on answers rather than on failures.
        **details: As for :class:`ProxyWhirlError`.
    """

    default_error_code = ProxyErrorCode.PROXY_CONNECTION_FAILED
    default_retry_recommended = True

    def __init__(self, message: str, *, response: Any | None = None, **details: Any) -> None:
        self.response = response
        super().__init__(message, **details)
        is_untold = details.get("error_code") is None and self.error_code is ProxyErrorCode.PROXY_CONNECTION_FAILED
        if is_untold and _TIMEOUT.search(self.message):
            self.error_code = ProxyErrorCode.TIMEOUT


class ProxyBannedError(ProxyConnectionError):
    """The site refused every proxy that was tried; raised instead of returning the answer with ``raise_on_ban``."""

    default_error_code = ProxyErrorCode.PROXY_BANNED


class ProxyAuthenticationError(ProxyWhirlError):
    """A proxy refused the credentials."""

    default_error_code = ProxyErrorCode.PROXY_AUTH_FAILED
    hint = "check user name and password of the proxy, and whether its quota is used up"

    def __init__(self, message: str = "Proxy authentication failed", **details: Any) -> None:
        super().__init__(message, **details)


class ProxyBudgetExceededError(ProxyWhirlError):
    """The budget has no room for a paid proxy, and no free one fits the request. Nothing was sent.

    Args:
        message: The text.
        budget: The most that may be spent.
        spent: What was spent.
        **details: As for :class:`ProxyWhirlError`.
    """

    default_error_code = ProxyErrorCode.BUDGET_EXCEEDED
    hint = "raise rotator.budget, or add free proxies"

    def __init__(self, message: str = "The budget is used up", **details: Any) -> None:
        self.budget: float | None = details.pop("budget", None)
        self.spent: float | None = details.pop("spent", None)
        super().__init__(message, **details)

    def _own_facts(self) -> dict[str, Any]:
        return {"budget": self.budget, "spent": self.spent}


class SessionNotFoundError(ProxyWhirlError, KeyError):
    """No session of that name exists, or it has expired."""

    default_error_code = ProxyErrorCode.SESSION_NOT_FOUND

    def __init__(self, message: str = "Session not found or expired", **details: Any) -> None:
        super().__init__(message, **details)


class ProxyFetchError(ProxyWhirlError):
    """A list of proxies could not be loaded or read."""

    default_error_code = ProxyErrorCode.PROXY_FETCH_FAILED
    default_retry_recommended = True


class ProxyStorageError(ProxyWhirlError):
    """Proxies could not be saved or loaded."""

    default_error_code = ProxyErrorCode.PROXY_STORAGE_FAILED
    hint = "check that the path exists, that it may be written, and that the disk is not full"


class CacheCorruptionError(ProxyWhirlError):
    """Cached data cannot be read any more."""

    default_error_code = ProxyErrorCode.CACHE_CORRUPTED


class CacheStorageError(ProxyWhirlError):
    """The cache cannot be written or reached."""

    default_error_code = ProxyErrorCode.CACHE_STORAGE_FAILED
    default_retry_recommended = True


class CacheValidationError(ProxyWhirlError, ValueError):
    """A cache entry is not acceptable."""

    default_error_code = ProxyErrorCode.CACHE_VALIDATION_FAILED


class RequestQueueFullError(ProxyWhirlError):
    """The queue of waiting requests is full.

    Args:
        message: The text.
        queue_size: Capacity of the queue, shown in the text.
        **details: As for :class:`ProxyWhirlError`.
    """

    default_error_code = ProxyErrorCode.QUEUE_FULL
    default_retry_recommended = True

    def __init__(
        self, message: str = "Request queue is full", *, queue_size: int | None = None, **details: Any
    ) -> None:
        self.queue_size = queue_size
        super().__init__(message, **details)

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.queue_size is None else f"{text} (queue size: {self.queue_size})"

    def _own_facts(self) -> dict[str, Any]:
        return {"queue_size": self.queue_size}


class InternalError(ProxyWhirlError):
    """The native core has failed by a fault of its own, which should be reported. The pool stays usable.

    The text tells the place in the source, and nothing of the data that the core was working on.
    """

    default_error_code = ProxyErrorCode.INTERNAL_ERROR


class RetryableError(Exception):
    """An attempt failed in a way that another attempt may mend."""


class NonRetryableError(Exception):
    """An attempt failed in a way that no further attempt will mend."""


class RegexTimeoutError(Exception):
    """A regular expression took longer than allowed."""


class RegexComplexityError(Exception):
    """A regular expression is too long or too complex to be run safely."""
