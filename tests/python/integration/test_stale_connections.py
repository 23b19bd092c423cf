"""A proxy that closes an idle connection as a request is on its way: its right, which is counted against no proxy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hostile_servers import HostileServer

from proxywhirl import AsyncProxyRotator, ProxyConnectionError, ProxyRotator, RetryPolicy

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage"
URL = "http://site.test/"


def serves_one(connection: Any) -> None:
    """Answers the first request of a connection, and closes it in place of a second answer."""
    connection.recv(65536)
    connection.sendall(PAGE)
    connection.recv(65536)


def serves_none(connection: Any) -> None:
    connection.recv(65536)


def said_of(
    talk: Any, methods: list[str], policy: RetryPolicy, driver: str, servers: int = 1
) -> tuple[list[Any], list[int]]:
    """What became of requests one after another, and the failures that were counted per proxy."""
    running = [HostileServer(talk) for _ in range(servers)]
    proxies = [f"http://127.0.0.1:{server.port}" for server in running]

    async def asynchronously() -> tuple[list[Any], list[int]]:
        results: list[Any] = []
        async with AsyncProxyRotator(proxies=proxies, retry_policy=policy) as rotator:
            for method in methods:
                try:
                    results.append((await rotator.request(method, URL)).text)
                except ProxyConnectionError as error:
                    results.append(type(error.__cause__).__name__)
            return results, [proxy.total_failures for proxy in rotator.pool]

    try:
        if driver == "async":
            return asyncio.run(asynchronously())
        results: list[Any] = []
        with ProxyRotator(proxies=proxies, retry_policy=policy) as rotator:
            for method in methods:
                try:
                    results.append(rotator.request(method, URL).text)
                except ProxyConnectionError as error:
                    results.append(type(error.__cause__).__name__)
            return results, [proxy.total_failures for proxy in rotator.pool]
    finally:
        for server in running:
            server.close()


both_drivers = pytest.mark.parametrize("driver", ["sync", "async"])


@both_drivers
def test_what_may_be_sent_twice_goes_over_a_new_connection(driver: str) -> None:
    results, failures = said_of(serves_one, ["GET", "GET", "PUT", "DELETE"], RetryPolicy(max_attempts=1), driver)
    assert (results, failures) == (["page"] * 4, [0])


@both_drivers
def test_a_post_is_not_sent_twice_unasked_and_no_proxy_is_blamed(driver: str) -> None:
    methods = ["GET", "GET", "POST", "POST", "GET", "GET"]
    results, failures = said_of(serves_one, methods, RetryPolicy(max_attempts=3), driver, servers=2)
    # Whether a byte of it was taken cannot be known. The proxies answer afterwards, which would be evidence otherwise.
    assert results == ["page", "page", "RemoteProtocolError", "RemoteProtocolError", "page", "page"]
    assert failures == [0, 0]


@both_drivers
def test_a_post_that_may_be_repeated_by_the_policy_is(driver: str) -> None:
    policy = RetryPolicy(max_attempts=3, retry_non_idempotent=True, base_delay=0.01)
    results, failures = said_of(serves_one, ["GET", "GET", "POST", "POST"], policy, driver, servers=2)
    assert (results, failures) == (["page"] * 4, [0, 0])


@both_drivers
def test_a_new_connection_without_an_answer_is_no_stale_one(driver: str) -> None:
    results, _ = said_of(serves_none, ["GET"] * 3, RetryPolicy(max_attempts=1), driver)
    assert results == ["RemoteProtocolError"] * 3
