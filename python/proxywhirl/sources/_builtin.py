"""The built-in lists, read from ``builtin.json``: adding a list is adding a line there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from proxywhirl.models._sources import ProxySourceConfig


class Builtin(NamedTuple):
    """All that the file says.

    Attributes:
        by_name: The sources by the names of their constants, in the order of the file.
        collected: Those that are in the collections.
        recommended: Those worth beginning with.
        api: Those that are asked with parameters, rather than files.
    """

    by_name: dict[str, ProxySourceConfig]
    collected: list[ProxySourceConfig]
    recommended: list[ProxySourceConfig]
    api: list[ProxySourceConfig]

    def of(self, protocol: str) -> list[ProxySourceConfig]:
        """The sources of proxies that speak a protocol."""
        return [source for source in self.collected if source.protocol == protocol]


def load() -> Builtin:
    """Read the file that comes with the package."""
    data = json.loads(Path(__file__).with_name("builtin.json").read_text(encoding="utf-8"))
    by_name: dict[str, ProxySourceConfig] = {}
    api: list[ProxySourceConfig] = []
    collected: list[ProxySourceConfig] = []
    for family in data["families"]:
        for protocol, word in family["by_protocol"].items():
            name = f"{family['name']}_{protocol.upper()}"
            fields = {
                "url": family["url"].replace("{}", word) + family.get("suffix", {}).get(protocol, ""),
                "format": family["format"],
                "protocol": protocol,
                "trusted": family.get("trusted", False),
                "render_mode": "static",
                "metadata": {"name": name},
            }
            by_name[name] = ProxySourceConfig.model_validate(fields)
            if protocol not in family.get("in_no_collection", ()):
                collected.append(by_name[name])
            if family.get("api", False):
                api.append(by_name[name])
    return Builtin(by_name, collected, [by_name[name] for name in data["recommended"]], api)
