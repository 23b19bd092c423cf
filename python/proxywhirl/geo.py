"""Where proxies are, by their addresses: from a database in MaxMind's format that the user has (extra ``geo``)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from proxywhirl._base.files import local_path
from proxywhirl._base.fork import new_lock

if TYPE_CHECKING:
    from proxywhirl._core import Proxy, ProxyPool

__all__ = ["locate"]

_readers: dict[str, tuple[tuple[int, int], Any]] = {}
_lock = new_lock()
# Databases open at the same time; a program has one or two.
_MOST_READERS = 4


def locate(proxies: ProxyPool | Iterable[Proxy], database: str | os.PathLike[str], *, overwrite: bool = False) -> int:
    """Set the country of proxies that have none, and region, city and coordinates where the database has them.

    Only proxies given by IP address are looked up; names are not resolved. What a list said of a proxy stays, unless
    ``overwrite`` is true. Thread-safe.

    Args:
        proxies: A pool, or proxies.
        database: A file in MaxMind's format (``.mmdb``) with countries or cities, of MaxMind or another publisher.
        overwrite: Whether proxies that have a country are looked up, too.

    Returns:
        How many proxies were located.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such database.
        ImportError: The extra ``geo`` is not installed.
    """
    reader = _reader(database)
    located = 0
    for proxy in proxies:
        if not overwrite and proxy.country_code:
            continue
        try:
            address = ip_address(proxy.host)
        except ValueError:
            continue  # a name
        try:
            record = reader.get(address)
        except ValueError:
            continue  # an IPv6 address, and a database of IPv4
        place = _place(record) if isinstance(record, Mapping) else {}
        if not place:
            continue
        if place.keys() <= {"country_code", "region"}:
            proxy.country_code = place["country_code"]
            if "region" in place:
                proxy.region = place["region"]
        else:
            proxy.geo_location = place
        located += 1
    return located


def described(database: str | os.PathLike[str]) -> str:
    """What a database is: its type and the day it was made.

    Args:
        database: A file in MaxMind's format.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such database, or not one of countries or cities.
        ImportError: The extra ``geo`` is not installed.
    """
    from datetime import datetime, timezone

    facts = _reader(database).metadata()
    kind = str(facts.database_type)
    if any(word in kind.casefold() for word in ("asn", "isp", "domain", "connection", "anonymous")):
        raise ValueError(f"{os.fspath(database)} is a database of another kind: {kind}")
    made = datetime.fromtimestamp(facts.build_epoch, timezone.utc)
    return f"{kind}, made on {made:%Y-%m-%d}"


def _reader(database: str | os.PathLike[str]) -> Any:
    try:
        import maxminddb
    except ImportError as error:
        raise ImportError("looking up countries needs an extra: pip install 'proxywhirl-rs[geo]'") from error
    path = os.path.realpath(local_path(database))
    found = os.stat(path)
    version = (found.st_mtime_ns, found.st_size)
    with _lock:
        known = _readers.get(path)
        if known is not None and known[0] == version:
            return known[1]
        try:
            reader = maxminddb.open_database(path)
        except maxminddb.InvalidDatabaseError as error:
            raise ValueError(f"{path} is no database in MaxMind's format: {error}") from None
        while len(_readers) >= _MOST_READERS:
            del _readers[next(iter(_readers))]
        # A replaced reader is closed by its last user.
        _readers[path] = (version, reader)
        return reader


def _place(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a ``GeoLocation`` in a record: MaxMind's nested one, or a flat one as others publish."""
    country = record.get("country") or record.get("registered_country") or record.get("country_code")
    name = None
    if isinstance(country, Mapping):
        code, name = country.get("iso_code"), _english(country)
    else:
        code = record.get("country_code") or country
        name = record.get("country_name")
    if not isinstance(code, str) or len(code) != 2:
        return {}
    divisions = record.get("subdivisions")
    region = _english(divisions[0]) if isinstance(divisions, list) and divisions else record.get("region")
    city = record.get("city")
    spot = record.get("location")
    spot = spot if isinstance(spot, Mapping) else {}
    place = {
        "country_code": code.upper(),
        "country_name": name,
        "region": region,
        "city": _english(city) if isinstance(city, Mapping) else city,
        "latitude": spot.get("latitude"),
        "longitude": spot.get("longitude"),
        "timezone": spot.get("time_zone") or record.get("timezone"),
    }
    kinds: dict[str, Any] = {"latitude": (int, float), "longitude": (int, float)}
    return {key: value for key, value in place.items() if isinstance(value, kinds.get(key, str))}


def _english(named: Any) -> str | None:
    names = named.get("names") if isinstance(named, Mapping) else None
    name = names.get("en") if isinstance(names, Mapping) else None
    return name if isinstance(name, str) else None
