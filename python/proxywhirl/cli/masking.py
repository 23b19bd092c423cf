"""Proxies as people may see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxywhirl._native.redact import MASKED_USERINFO

if TYPE_CHECKING:
    from proxywhirl import Proxy

__all__ = ["masked"]


def masked(proxy: Proxy) -> str:
    """The address of a proxy for people: credentials masked.

    Args:
        proxy: The proxy.

    Returns:
        Its URL, with ``***:***@`` if it wants a login.
    """
    login = "" if proxy.username is None else MASKED_USERINFO
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return f"{proxy.protocol}://{login}{host}:{proxy.port}"
