"""Chains of proxies, of which a rotator uses the entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxywhirl.exceptions import redact_url

if TYPE_CHECKING:
    from proxywhirl import _core
    from proxywhirl.models import ProxyChain


class Chains:
    """The chains of one rotator."""

    def __init__(self, pool: _core.ProxyPool) -> None:
        self._pool = pool
        self.all: list[ProxyChain] = []
        """The chains, in the order they were added."""

    def add(self, chain: ProxyChain) -> None:
        """Put the entry proxy of a chain into the pool."""
        entry = chain.entry_proxy
        entry.tags = {*entry.tags, "chain_entry"}
        # Shown in dumps, so without credentials.
        urls = [redact_url(url) for url in chain.get_chain_urls()]
        facts = {"chain_name": chain.name, "chain_length": chain.chain_length, "chain_urls": urls}
        entry.metadata = {**entry.metadata, **facts}
        self._pool.add_proxy(entry)
        self.all.append(chain)

    def remove(self, name: str) -> tuple[bool, Any]:
        """Remove a chain; whether there was one, and the id of its entry proxy, if no other chain begins there."""
        for index, chain in enumerate(self.all):
            if chain.name == name:
                del self.all[index]
                entry = chain.entry_proxy
                shared = any(other.entry_proxy.id == entry.id for other in self.all)
                return True, None if shared else entry.id
        return False, None
