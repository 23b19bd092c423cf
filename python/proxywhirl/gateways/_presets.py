"""Providers whose user names follow a grammar, as data: adding one is adding a line to ``presets.json``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from proxywhirl._native.redact import shown

_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Preset:
    """How a provider is addressed. What is in brackets is left out when there is no value for it.

    Attributes:
        name: Name of the preset.
        host: The provider's usual host.
        port: The provider's usual port.
        username: Grammar of the user name.
        password: Grammar of the password.
        session_length: Length of session ids, when the provider insists on one.
        note: What a user should know.
    """

    name: str
    host: str
    port: int
    username: str
    password: str = "{password}"
    session_length: int | None = None
    note: str = ""

    @property
    def needs(self) -> list[str]:
        """Names of the values that must be given."""
        return sorted(set(_NAME.findall(_OPTIONAL.sub("", self.username + self.password))))

    @property
    def may_have(self) -> list[str]:
        """Names of the values that can be given."""
        return sorted(set(_NAME.findall(self.username + self.password)) - set(self.needs))

    def url(
        self, given: Iterable[str], *, host: str | None = None, port: int | None = None, scheme: str = "http"
    ) -> str:
        """The URL, with placeholders for what is given.

        Args:
            given: Names of the values that there are.
            host: Instead of the usual one.
            port: Instead of the usual one.
            scheme: What the gateway speaks.

        Raises:
            ValueError: A value is missing.
        """
        there = set(given)
        missing = [name for name in self.needs if name not in there]
        if missing:
            named = ", ".join("countries" if name.lower() == "country" else name for name in missing)
            raise ValueError(f"a gateway of the preset {self.name!r} needs {named}")

        def filled(grammar: str) -> str:
            text = _OPTIONAL.sub(lambda part: part[1] if there.issuperset(_NAME.findall(part[1])) else "", grammar)
            return "".join(piece if _NAME.fullmatch(piece) else quote(piece, safe="") for piece in _split(text))

        credentials = f"{filled(self.username)}:{filled(self.password)}"
        return f"{scheme}://{credentials}@{host or self.host}:{port or self.port}"


def presets() -> list[Preset]:
    """All presets, by name. Providers change addresses and grammars: their own documentation has the last word."""
    return list(_all().values())


def find(name: str) -> Preset:
    """The preset of this name, in any case. Raises ``ValueError`` (there is none; the text lists those there are)."""
    found = _all().get(str(name).casefold())
    if found is None:
        names = ", ".join(_all())
        raise ValueError(f"there is no preset {shown(name)}; there are {names}, and Gateway(url) for all others")
    return found


@lru_cache(maxsize=1)
def _all() -> dict[str, Preset]:
    data = json.loads(Path(__file__).with_name("presets.json").read_text(encoding="utf-8"))
    return {fields["name"]: Preset(**fields) for fields in sorted(data, key=lambda fields: str(fields["name"]))}


def _split(text: str) -> list[str]:
    return [piece for piece in re.split(r"(\{\w+\})", text) if piece]
