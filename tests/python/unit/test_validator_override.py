"""A validator of one's own: ``validate_batch`` asks the ``validate`` that the object has."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxywhirl import Proxy, ProxyValidator
from proxywhirl.validation import ValidationResult

URLS = [f"http://192.0.2.{number}:8080" for number in range(1, 7)]


class ByLastDigit(ProxyValidator):
    """Passes every other proxy and dials none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[Any] = []
        self.at_once = 0
        self.most_at_once = 0

    async def validate(self, proxy: Any) -> ValidationResult:
        self.asked.append(proxy)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        url = proxy if isinstance(proxy, str) else proxy["url"] if isinstance(proxy, dict) else proxy.url
        return ValidationResult(int(url.split(":")[1][-1]) % 2 == 0, 12.5)


@pytest.mark.parametrize("concurrency", [1, 2, 50])
def test_a_subclass_is_asked_about_each(concurrency: int) -> None:
    validator = ByLastDigit(concurrency=concurrency)
    seen: list[tuple[int, int, int]] = []
    passed = asyncio.run(validator.validate_batch(URLS, lambda *numbers: seen.append(numbers)))
    assert passed == URLS[1::2]
    assert sorted(validator.asked) == URLS
    assert validator.most_at_once <= concurrency
    assert [done for done, _, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[-1] == (6, 6, 3)


def test_inputs_come_back_as_they_were_given() -> None:
    proxies: list[Any] = [Proxy(url=URLS[1]), {"url": URLS[3], "total_requests": 4}, URLS[5], {"url": URLS[0]}]
    passed = asyncio.run(ByLastDigit().validate_batch(iter(proxies)))
    assert passed[0] is proxies[0]
    assert passed[1]["average_response_time_ms"] == 12.5
    assert (passed[1]["status"], passed[1]["total_requests"], passed[1]["total_successes"]) == ("active", 5, 1)
    assert passed[2:] == [URLS[5]]
    assert "status" not in proxies[1], "the dictionary given is left alone"


def test_a_plain_bool_is_a_verdict() -> None:
    class Simple(ProxyValidator):
        async def validate(self, proxy: Any) -> Any:
            return proxy["port"] == 1

    passed = asyncio.run(Simple().validate_batch([{"port": 1}, {"port": 2}]))
    assert [(found["port"], found["average_response_time_ms"]) for found in passed] == [(1, None)]


def test_a_method_that_does_not_wait_and_one_of_a_single_object() -> None:
    class Blocking(ProxyValidator):
        def validate(self, proxy: Any) -> Any:  # type: ignore[override]
            return ValidationResult(True, 1.0)

    assert asyncio.run(Blocking().validate_batch(URLS)) == URLS
    one = ProxyValidator()
    one.validate = lambda proxy: asyncio.sleep(0, ValidationResult(proxy == URLS[2]))  # type: ignore[method-assign]
    assert asyncio.run(one.validate_batch(URLS)) == [URLS[2]]


def test_an_exception_fails_its_proxy_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Fragile(ProxyValidator):
        async def validate(self, proxy: Any) -> ValidationResult:
            if proxy == URLS[1]:
                raise RuntimeError("no answer from http://user:s3cr3t@192.0.2.2:8080")
            return ValidationResult(True)

    with caplog.at_level("WARNING"):
        assert asyncio.run(Fragile().validate_batch(URLS)) == [URLS[0], *URLS[2:]]
    assert [record.getMessage().split(" raised ")[0] for record in caplog.records] == ["Fragile.validate"]
    assert "s3cr3t" not in caplog.text


def test_cancelling_ends_what_is_under_way() -> None:
    class Waiting(ProxyValidator):
        ended = 0

        async def validate(self, proxy: Any) -> ValidationResult:
            try:
                await asyncio.Event().wait()
            finally:
                type(self).ended += 1
            raise AssertionError("never reached")

    async def main() -> None:
        task = asyncio.ensure_future(Waiting(concurrency=3).validate_batch(URLS))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert Waiting.ended == 3


def test_nothing_to_check_and_the_built_in_way() -> None:
    assert asyncio.run(ByLastDigit().validate_batch([])) == []

    class Plain(ProxyValidator):
        """Overrides nothing."""

    assert asyncio.run(Plain(level="basic", timeout=5).validate_batch(["no proxy"])) == []
