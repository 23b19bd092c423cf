"""Lists and checks as type checkers see them; never run."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

from proxywhirl import PlainTextParser, ProxyPool, ProxyValidator, _core, deduplicate_proxies
from proxywhirl.validation import Checks, ValidationResult


def lists(pool: ProxyPool) -> None:
    parsed = _core.parse_proxies(b"1.2.3.4:80", format="plain_text", protocol="socks5")
    assert_type(parsed[0], dict[str, Any])
    assert_type(parsed[1:], list[dict[str, Any]])
    assert_type(parsed.rejected[0].reason, str)
    for entry in parsed:
        assert_type(entry, dict[str, Any])
    assert_type(pool.load(parsed, tags=["a"]).added, int)
    assert_type(pool.load_file("list.txt.gz", format="csv").duplicates, int)
    assert_type(PlainTextParser().parse("1.2.3.4:80"), list[dict[str, Any]])
    assert_type(deduplicate_proxies(["1.2.3.4:80"]), list[Any])


async def checks(validator: ProxyValidator) -> None:
    assert_type(await validator.validate("http://1.2.3.4:80"), ValidationResult)
    with Checks(["http://1.2.3.4:80"], targets=["http://site.example/"]) as running:
        async for result in running:
            assert_type(result, _core.CheckResult)
        for result in running:
            assert_type(result.response_time_ms, "float | None")
