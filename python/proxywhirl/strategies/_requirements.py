"""What a strategy written in Python says it needs of the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxywhirl.exceptions import StrategyMetadataError
from proxywhirl.strategies._given import has
from proxywhirl.strategies._metadata import PoolMetadata
from proxywhirl.strategies._shapes import candidates_of, method

if TYPE_CHECKING:
    from proxywhirl._core import ProxyPool, SelectionContext


class Requirements:
    """What one strategy declares by ``requires_metadata`` and ``validate_requirements``.

    Args:
        user: The strategy.
        name: Its name, for errors.
        declared: Whether the two mean this. Only the shape that is given the metadata declares it: in the built-in
            classes, from which users derive, the same names mean something that ``select()`` itself looks after.
    """

    __slots__ = ("_name", "_requires", "_user", "_validate")

    def __init__(self, user: Any, name: str, *, declared: bool) -> None:
        self._user = user
        self._name = name
        self._requires = declared and hasattr(user, "requires_metadata")
        self._validate = method(user, "validate_requirements") if declared else None

    def are_met(self, pool: ProxyPool) -> bool:
        """Whether the pool has what the strategy needs."""
        return not self._missing(pool, None) and not self._refuses(pool)

    def check(self, pool: ProxyPool, context: SelectionContext | None) -> None:
        """Refuse a pool that lacks what the strategy needs. Raises ``StrategyMetadataError`` (it does)."""
        missing = self._missing(pool, context)
        if missing or self._refuses(pool):
            what = f"no proxy has {', '.join(missing)}" if missing else "its requirements are not met by this pool"
            raise StrategyMetadataError(
                f"strategy {self._name} cannot choose: {what}", missing_fields=missing, strategy=self._name
            )

    def _missing(self, pool: ProxyPool, context: SelectionContext | None) -> list[str]:
        """The required fields that no candidate has."""
        if not self._requires:
            return []
        required = self._user.requires_metadata
        if callable(required):
            required = required()
        if isinstance(required, str):
            required = (required,)
        if not isinstance(required, (set, frozenset, list, tuple)) or not required:
            return []
        candidates = candidates_of(pool, context)
        return sorted(field for field in required if not any(has(proxy, field) for proxy in candidates))

    def _refuses(self, pool: ProxyPool) -> bool:
        return self._validate is not None and self._validate(pool, PoolMetadata(pool)) is False
