"""The add-on: one line in the settings of a project."""

from __future__ import annotations

from typing import Any

from scrapy.exceptions import NotConfigured

from proxywhirl.integrations.scrapy._handlers import handler_named
from proxywhirl.integrations.scrapy._options import check_enabled

_HERE = __name__.rpartition(".")[0]
_OWN = {f"{_HERE}.RotatingProxyMiddleware": 610, f"{_HERE}.BanDetectionMiddleware": 620}
_LATE = f"{_HERE}.LateHandler"
_THEIRS = "rotating_proxies.middlewares."


class Addon:
    """Sets the middlewares, in the place of those of scrapy-rotating-proxies where a project names them.

    ::

        ADDONS = {"proxywhirl.scrapy.Addon": 500}
    """

    def update_settings(self, settings: Any) -> None:
        """Change the settings, none that the project or the spider has set."""
        check_enabled(settings)
        named = settings.get("DOWNLOADER_MIDDLEWARES")
        orders = dict(named or {})
        theirs = [key for key in orders if isinstance(key, str) and key.startswith(_THEIRS)]
        names = {_name(key) for key in orders}
        for path, order in _OWN.items():
            kind = path.rpartition(".")[2]
            replaced = [orders[key] for key in theirs if key.endswith(f".{kind}") and orders[key] is not None]
            if path not in names:
                orders[path] = replaced[0] if replaced else order
        for key in theirs:
            del orders[key]
        settings.set("DOWNLOADER_MIDDLEWARES", orders, settings.getpriority("DOWNLOADER_MIDDLEWARES") or 0)
        # Logins are sent as UTF-8, as all other clients of proxywhirl send them.
        settings.set("HTTPPROXY_AUTH_ENCODING", "utf-8", "addon")
        if settings.getbool("PROXYWHIRL_LATE", False):
            self._wrap_handlers(settings)

    def _wrap_handlers(self, settings: Any) -> None:
        inner = {scheme: handler_named(settings, scheme) for scheme in ("http", "https")}
        if not all(inner.values()):
            raise NotConfigured("PROXYWHIRL_LATE needs a download handler for http and https")
        handlers = dict(settings.get("DOWNLOAD_HANDLERS") or {})
        settings.set("PROXYWHIRL_HANDLERS", inner, "addon")
        settings.set(
            "DOWNLOAD_HANDLERS",
            {**handlers, **dict.fromkeys(inner, _LATE)},
            settings.getpriority("DOWNLOAD_HANDLERS") or 0,
        )


def _name(key: Any) -> str:
    name = key if isinstance(key, str) else f"{key.__module__}.{key.__qualname__}"
    return (
        name.replace("proxywhirl.scrapy.", f"{_HERE}.")
        .replace(f"{_HERE}._middleware.", f"{_HERE}.")
        .replace(f"{_HERE}._bans.", f"{_HERE}.")
    )
