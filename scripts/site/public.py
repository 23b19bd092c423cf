"""What is public: every name in `__all__` of a public module, and the page that it is described on."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import proxywhirl

# Other paths to what lives elsewhere, for scripts written for them: described where it lives.
SECOND_PATHS = {
    "circuit_breaker_async", "models.core", "parsers", "retry_executor", "retry_metrics", "retry_policy",
    "strategies.core",
}  # fmt: skip

# Commands, and modules that want a client: these are read and not imported.
_NOT_IMPORTED = {"cli", "integrations", "scrapy"}


@dataclass
class Page:
    """A page of the reference: a module next to the package, with its public modules below."""

    name: str
    """Without the package: ``retry``; empty for the package itself."""
    modules: list[ModuleType] = field(default_factory=list)
    names: list[tuple[str, Any]] = field(default_factory=list)
    """Names described here."""

    @property
    def file(self) -> str:
        """Its file name."""
        return f"{self.name or 'proxywhirl'}.md"


def modules() -> list[ModuleType]:
    """Every public module that has public names, the package first."""
    found = [proxywhirl]
    for module in pkgutil.walk_packages(proxywhirl.__path__, "proxywhirl."):
        short = module.name.partition(".")[2]
        if any(part.startswith("_") for part in short.split(".")) or short.split(".")[0] in _NOT_IMPORTED:
            continue
        imported = importlib.import_module(module.name)
        if getattr(imported, "__all__", None):
            found.append(imported)
    return found


def integrations() -> list[str]:
    """The modules of :mod:`proxywhirl.integrations`; their packages have files of their own, which are not public."""
    package = importlib.import_module("proxywhirl.integrations")
    found = pkgutil.iter_modules(package.__path__, "proxywhirl.integrations.")
    return [module.name for module in found if not module.name.rpartition(".")[2].startswith("_")]


def pages() -> tuple[list[Page], dict[str, str]]:
    """All pages, and of each public name, with and without its module, the ``file#anchor`` it is described at."""
    by_name: dict[str, Page] = {}
    places: dict[str, str] = {}
    described: dict[int, str] = {}
    # The shortest path is the one to import from, unless it is a second one or the package, which has everything.
    order = sorted(modules(), key=lambda module: _rank(module.__name__))
    for module in order:
        short = module.__name__.partition(".")[2]
        page = by_name.setdefault(short.split(".")[0], Page(short.split(".")[0]))
        page.modules.append(module)
        for name in module.__all__:
            thing = getattr(module, name)
            known = described.get(id(thing)) if _has_identity(thing) else places.get(name)
            if known is None:
                known = f"{page.file}#{name}"
                page.names.append((name, thing))
                if _has_identity(thing):
                    described[id(thing)] = known
            places.setdefault(name, known)
            places[f"{module.__name__}.{name}"] = known
    return sorted(by_name.values(), key=lambda page: page.name), places


def _rank(name: str) -> tuple[bool, bool, int, str]:
    short = name.partition(".")[2]
    return (short in SECOND_PATHS, not short, short.count("."), short)


def _has_identity(thing: Any) -> bool:
    return inspect.isclass(thing) or inspect.isroutine(thing)
