"""Keeping what a list says out of the user's own network: the address that a connection reaches is judged."""

from __future__ import annotations

from typing import Any

from proxywhirl import _core


class InwardError(Exception):
    """A connection leads into the user's own network, where the server of a list must not point."""


class _PublicOnly:
    """A network backend that gives up connections to addresses that are not public, before anything is sent.

    Judged is the address that was reached, whatever the name led to when it was looked up before.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.sleep = backend.sleep

    async def connect_tcp(self, host: str, port: int, **options: Any) -> Any:
        stream = await self._backend.connect_tcp(host, port, **options)
        if not _reaches_public(stream):
            await stream.aclose()
            raise InwardError
        return stream

    async def connect_unix_socket(self, path: str, **options: Any) -> Any:
        del path, options
        raise InwardError


def public_client(http: Any, timeout: float, headers: dict[str, str], verify: Any) -> Any:
    """A client of httpx or httpx2 that reaches public addresses alone.

    Args:
        http: The package.
        timeout: Seconds for each step of a request.
        headers: Headers of every request.
        verify: Certificates, as httpx takes it.

    Returns:
        The client, to be closed by the caller.
    """
    transport = http.AsyncHTTPTransport(verify=verify, trust_env=False)
    pool = transport._pool
    pool._network_backend = _PublicOnly(pool._network_backend)
    return http.AsyncClient(timeout=http.Timeout(timeout), headers=headers, trust_env=False, transport=transport)


def is_public(response: Any) -> bool:
    """Whether a response came from a public address; of a client that does not tell, whether its URL names one."""
    stream = response.extensions.get("network_stream")
    if stream is None:
        return _core.address_locality(response.url.host) == "public"
    return _reaches_public(stream)


def _reaches_public(stream: Any) -> bool:
    address = stream.get_extra_info("server_addr")
    return bool(address) and _core.address_locality(str(address[0])) == "public"
