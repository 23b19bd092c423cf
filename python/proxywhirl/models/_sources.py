"""Where lists of proxies come from, and how that went."""

# pydantic evaluates these annotations, and Python 3.9 does not know `X | None`.

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Optional, Union

from pydantic import Field, FileUrl, HttpUrl, field_serializer, field_validator
from pydantic_core.core_schema import FieldSerializationInfo

from proxywhirl._native.enums import ProxyFormat, RenderMode
from proxywhirl._native.model.quiet import QuietModel
from proxywhirl._native.redact import SECRET_MASK


class ProxySourceConfig(QuietModel):
    """One list of proxies and how to read it.

    Attributes:
        url: Address of the list: http, https, or ``file:///`` and a path.
        format: How the list is written; when it isn't given, that is recognised from what comes.
        render_mode: How the page is loaded.
        parser: Name of a parser that overrides the one of the format.
        custom_parser: Object with ``parse(text)``, or a callable taking the text.
        protocol: Protocol of the proxies when the list does not say; it stands in for ``http`` where the list says
            that.
        wait_selector: CSS selector a browser waits for.
        wait_timeout: How long it waits, in milliseconds.
        refresh_interval: Seconds until the list is read again.
        enabled: Whether the list is read at all.
        priority: Order of reading, larger first.
        trusted: Whether its proxies are used without a check.
        headers: Headers sent with the request for the list.
        auth: User name and password for the list.
        metadata: Anything else.
    """

    url: Union[HttpUrl, FileUrl]
    format: ProxyFormat = ProxyFormat.JSON
    render_mode: RenderMode = RenderMode.AUTO
    parser: Optional[str] = None
    custom_parser: Optional[Any] = None
    protocol: Optional[Literal["http", "https", "socks4", "socks5"]] = None
    wait_selector: Optional[str] = None
    wait_timeout: int = Field(default=30000, gt=0)
    refresh_interval: int = Field(default=3600, ge=0)
    enabled: bool = True
    priority: int = 0
    trusted: bool = False
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    auth: Optional[tuple[str, str]] = Field(default=None, repr=False)
    metadata: dict[str, Any] = Field(default_factory=dict)

    @field_validator("custom_parser")
    @classmethod
    def _can_parse(cls, value: Any) -> Any:
        if value is not None and not callable(value) and not callable(getattr(value, "parse", None)):
            raise ValueError("custom_parser must be callable or have a method parse(text)")
        return value

    @field_serializer("auth", when_used="json")
    def _mask_auth(self, value: Optional[tuple[str, str]], info: FieldSerializationInfo) -> Optional[tuple[str, str]]:
        # JSON is what gets logged and stored. Like pydantic's secrets: Python dumps keep the values.
        context = getattr(info, "context", None)  # since pydantic 2.7
        if value is None or (isinstance(context, dict) and context.get("reveal") is True):
            return value
        return (SECRET_MASK, SECRET_MASK)


class SourceStats(QuietModel):
    """What has come from one list so far.

    Attributes:
        source_url: Address of the list.
        total_fetched: Entries read.
        valid_count: Entries that were usable.
        invalid_count: Entries that were not.
        last_fetch_at: When it was last read.
        last_fetch_duration_ms: How long that took, in milliseconds.
        fetch_failure_count: How often it could not be read.
        last_error: Why not, the last time.
        local_count: Entries among the unusable that point into the user's own network.
    """

    source_url: str
    total_fetched: int = Field(default=0, ge=0)
    valid_count: int = Field(default=0, ge=0)
    invalid_count: int = Field(default=0, ge=0)
    last_fetch_at: Optional[datetime] = None
    last_fetch_duration_ms: Optional[float] = Field(default=None, ge=0.0)
    fetch_failure_count: int = Field(default=0, ge=0)
    last_error: Optional[str] = None
    local_count: int = Field(default=0, ge=0)
