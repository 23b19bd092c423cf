"""Parsers of proxy lists: text in, dictionaries out.

What reads is :func:`parse_proxies` of the native core, which recognises every layout by itself; the
classes here are the documented, stricter ways to it. Each has ``parse(text)``; whatever has that, or is a callable, may
take its place in a ``ProxySourceConfig``. They hold no state, so any thread may use them.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from proxywhirl import _core
from proxywhirl._core import ParsedProxies, RejectedLine, parse_proxies, parse_proxy_file
from proxywhirl.exceptions import ProxyFetchError, ProxyValidationError

__all__ = [
    "CSVParser",
    "GeonodeParser",
    "HTMLTableParser",
    "JSONParser",
    "ParsedProxies",
    "PlainTextParser",
    "RejectedLine",
    "TSVParser",
    "deduplicate_proxies",
    "parse_proxies",
    "parse_proxy_file",
]

Entry = dict[str, Any]

_log = logging.getLogger("proxywhirl.fetch")

# What the address says already.
_OF_ADDRESS = frozenset({"url", "protocol", "host", "port", "username", "password"})


def deduplicate_proxies(proxies: Iterable[Any]) -> list[Any]:
    """Leave one of each proxy: the same host, port, protocol and login are the same proxy.

    Args:
        proxies: Dictionaries (with ``url``, or ``host`` or ``ip`` and ``port``), URLs, or ``Proxy`` objects. Those that
            name no address are dropped.

    Returns:
        The one of each with the best record (share of successes, then number of results, then latency), in the place of
        the first, with the tags of all. Without any record that is the first. A dictionary that gains tags is a copy.

    Raises:
        TypeError: Something among them is none of these.
    """
    return _core.deduplicate(proxies)


def _first_reason(parsed: ParsedProxies) -> str:
    first = parsed.rejected[0] if parsed.rejected else None
    return "" if first is None else f"line {first.line} ({first.excerpt}): {first.reason}"


class PlainTextParser:
    """One proxy per line; blank lines and comments are passed over.

    Args:
        skip_invalid: Whether lines that cannot be read are left out; else they are an error.
    """

    def __init__(self, skip_invalid: bool = True) -> None:
        self.skip_invalid = skip_invalid

    def parse(self, data: str | bytes) -> list[Entry]:
        """Read a list.

        Args:
            data: The list.

        Returns:
            A dictionary with ``url`` for each proxy, and with what follows it on its line, such as
            ``country_code``.

        Raises:
            ProxyFetchError: A line cannot be read, and none may be skipped.
        """
        parsed = parse_proxies(data, format="plain_text", keep_duplicates=True)
        if parsed.rejected_count and not self.skip_invalid:
            raise ProxyFetchError(f"Invalid IP:PORT format in {_first_reason(parsed)}")
        return [
            {name: value for name, value in entry.items() if name == "url" or name not in _OF_ADDRESS}
            for entry in parsed
        ]


class JSONParser:
    """A JSON list of proxies, by itself or in an object.

    Args:
        key: The name of the list.
        required_fields: What every entry must have.
    """

    def __init__(self, key: str | None = None, required_fields: Sequence[str] | None = None) -> None:
        self.key = key
        self.required_fields = list(required_fields or ())

    def parse(self, data: str | bytes) -> list[Entry]:
        """Read a list.

        Args:
            data: A JSON document.

        Returns:
            The entries as they are, each with ``url`` added where its parts make one up.

        Raises:
            ProxyFetchError: It is not JSON, or holds no list where one should be.
            ProxyValidationError: An entry lacks a required field.
        """
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ProxyFetchError(f"Invalid JSON: {error}") from None
        if self.key is not None:
            if not isinstance(document, Mapping) or self.key not in document:
                raise ProxyFetchError(f"Key {self.key!r} not found in the JSON document")
            document = document[self.key]
        if not isinstance(document, list):
            raise ProxyFetchError(f"a JSON list of proxies is expected, not {type(document).__name__}")
        return [self._entry(number, item) for number, item in enumerate(document)]

    def _entry(self, number: int, item: Any) -> Entry:
        if isinstance(item, str):
            item = {"url": item}
        if not isinstance(item, Mapping):
            raise ProxyFetchError(f"entry {number} is neither an object nor a URL but {type(item).__name__}")
        missing = [name for name in self.required_fields if name not in item]
        if missing:
            raise ProxyValidationError(f"Missing required fields in entry {number}: {', '.join(missing)}")
        return _with_url(item)


def _with_url(item: Mapping[str, Any]) -> Entry:
    entry = dict(item)
    if "url" not in entry:
        try:
            read = _core.read_proxy_entry(entry)
        except ValueError:
            return entry  # without an address, which is an error where a proxy is made of it
        entry["url"] = read[0]["url"]
    return entry


class CSVParser:
    """Values with commas between them.

    Args:
        has_header: Whether the first row holds the names of the columns.
        columns: The names, for a table without them.
        skip_invalid: Whether rows with another number of values are left out; else they are an error.
        delimiter: The separator of values: one character.
    """

    def __init__(
        self,
        has_header: bool = True,
        columns: Sequence[str] | None = None,
        skip_invalid: bool = False,
        *,
        delimiter: str = ",",
    ) -> None:
        self.has_header = has_header
        self.columns = list(columns) if columns is not None else None
        self.skip_invalid = skip_invalid
        self.delimiter = delimiter

    def parse(self, data: str | bytes) -> list[Entry]:
        """Read a table.

        Args:
            data: The table.

        Returns:
            A dictionary for each row, by the names of the columns, with ``url`` added where its values make one up.

        Raises:
            ProxyFetchError: A row has another number of values than there are columns, and none may be skipped; or the
                text is no table.
        """
        text = data.decode("utf-8-sig", "replace") if isinstance(data, bytes) else data.lstrip("\ufeff")
        try:
            rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter) if row]
        except csv.Error as error:
            raise ProxyFetchError(f"Invalid table: {error}") from None
        names = self.columns
        if self.has_header and rows:
            header = [name.strip() for name in rows.pop(0)]
            names = names if names is not None else header
        if not rows:
            return []
        if names is None:
            return [dict(entry) for entry in parse_proxies(text, format="csv", delimiter=self.delimiter)]
        entries = []
        for number, row in enumerate(rows, 2 if self.has_header else 1):
            if len(row) != len(names):
                if self.skip_invalid:
                    continue
                raise ProxyFetchError(f"row {number} has {len(row)} values where {len(names)} columns are expected")
            entries.append(_with_url(dict(zip(names, (value.strip() for value in row)))))
        return entries


class TSVParser(CSVParser):
    """Values with tabs between them.

    Args:
        has_header: As for CSV.
        columns: As for CSV.
        skip_invalid: As for CSV.
    """

    def __init__(
        self, has_header: bool = True, columns: Sequence[str] | None = None, skip_invalid: bool = False
    ) -> None:
        super().__init__(has_header, columns, skip_invalid, delimiter="\t")


class HTMLTableParser:
    """Tables of a web page. Columns are found by their names; ports hidden in markup or in a line of script are read.

    Args:
        table_selector: Which tables: tags, classes, identifiers and descendants in CSS.
        column_map: Names of columns on the page, and what they hold (``ip``, ``port``, ``protocol``, ``username``,
            ``password``, ``country``, ...); in either direction. A column named here is taken before all others.
        column_indices: What columns hold, by number from 0. Other columns are not looked at.

    Raises:
        ValueError: A number is negative.
    """

    def __init__(
        self,
        table_selector: str = "table",
        column_map: Mapping[str, str] | None = None,
        column_indices: Mapping[str, int] | None = None,
    ) -> None:
        if any(index < 0 for index in (column_indices or {}).values()):
            raise ValueError("column_indices count from 0, and none may be negative")
        self.table_selector = table_selector
        self.column_map = dict(column_map or {})
        self.column_indices = dict(column_indices or {})

    def parse(self, data: str | bytes) -> list[Entry]:
        """Read a page.

        Args:
            data: The page.

        Returns:
            A dictionary for each proxy: ``url``, ``protocol``, ``host``, ``port`` and what else its row says.

        Raises:
            ProxyFetchError: The selector is not understood.
        """
        columns = [""] * (1 + max(self.column_indices.values(), default=-1))
        for name, index in self.column_indices.items():
            columns[index] = name
        try:
            parsed = parse_proxies(
                data,
                format="html_table",
                selector=self.table_selector,
                renames=list(self.column_map.items()),
                columns=columns,
                keep_duplicates=True,
            )
        except ValueError as error:
            raise ProxyFetchError(str(error)) from None
        return list(parsed)


class GeonodeParser:
    """The answer of a provider's API: ``{"data": [{"ip": ..., "port": ..., "protocols": [...]}]}``."""

    def parse(self, data: str | bytes) -> list[Entry]:
        """Read an answer.

        Args:
            data: A JSON document.

        Returns:
            A dictionary for each protocol of each entry.

        Raises:
            ProxyFetchError: It is not JSON, or has no list under ``data``.
        """
        entries = JSONParser(key="data").parse(data)
        found: list[Entry] = []
        left_out = 0
        for entry in entries:
            try:
                found.extend(_core.read_proxy_entry({name: value for name, value in entry.items() if name != "url"}))
            except ValueError:
                left_out += 1
        if left_out:
            _log.warning("%d entries of %d name no proxy that can be used", left_out, len(entries))
        return found
