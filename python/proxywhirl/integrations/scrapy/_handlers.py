"""Which proxies the download handlers of a project can use; said once at the start, not by every request that fails."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple, Optional

_log = logging.getLogger("proxywhirl.scrapy")


class Ability(NamedTuple):
    """What a handler can do.

    Attributes:
        client: The name that ``url_for`` knows it by.
        protocols: Of proxies that it can use; ``None`` for all.
    """

    client: str
    protocols: Optional[tuple[str, ...]]


_TWISTED = {"http": Ability("scrapy", ("http", "https")), "https": Ability("scrapy", ("http",))}
_BROWSER = "ScrapyPlaywrightDownloadHandler"
_ALIKE = {
    # Twisted's agents know no SOCKS, and open no tunnel through a proxy that is spoken to over TLS.
    "HTTP11DownloadHandler": _TWISTED,
    "HTTPDownloadHandler": _TWISTED,
    # Takes those requests that are not for the browser.
    _BROWSER: _TWISTED,
    "HttpxDownloadHandler": dict.fromkeys(("http", "https"), Ability("httpx", ("http", "https", "socks5"))),
    "AiohttpDownloadHandler": dict.fromkeys(("http", "https"), Ability("aiohttp", ("http", "https"))),
    "ImpersonateDownloadHandler": dict.fromkeys(("http", "https"), Ability("curl_cffi", None)),
}
_ANY = Ability("httpx", None)
WITHOUT_PROXIES = "H2DownloadHandler"


def handler_named(settings: Any, scheme: str) -> Any:
    """The handler of a scheme as the settings name it, below :class:`LateHandler`."""
    late = settings.getdict("PROXYWHIRL_HANDLERS").get(scheme)
    return late or settings.getwithbase("DOWNLOAD_HANDLERS").get(scheme)


class Abilities:
    """What the handlers of a project can do, by the scheme of the target."""

    def __init__(self, settings: Any) -> None:
        self._found: dict[str, Ability] = {}
        self._has_browser = False
        for scheme in ("http", "https"):
            named = handler_named(settings, scheme)
            name = (named if isinstance(named, str) else getattr(named, "__name__", "")).rpartition(".")[2]
            if name == WITHOUT_PROXIES:
                _log.warning("%s takes no proxies: requests of %s:// will fail; name another handler", name, scheme)
            self._has_browser |= name == _BROWSER
            self._found[scheme] = _ALIKE.get(name, {}).get(scheme, _ANY)

    def of(self, scheme: str) -> Ability:
        """What the handler of this scheme can do."""
        return self._found.get(scheme, _ANY)

    def warn_of(self, pool: Any) -> int:
        """Say which proxies cannot be used at all; how many can."""
        each = [ability.protocols for ability in self._found.values()]
        proxies = list(pool)
        if None in each or self._has_browser:
            return len(proxies)
        usable = {protocol for protocols in each for protocol in protocols or ()}
        protocols = [str(getattr(proxy.protocol, "value", proxy.protocol)) for proxy in proxies]
        idle = sorted({protocol for protocol in protocols if protocol not in usable})
        count = sum(protocol in usable for protocol in protocols)
        if idle:
            _log.warning(
                "%d of %d proxies are not used: no download handler of this project speaks %s",
                len(proxies) - count,
                len(proxies),
                ", ".join(idle),
            )
        elif "https" in protocols and "https" not in (self.of("https").protocols or ()):
            _log.warning("proxies over TLS are used for http:// only: the download handler cannot tunnel through them")
        return count
