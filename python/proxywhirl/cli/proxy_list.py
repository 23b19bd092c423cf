"""Reading the proxies that a command is given as a list."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional
from urllib.parse import urlsplit

from proxywhirl._native.redact import scrub_text
from proxywhirl.cli.errors import UsageError
from proxywhirl.cli.terminal import printable

if TYPE_CHECKING:
    from proxywhirl import Proxy, ProxyPool
    from proxywhirl._core import ParsedProxies

_STANDARD_INPUT = "-"
_MOST_COMPLAINTS = 20
# What pools are saved as; these may say more of a proxy than a list can.
_POOLS = (".json", ".jsonl", ".ndjson")


class ListReport(NamedTuple):
    """What became of a list."""

    name: str
    """The file, for people."""
    added: int
    """Proxies found."""
    duplicates: int
    """Entries that name a proxy once more."""
    complaints: list[str]
    """One line of text for each entry that cannot be read, the first twenty; credentials are masked."""


def read_proxies(pool: ProxyPool, name: str, *, protocol: Optional[str] = None) -> ListReport:
    """Add the proxies of a file, or of standard input for ``-``, to a pool.

    Raises ``UsageError`` (the file cannot be read, or its name ends in ``.json`` and it has nothing that is a proxy).
    """
    from proxywhirl import _core
    from proxywhirl.storage._open import open_file
    from proxywhirl.storage._reading import NotSavedError, load_into
    from proxywhirl.storage._vault import Vault

    shown = "standard input" if name == _STANDARD_INPUT else name
    vault = Vault(None)
    try:
        if name == _STANDARD_INPUT:
            return _add_list(pool, shown, _core.parse_proxies(sys.stdin.buffer.read(), protocol=protocol))
        found = open_file(name, vault, strict=is_pool(name))
        if isinstance(found, _core.PoolImage):
            scratch = _core.ProxyPool(max_pool_size=max(1, len(found)))
            try:
                load_into(found, scratch, vault, name)
            except NotSavedError as error:
                parsed = _core.parse_proxy_file(name, protocol=protocol)
                if not len(parsed):
                    raise error from None
                return _add_list(pool, shown, parsed)
            return _add_pool(pool, name, scratch)
        return _add_list(pool, shown, found if protocol is None else _core.parse_proxy_file(name, protocol=protocol))
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(printable(scrub_text(str(error)))) from error


def _add_list(pool: ProxyPool, shown: str, parsed: ParsedProxies) -> ListReport:
    report = pool.load(parsed, source="file", allow_local=True)
    complaints = [
        printable(scrub_text(f"{shown}, line {line.line}: {line.reason} ({line.excerpt})"))
        for line in parsed.rejected[:_MOST_COMPLAINTS]
    ]
    rest = parsed.rejected_count - len(complaints)
    if rest:
        complaints.append(f"{shown}: {rest} more lines cannot be read")
    return ListReport(shown, report.added, report.duplicates, complaints)


def _add_pool(pool: ProxyPool, name: str, found: ProxyPool) -> ListReport:
    before = len(pool)
    for proxy in found:
        pool.add_proxy(proxy)
    added = len(pool) - before
    return ListReport(name, added, len(found) - added, [])


def is_pool(name: str) -> bool:
    """Whether a file is one that pools are saved as, by its name."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in _POOLS


def is_proxy(text: str) -> bool:
    """Whether an argument that may be a list names one proxy: a URL with a port and no path, or not of the web."""
    if "://" not in text:
        return False
    try:
        parts = urlsplit(text)
        bare = parts.path in ("", "/") and not parts.query and parts.port is not None
    except ValueError:
        return False
    return bare or parts.scheme.lower() not in ("http", "https")


def proxy_of(text: str) -> Proxy:
    """The proxy that an argument names.

    Raises ``UsageError`` (it is none, or it is a file: the message has the remedy; of a bad port it says which).
    """
    from proxywhirl import Proxy
    from proxywhirl._native.model.errors import findings_of

    if _is_file(text):
        raise UsageError(f"{printable(text)} is a file; for what is in it write: @{printable(text)}")
    try:
        return Proxy(url=text if "://" in text else f"http://{text}")
    except ValueError as error:
        reason = findings_of(error)[0][1].replace("Value error, ", "").replace("Invalid proxy URL: ", "")
        if "Port must be" in reason:
            head, colon, port = text.rpartition(":")
            if re.fullmatch(r"[+-]?[0-9]{1,9}/?", port):
                reason = f"port {port.rstrip('/')} is none: it must be between 1 and 65535"
            else:
                # It may be a password.
                text = f"{head}{colon}***"
        raise UsageError(printable(scrub_text(f"{text} is no proxy: {reason}".splitlines()[0]))) from error


_LISTS = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".html", ".htm", ".gz", ".lst", ".list")


def _is_file(text: str) -> bool:
    if "://" in text:
        return False
    # Names of hosts have no slash, and no domain ends as names of lists do.
    looks = ":" not in text and (text.lower().endswith(_LISTS) or "/" in text or "\\" in text)
    try:
        return looks or Path(text).is_file()
    except (OSError, ValueError):
        return False
