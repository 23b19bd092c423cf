"""Whether proxies work: checked natively, many at once, with the results as they come.

::

    from proxywhirl import ProxyValidator

    async with ProxyValidator(timeout=5.0, test_url="https://example.com/") as validator:
        good = await validator.validate_batch(proxies)

    with Checks(proxies, targets=["https://example.com/"]) as checks:
        for result in checks:
            print(result.url, result.is_valid, result.response_time_ms)
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Optional

from proxywhirl._native.enums import ValidationLevel
from proxywhirl._native.redact import scrub_text
from proxywhirl.validation._checks import Checks

if TYPE_CHECKING:
    from typing_extensions import Self

    from proxywhirl._core import CheckResult

__all__ = ["Checks", "ProxyValidator", "ValidationResult"]

_log = logging.getLogger("proxywhirl.checking")

Progress = Optional[Callable[[int, int, int], Any]]


class ValidationResult:
    """Whether a proxy passed; true if it did.

    Attributes:
        is_valid: The answer.
        response_time_ms: Milliseconds to the whole page, or to the connection where no page was asked for; ``None`` for
            a proxy that did not come so far.
        check: All that is known; ``None`` for a result that was made by hand.
    """

    __slots__ = ("check", "is_valid", "response_time_ms")

    def __init__(self, is_valid: bool, response_time_ms: float | None = None, check: CheckResult | None = None) -> None:
        self.is_valid = is_valid
        self.response_time_ms = response_time_ms
        self.check = check

    def __bool__(self) -> bool:
        return self.is_valid

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ValidationResult):
            return NotImplemented
        return (self.is_valid, self.response_time_ms) == (other.is_valid, other.response_time_ms)

    def __hash__(self) -> int:
        return hash((self.is_valid, self.response_time_ms))

    def __repr__(self) -> str:
        return f"ValidationResult(is_valid={self.is_valid}, response_time_ms={self.response_time_ms})"


class ProxyValidator:
    """Checks proxies, stage by stage: form, name, TCP, a page, anonymity; the first stage that fails ends the check.

    It holds no connection between calls and may be used from several tasks and loops at once.

    Args:
        timeout: Seconds for all about one proxy.
        test_url: The page to fetch, over http or https; by default those of ``TEST_URLS`` in turn.
        level: ``BASIC`` (also ``MEDIUM``): form and TCP; ``STANDARD``, the default: and the page; ``FULL``: and
            anonymity.
        concurrency: Proxies checked at the same time.
        anonymity_required: Whether transparent proxies fail; then the level is ``FULL``.
        judge_url: A page that shows the headers of the request it got, for ``FULL``; by default the test URL if one is
            given, else ``JUDGE_URL``.
        statuses: Statuses of the page that pass; 200 to 299 by default.
        contains: What must occur in the page.
        detect: Whether to find out how a proxy is spoken to, beginning with what its URL says.
        record: Whether results enter the books of ``Proxy`` objects: counters, health, latency.
        per_host: Most checks of one host at a time.
        max_total_bytes: Bytes that one call may read in all; checks beyond fail.
        verify: Certificates: ``True`` for the system's authorities, ``False`` for none, or PEM text of authorities.
        own_addresses: Public addresses of this machine, by which transparent proxies are recognised; by
            default the judge is asked.

    Raises:
        ValueError: An argument is out of its range.
    """

    TEST_URLS: ClassVar[list[str]] = [
        "http://httpbin.org/ip",
        "http://api.ipify.org/",
        "http://icanhazip.com/",
        "http://ifconfig.me/ip",
    ]
    HTTPS_TEST_URLS: ClassVar[list[str]] = [
        "https://httpbin.org/ip",
        "https://api.ipify.org/",
        "https://icanhazip.com/",
        "https://ifconfig.me/ip",
    ]
    JUDGE_URL: ClassVar[str] = "http://httpbin.org/get"

    def __init__(
        self,
        timeout: float = 5.0,
        test_url: str | None = None,
        level: ValidationLevel | str | None = None,
        concurrency: int = 50,
        *,
        anonymity_required: bool = False,
        judge_url: str | None = None,
        statuses: Sequence[int] | None = None,
        contains: str | bytes | None = None,
        detect: bool = False,
        record: bool = False,
        per_host: int | None = None,
        max_total_bytes: int | None = None,
        verify: bool | str = True,
        own_addresses: Iterable[str] | None = None,
    ) -> None:
        if not timeout > 0:
            raise ValueError(f"Value must be positive: timeout={timeout}")
        if concurrency < 1:
            raise ValueError(f"Value must be positive: concurrency={concurrency}")
        self.timeout = timeout
        self.test_url = test_url
        self.concurrency = concurrency
        self.anonymity_required = anonymity_required
        chosen = ValidationLevel.STANDARD if level is None else ValidationLevel(level)
        self.level = ValidationLevel.FULL if anonymity_required else chosen
        self.judge_url = judge_url or test_url or self.JUDGE_URL
        self.record = record
        self._options: dict[str, Any] = {
            "timeout": timeout,
            "statuses": None if statuses is None else list(statuses),
            "contains": contains.encode() if isinstance(contains, str) else contains,
            "detect": detect,
            "per_host": per_host,
            "max_total_bytes": max_total_bytes,
            "verify": verify,
            "own_addresses": None if own_addresses is None else list(own_addresses),
        }
        self._turn = itertools.count()

    def check(self, proxies: Any, **options: Any) -> Checks:
        """Begin to check; results come one by one.

        Args:
            proxies: What :class:`Checks` takes.
            **options: Options of :class:`Checks` that shall differ from the validator's.

        Returns:
            The checks under way.
        """
        chosen = {
            **self._options,
            "level": self.level.value,
            "concurrency": self.concurrency,
            "targets": self._targets(self.TEST_URLS),
            "judge": self.judge_url if self.level is ValidationLevel.FULL else None,
            "anonymity": "anonymous" if self.anonymity_required else None,
            **options,
        }
        return Checks(proxies, record=self.record, **chosen)

    def _targets(self, defaults: list[str]) -> list[str]:
        if self.test_url is not None:
            return [self.test_url]
        # Every call begins at another one, so that single checks use all of them, too.
        start = next(self._turn) % len(defaults)
        return defaults[start:] + defaults[:start]

    async def validate(self, proxy: Any) -> ValidationResult:
        """Check one proxy.

        Args:
            proxy: A dictionary, a URL, or a ``Proxy``.

        Returns:
            Whether it passed, and how fast it was.
        """
        async for found in self.check([proxy]):
            return _result(found)
        return ValidationResult(False)

    async def validate_batch(self, proxies: Iterable[Any], progress_callback: Progress = None) -> list[Any]:
        """Check many proxies.

        A subclass that overrides :meth:`validate` is asked about each proxy, at most ``concurrency`` at a time; a proxy
        for which it raises an exception has failed, and the exception is logged.

        Args:
            proxies: Dictionaries, URLs, or ``Proxy`` objects.
            progress_callback: Called with the numbers of those done, of all, and of those that passed.

        Returns:
            Those that passed, as they were given, in their order. Dictionaries are copies that have gained
            ``average_response_time_ms``, ``status``, ``total_requests``, ``total_successes`` and ``last_success_at``.
        """
        given = list(proxies)
        if _is_overridden(self):
            return await self._passed_by_override(given, progress_callback)
        return await self._passed(given, progress_callback, {})

    async def _passed_by_override(self, proxies: list[Any], progress: Progress) -> list[Any]:
        good: dict[int, Any] = {}
        waiting = iter(enumerate(proxies))
        done = 0

        async def work() -> None:
            nonlocal done
            # The workers share one iterator, so that each takes the next proxy as soon as it is free.
            for index, proxy in waiting:
                found = await self._ask_override(proxy)
                done += 1
                if found:
                    good[index] = found
                if progress is not None:
                    progress(done, len(proxies), len(good))

        workers = [asyncio.ensure_future(work()) for _ in range(min(self.concurrency, len(proxies)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        return [_enriched(proxies[index], good[index]) for index in sorted(good)]

    async def _ask_override(self, proxy: Any) -> Any:
        """What the subclass says of one proxy: any object whose truth value is the verdict."""
        try:
            found: Any = self.validate(proxy)
            return await found if inspect.isawaitable(found) else found
        except Exception as error:  # noqa: BLE001 - one proxy must not end the check of all others
            _log.warning("%s.validate raised %s", type(self).__name__, scrub_text(f"{type(error).__name__}: {error}"))
            return None

    async def _passed(
        self, proxies: list[Any], progress: Progress, options: dict[str, Any], most: int | None = None
    ) -> list[Any]:
        good: dict[int, CheckResult] = {}
        done = 0
        checks = self.check(proxies, **options)
        async with checks:
            async for found in checks:
                done += 1
                if found.is_valid:
                    good[found.index] = found
                if progress is not None:
                    progress(done, len(proxies), len(good))
                if most is not None and len(good) >= most:
                    break
        return [_enriched(proxies[index], good[index]) for index in sorted(good)]

    async def check_anonymity(self, proxy_url: str | None = None) -> str:
        """How much a proxy reveals about the client.

        Args:
            proxy_url: The proxy's URL; without one nothing is in between, and nothing is hidden.

        Returns:
            ``transparent``, ``anonymous``, ``elite``, or ``unknown`` for a proxy or a judge that does not answer.
        """
        if proxy_url is None:
            return "transparent"
        options = {"level": "full", "judge": self.judge_url, "targets": [self.judge_url], "anonymity": None}
        async for found in self.check([proxy_url], **options):
            return found.anonymity or "unknown"
        return "unknown"

    async def validate_https_capability_batch(
        self,
        http_proxies: Iterable[Any],
        concurrency: int = 500,
        max_results: int | None = None,
        progress_callback: Progress = None,
    ) -> list[Any]:
        """Find those that tunnel to HTTPS sites.

        Args:
            http_proxies: Dictionaries, URLs, or ``Proxy`` objects.
            concurrency: Proxies checked at the same time.
            max_results: How many are enough.
            progress_callback: As that of :meth:`validate_batch`.

        Returns:
            Those that passed, as from :meth:`validate_batch`.
        """
        own = self.test_url if self.test_url is not None and self.test_url.startswith("https:") else None
        targets = [own] if own else self._https_targets()
        options: dict[str, Any] = {"targets": targets, "concurrency": concurrency, "level": "standard"}
        return await self._passed(list(http_proxies), progress_callback, options, max_results)

    def _https_targets(self) -> list[str]:
        start = next(self._turn) % len(self.HTTPS_TEST_URLS)
        return self.HTTPS_TEST_URLS[start:] + self.HTTPS_TEST_URLS[:start]

    async def close(self) -> None:
        """Nothing is held between calls; here for callers of the documented API."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()


def _result(found: CheckResult) -> ValidationResult:
    return ValidationResult(found.is_valid, found.response_time_ms if found.is_valid else None, found)


def _is_overridden(validator: ProxyValidator) -> bool:
    """Whether ``validate`` is not the built-in method any more, by a subclass or on this object alone."""
    return getattr(validator.validate, "__func__", None) is not ProxyValidator.validate


def _enriched(proxy: Any, found: Any) -> Any:
    if not isinstance(proxy, dict):
        return proxy
    return {
        **proxy,
        # A verdict of a subclass may be a plain bool, which knows no time.
        "average_response_time_ms": getattr(found, "response_time_ms", None),
        "status": "active",
        "total_requests": int(proxy.get("total_requests") or 0) + 1,
        "total_successes": int(proxy.get("total_successes") or 0) + 1,
        "last_success_at": datetime.now(timezone.utc),
    }
