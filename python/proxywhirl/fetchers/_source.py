"""One list to read, in whichever form the user named it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from proxywhirl._native.redact import redact_url
from proxywhirl.models._sources import ProxySourceConfig

if TYPE_CHECKING:
    from proxywhirl._native.enums import ProxyFormat

SourceLike = Union[ProxySourceConfig, str, "os.PathLike[str]", Mapping[str, Any]]
"""A configured source, its fields, its URL, or the path of a file."""


class Source:
    """A list with its settings, ready to be read.

    Attributes:
        config: The settings.
        key: What identifies it: its URL, with credentials. Two sources of one URL are the same source.
        name: The URL without credentials, for messages and tags.
        path: The file, when it is one.
        format: How it is written; ``None`` when that is to be recognised.
        interval: Seconds until it is read again, at least 1; ``None`` when it is not said.
        was_public: Whether its server was once at a public address; then it has to stay at one.
    """

    __slots__ = ("config", "format", "interval", "key", "name", "path", "was_public")

    def __init__(self, config: ProxySourceConfig) -> None:
        self.config = config
        self.key = str(config.url)
        self.name = redact_url(self.key)
        self.path = _path_of(self.key) if self.key.startswith("file:") else None
        self.was_public = False
        given = config.model_fields_set
        self.format: ProxyFormat | None = config.format if "format" in given else None
        # At least a second between two reads, to spare the server.
        self.interval: int | None = max(1, config.refresh_interval) if "refresh_interval" in given else None

    @classmethod
    def of(cls, given: SourceLike) -> Source:
        """Make one of what the user gave.

        Raises a ``ValueError`` for what is no source.

        Raises ``pydantic.ValidationError`` (a field is missing or out of its range), ``TypeError`` (it is none of
        these).
        """
        if isinstance(given, cls):
            return given
        if isinstance(given, ProxySourceConfig):
            return cls(given)
        if isinstance(given, (str, os.PathLike)):
            return cls(ProxySourceConfig.model_validate({"url": _address(given)}))
        if isinstance(given, Mapping):
            fields = dict(given)
            if isinstance(fields.get("url"), (str, os.PathLike)):
                fields["url"] = _address(fields["url"])
            return cls(ProxySourceConfig.model_validate(fields))
        raise TypeError(f"a source is a URL, a path, a mapping or a ProxySourceConfig, not {type(given).__name__}")

    @property
    def site(self) -> str:
        """The origin of the list: the host, or the name of the file."""
        if self.path is not None:
            return self.path.name
        return urlsplit(self.key).hostname or self.name

    @property
    def is_file(self) -> bool:
        """Whether it is a file of the user's own, which may name addresses of their own network."""
        return self.path is not None

    def tags(self) -> set[str]:
        """The tags of its proxies."""
        return {"source:file" if self.is_file else "source:fetched", f"site:{self.site}"}

    def __repr__(self) -> str:
        return f"Source({self.name!r})"


def _address(given: str | os.PathLike[str]) -> str:
    text = os.fspath(given)
    # An empty text stays one, for pydantic to refuse; as a path it would be the working directory.
    if not text or "://" in text or text.startswith("file:"):
        return text
    return Path(text).expanduser().absolute().as_uri()


def _path_of(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"a file on another machine ({parts.netloc}) cannot be read: {url!r}")
    return Path(url2pathname(parts.path) if os.name == "nt" else unquote(parts.path))
