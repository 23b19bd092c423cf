"""Ban rules, admission and explanations as type checkers see them; never run."""

from __future__ import annotations

import re

import httpx
from typing_extensions import assert_type

from proxywhirl import (
    AsyncProxyRotator,
    AsyncRotatingTransport,
    BanPolicy,
    Lease,
    Outcome,
    ProxyBannedError,
    ProxyPoolEmptyError,
    ProxyRotator,
    ResilienceConfig,
    RotatingTransport,
)


def is_ban(response: httpx.Response) -> bool | None:
    return True if "captcha" in response.text else None


class Rules:
    def response_is_ban(self, request: httpx.Request, response: httpx.Response) -> bool | None:
        return None

    def exception_is_ban(self, request: httpx.Request, exception: Exception) -> bool | None:
        return None


policy = BanPolicy(
    statuses=(403, 429),
    body=["captcha", re.compile("robot")],
    headers={"server": "^ddos-guard"},
    redirect=["/blocked"],
    exceptions=[httpx.ReadError, "DecodingError"],
    custom=is_ban,
)
assert_type(policy.statuses, frozenset[int])

rotator = ProxyRotator(
    ban_policy=policy,
    ban_policies={"example.com": BanPolicy(custom=Rules), "example.org": {"statuses": [404]}},
    raise_on_ban=True,
    allow_direct=False,
    max_in_flight=8,
    slow_start=True,
    resilience=ResilienceConfig(bench_base=60.0, site_key=lambda url: url),
)
explanation = rotator.explain("https://example.com", country="DE")
assert_type(explanation.summary(), str)

try:
    assert_type(
        rotator.get("https://example.com", ban_policy=BanPolicy(statuses=()), raise_on_ban=False), httpx.Response
    )
except ProxyBannedError as banned:
    print(banned.response)
except ProxyPoolEmptyError as empty:
    assert_type(empty.retry_after, "float | None")
    assert_type(empty.reasons, dict[str, int])

with rotator.lease("https://example.com", timeout=5.0) as lease:
    assert_type(lease, Lease)
    assert_type(lease.report(status=200, body=b""), Outcome)

RotatingTransport(rotator, ban_policy=Rules(), max_in_flight=2)


async def main() -> None:
    async with AsyncProxyRotator(ban_policy=is_ban, max_in_flight=1) as other:
        async with other.lease(timeout=1) as taken:
            assert_type(taken, Lease)
    AsyncRotatingTransport(other, raise_on_ban=True)
