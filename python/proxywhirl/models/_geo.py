"""Where a proxy is."""

# pydantic evaluates these annotations, and Python 3.9 does not know `X | None`.

from __future__ import annotations

from typing import Optional

from pydantic import Field, field_validator

from proxywhirl._native.model.quiet import QuietModel


class GeoLocation(QuietModel):
    """Place of a proxy.

    Attributes:
        country_code: ISO 3166-1 alpha-2 code, exactly two characters; stored in upper case.
        country_name: Name of the country.
        region: State, province or region.
        city: City.
        latitude: Degrees, -90 to 90.
        longitude: Degrees, -180 to 180.
        timezone: IANA name, for instance ``Europe/Berlin``.
    """

    country_code: str
    country_name: Optional[str] = None
    region: Optional[str] = None
    city: Optional[str] = None
    latitude: Optional[float] = Field(default=None, ge=-90.0, le=90.0)
    longitude: Optional[float] = Field(default=None, ge=-180.0, le=180.0)
    timezone: Optional[str] = None

    @field_validator("country_code")
    @classmethod
    def _two_characters(cls, value: str) -> str:
        code = value.strip().upper()
        if len(code) != 2:
            raise ValueError(f"country_code must be exactly 2 characters, not {len(value)}")
        return code
