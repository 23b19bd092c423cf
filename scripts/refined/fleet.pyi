"""The fleet."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import Self

class Fleet:
    def __new__(
        cls,
        proxies: Sequence[dict[str, Any]],
        *,
        seed: int = 0,
        workers: int = 1,
        ipv6: bool = False,
        hosts: Sequence[str] = ...,
    ) -> Self: ...
    def counters(self, index: int) -> dict[str, Any]: ...
    def origin_counters(self) -> dict[str, Any]: ...
    def set_behaviour(self, index: int, proxy: dict[str, Any]) -> None: ...

def check_fleet_proxy(proxy: dict[str, Any]) -> None: ...
