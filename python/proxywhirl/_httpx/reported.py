"""What a ban rule of the user's gets to see of an answer that another client received."""

from __future__ import annotations

from typing import Any

from proxywhirl._core import BAN_BODY_LIMIT, body_text


class _Headers:
    """Headers of any client, looked up without regard to case."""

    __slots__ = ("_pairs",)

    def __init__(self, headers: Any) -> None:
        if headers is None:
            headers = ()
        items = getattr(headers, "items", None)
        self._pairs: list[tuple[str, str]] = [
            (_text(name).lower(), _text(value)) for name, value in (items() if callable(items) else headers)
        ]

    def get(self, name: str) -> str | None:
        name = name.lower()
        values = [value for found, value in self._pairs if found == name]
        return ", ".join(values) if values else None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def items(self) -> list[tuple[str, str]]:
        return list(self._pairs)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class ReportedResponse:
    """An answer as far as it was reported.

    Attributes:
        url: The target; ``None`` if it is not known.
        status_code: The status.
        headers: The headers, looked up without regard to case.
        content: The first 64 KiB of the body as far as it was reported.
    """

    __slots__ = ("_body", "content", "headers", "status_code", "url")

    def __init__(self, url: str | None, status: int, headers: Any, body: Any) -> None:
        self.url = url
        self.status_code = status
        self.headers = _Headers(headers)
        self._body: Any = b"" if body is None else body[:BAN_BODY_LIMIT]
        self.content: bytes = self._body.encode() if isinstance(self._body, str) else bytes(self._body)

    @property
    def text(self) -> str:
        """The body as text."""
        return body_text(self._body, self.headers.get("content-type"))


def reported_response(facts: tuple[str | None, int, Any, Any]) -> ReportedResponse:
    """Make the response of the URL, the status, the headers and the body that were reported."""
    return ReportedResponse(*facts)
