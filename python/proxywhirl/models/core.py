"""Second import path of :mod:`proxywhirl.models`, which older scripts use."""

from __future__ import annotations

from typing import Any

from proxywhirl import models as _models

__all__ = _models.__all__


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(_models, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
