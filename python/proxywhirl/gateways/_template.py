"""The URL of a gateway, with places for what changes from session to session."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from urllib.parse import quote

from proxywhirl import _core


class Template:
    """A proxy URL with placeholders such as ``{session}``; ``{{`` and ``}}`` are literal braces.

    What is filled in is percent-encoded; the rest is taken as it is.

    Raises:
        ValueError: A placeholder is empty or malformed. The text of the error shows nothing of the URL but the names of
            placeholders: there may be secrets in it.
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"the URL of a gateway is a string, not {type(text).__name__}")
        try:
            parsed = list(Formatter().parse(text))
        except ValueError:
            raise ValueError("the URL of the gateway has a single brace; write {{ or }} for a brace itself") from None
        self._parts: list[tuple[str, str | None]] = []
        for literal, name, wanted, conversion in parsed:
            if name is not None and not name:
                raise ValueError("the URL of the gateway has an empty placeholder {}; name what belongs there")
            if name is not None and (not name.isidentifier() or wanted or conversion):
                raise ValueError("a placeholder of the gateway is a name in braces, such as {session}, no more")
            self._parts.append((literal, name))
        self.names = frozenset(name for _, name in self._parts if name is not None)
        """Names of the placeholders."""

    def fill(self, values: Mapping[str, str]) -> str:
        """The URL with every placeholder filled in.

        Raises ``ValueError`` (what comes out is no proxy URL; the text shows nothing of it).
        """
        url = "".join(literal + ("" if name is None else quote(values[name], safe="")) for literal, name in self._parts)
        try:
            _core.parse_proxy_url(url, require_port=True)
        except ValueError:
            raise ValueError(
                "the URL of the gateway, filled in, is no proxy URL: it looks like "
                "http://user-{session}:password@gw.example:7777, with http, https, socks4 or socks5 in front"
            ) from None
        return url
