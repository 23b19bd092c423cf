"""A strategy's configuration on its way into the core: once, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plain(config: Any) -> dict[str, Any]:
    """Bring a configuration into the form the core reads.

    Raises ``pydantic.ValidationError`` (a field of a mapping is wrong).
    """
    if isinstance(config, Mapping):
        from proxywhirl.config import StrategyConfig

        config = StrategyConfig(**config)
    if hasattr(config, "model_dump"):
        fields = dict(config.model_dump(mode="python"))
        explicit = set(getattr(config, "model_fields_set", fields))
    else:
        from proxywhirl.config import StrategyConfig

        fields = {name: getattr(config, name) for name in StrategyConfig.model_fields if hasattr(config, name)}
        explicit = set(fields)
    metadata = fields.pop("metadata", None) or {}
    for name in ("max_cost_per_request", "free_proxy_boost"):
        if metadata.get(name) is not None:
            fields[name] = float(metadata[name])
    # Names of strategies stay names here; the strategy that has them resolves them.
    fields["fields_set"] = sorted(explicit)
    return fields
