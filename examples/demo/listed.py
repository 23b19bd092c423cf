"""A fleet that stands where a list says, and a pool of what a check of that list finds."""

from __future__ import annotations

import random
from ipaddress import ip_address

from proxywhirl import Proxy, ProxyPool
from proxywhirl.cli.errors import CommandError
from proxywhirl.validation import Checks

__all__ = ["answering", "places_of", "read_list"]

_FIRST_PORT = 1024  # below it only the superuser may listen


def read_list(name: str) -> list[Proxy]:
    """The proxies of a list whose addresses are all on loopback: a demo contacts no other machine.

    Args:
        name: The file.

    Raises:
        CommandError: It cannot be read, or names another address.
    """
    pool = ProxyPool(name="listed", max_pool_size=2**31 - 1)
    try:
        pool.load_file(name, allow_local=True)
        outside = [proxy.host for proxy in pool if not ip_address(proxy.host).is_loopback]
    except (OSError, ValueError) as error:
        raise CommandError(f"{name} is no list of loopback addresses: {error}") from error
    if outside:
        raise CommandError(f"{name} names {outside[0]}, which is not on this machine")
    return list(pool)


def places_of(listed: list[Proxy], number: int, seed: int) -> list[str]:
    """Addresses of a list that a fleet can take.

    Args:
        listed: The list.
        number: How many.
        seed: What the choice follows from.
    """
    fit = sorted({f"{p.host}:{p.port}" for p in listed if p.protocol == "http" and (p.port or 0) >= _FIRST_PORT})
    if len(fit) < number:
        raise CommandError(f"the list has {len(fit)} addresses that a fleet can take, and {number} are needed")
    return random.Random(seed).sample(fit, number)


def answering(listed: list[Proxy]) -> set[str]:
    """The addresses of a list that accept connections."""
    with Checks(listed, level="basic", timeout=2.0) as checks:
        return {f"{listed[result.index].host}:{listed[result.index].port}" for result in checks if result.is_valid}
