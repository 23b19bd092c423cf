"""What ``proxywhirl doctor`` finds out: facts about an installation, each with whether it is as it should be.

No secrets: of variables the names, of URLs the hosts, of files the paths. Nothing is contacted.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

from proxywhirl._native.installation import OTHER, OWN, describe, other_version
from proxywhirl._native.redact import mask_proxy_url, scrub_text

GOOD, NOTE, WRONG = "ok", "note", "wrong"


class Finding(NamedTuple):
    """One fact."""

    topic: str
    name: str
    value: str
    state: str = GOOD
    """:data:`GOOD`, :data:`NOTE` (worth knowing), or :data:`WRONG`."""
    remedy: Optional[str] = None
    """What to do about it."""


# Distribution, extra.
_EXTRAS = (
    ("rich", "cli"),
    ("shtab", "cli"),
    ("tomli-w", "cli"),
    ("maxminddb", "geo"),
    ("h2", "http2"),
    ("playwright", "js"),
    ("loguru", "loguru"),
    ("prometheus-client", "metrics"),
    ("cryptography", "security"),
    ("sqlalchemy", "storage"),
    ("aiosqlite", "storage"),
    ("psycopg", "storage"),
    ("pyyaml", "yaml"),
)
_NEEDED = ("httpx", "pydantic", "pydantic-settings")
_CLIENTS = ("requests", "urllib3", "aiohttp", "curl_cffi", "scrapy", "httpx2", "niquests")
# What other programs take certificates from. Ours do on request only.
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
# Below this, files and a handful of connections do not fit; from the second on all that are allowed by default do.
_FEW_FILES, _ENOUGH_FILES = 256, 1200


def platform_findings() -> Iterator[Finding]:
    """Python and the system."""
    yield Finding("platform", "python", f"{platform.python_implementation()} {platform.python_version()}")
    yield Finding("platform", "executable", sys.executable or "unknown")
    yield Finding("platform", "system", platform.platform())
    yield Finding("platform", "machine", f"{platform.machine()}, {os.cpu_count() or 1} processors")
    free = not getattr(sys, "_is_gil_enabled", lambda: True)()
    yield Finding("platform", "threads", "without the GIL" if free else "with the GIL")


def engine_findings() -> Iterator[Finding]:
    """The native module, and which engine carries requests."""
    from proxywhirl import __version__, _core

    yield Finding("engine", "version", __version__)
    yield Finding("engine", "native module", str(_core.__file__ or "built in"))
    installed = _version(OWN)
    if installed is None:
        yield Finding("engine", OWN, "not installed as a distribution", NOTE, f"pip install {OWN}")
    elif installed.replace("-", "").replace("_", "") != __version__.replace("-", ""):
        remedy = f"pip install --force-reinstall {OWN}"
        yield Finding("engine", OWN, f"{installed}, but the native module is {__version__}", WRONG, remedy)
    from proxywhirl._httpx.engine import engine_of
    from proxywhirl._httpx.tls import Tls

    try:
        yield Finding("engine", "requests go through", engine_of(None, Tls(), "native"))
    except ValueError:
        remedy = "set PROXYWHIRL_ENGINE to native or httpx, or not at all"
        yield Finding("engine", "requests go through", "PROXYWHIRL_ENGINE names no engine", WRONG, remedy)


def installation_findings() -> Iterator[Finding]:
    """Whether another distribution shares the package's folder."""
    import proxywhirl

    folder = Path(next(iter(proxywhirl.__path__)))
    yield Finding("installation", "package", str(folder))
    version = other_version(str(folder.parent)) or _version(OTHER)
    if version is None:
        yield Finding("installation", "other distributions", "none")
    else:
        text, _, remedy = describe(version).partition(" Keep one of them: ")
        yield Finding("installation", "other distributions", text, WRONG, remedy)


def package_findings() -> Iterator[Finding]:
    """What is needed, the extras, and other clients."""
    for name in _NEEDED:
        version = _version(name)
        if version is None:
            yield Finding("packages", name, "missing", WRONG, f"pip install {name}")
        else:
            yield Finding("packages", name, version)
    for name, extra in _EXTRAS:
        yield Finding("extras", f"{extra}: {name}", _version(name) or "not installed")
    for name in _CLIENTS:
        version = _version(name)
        if version is not None:
            yield Finding("clients", name, version)


def certificate_findings() -> Iterator[Finding]:
    """Which authorities are trusted."""
    import ssl

    from proxywhirl._httpx.tls import authorities

    yield Finding("certificates", "openssl", ssl.OPENSSL_VERSION)
    try:
        store, text = authorities()
    except (ImportError, OSError, ValueError) as error:
        yield Finding("certificates", "trusted", scrub_text(str(error)), WRONG, "pip install --force-reinstall certifi")
        return
    if text is None:
        yield Finding("certificates", "trusted", "those of the system")
    else:
        count = text.count("-----BEGIN CERTIFICATE-----")
        remedy = None if count else "pip install --force-reinstall certifi"
        yield Finding("certificates", "trusted", f"{count} of {store}", GOOD if count else WRONG, remedy)
    for name in _CERTIFICATES:
        place, named = os.environ.get(name), scrub_text(os.environ.get(name) or "")
        if not place:
            continue
        state = f"{named}: used by rotators with trust_env=True" if name.startswith("SSL_") else f"{named}: not used"
        if Path(place).exists():
            yield Finding("certificates", name, state, NOTE, "for certificates of your own: verify=FILE, or --cacert")
        else:
            yield Finding(
                "certificates", name, f"{named}: there is no such file", WRONG, f"unset {name}, or correct it"
            )


def environment_findings() -> Iterator[Finding]:
    """Proxies that the environment names, and variables of ours."""
    for name in _PROXIES:
        for spelling in (name, name.lower()):
            value = os.environ.get(spelling)
            if not value:
                continue
            if name == "NO_PROXY":
                yield Finding("environment", spelling, "set: not used; see no_proxy= of rotators", NOTE)
            else:
                shown = _shown_proxy(value)
                yield Finding("environment", spelling, f"{shown}: used by rotators with trust_env=True only", NOTE)
    from proxywhirl.config._unknown import unknown_variables

    unknown = {found.name: found for found in unknown_variables()}
    for name in sorted(os.environ):
        if not name.upper().startswith("PROXYWHIRL_"):
            continue
        if name not in unknown:
            yield Finding("environment", name, "set")
            continue
        nearest = unknown[name].nearest
        remedy = f"rename it: {nearest}" if nearest else "unset it, if it is meant for proxywhirl"
        yield Finding("environment", name, "no setting: read by nothing", WRONG if nearest else NOTE, remedy)


def limit_findings() -> Iterator[Finding]:
    """Files that may be open, which sockets are."""
    try:
        import resource
    except ImportError:
        yield Finding("limits", "open files", "not limited by this system")
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unbounded = resource.RLIM_INFINITY
    text = "unlimited" if soft == unbounded else f"{soft:,} (up to {'any' if hard == unbounded else f'{hard:,}'})"
    if soft == unbounded or soft >= _ENOUGH_FILES:
        yield Finding("limits", "open files", text)
        return
    what = "1,000 requests at a time, as rotators allow, and check --concurrency 500 need more"
    yield Finding(
        "limits", "open files", f"{text}: {what}", WRONG if soft < _FEW_FILES else NOTE, f"ulimit -n {_ENOUGH_FILES}"
    )


def configuration_findings(named: Optional[str]) -> Iterator[Finding]:
    """The file of settings."""
    from proxywhirl.cli.settings import names_in_file, reason_of
    from proxywhirl.config import discover_config, load_config
    from proxywhirl.config._unknown import unknown_settings

    try:
        path = discover_config(named)
        if path is None:
            yield Finding("settings", "file", "none: defaults are in force")
        config = load_config(named)
        names = names_in_file(named)
    except ImportError as error:
        yield Finding("settings", "file", scrub_text(str(error)), WRONG, "install the extra, or use .json")
        return
    except (OSError, ValueError) as error:
        remedy = "correct the file or the variable: proxywhirl config show"
        yield Finding("settings", "file", reason_of(error), WRONG, remedy)
        return
    except Exception as error:
        # cryptography is an extra, so its exception is known by name only.
        if type(error).__name__ != "InvalidToken":
            raise
        yield Finding(
            "settings", "file", "encrypted with another key", WRONG, f"set {_key_variable()} to the right one"
        )
        return
    if path is not None:
        yield Finding("settings", "file", str(path.absolute()))
    for unknown in unknown_settings(names):
        advice = f"rename it: {unknown.nearest}" if unknown.nearest else None
        yield Finding("settings", unknown.name, "no setting", WRONG if unknown.nearest else NOTE, advice)
    yield Finding("settings", "proxies", str(len(config.proxies)))


def _key_variable() -> str:
    from proxywhirl._base.crypto import KEY_VARIABLE

    return KEY_VARIABLE


def _shown_proxy(value: str) -> str:
    """What may be shown of a proxy that a variable names; of what is none, nothing."""
    from proxywhirl import _core

    url = value if "://" in value else f"http://{value}"
    try:
        _core.parse_proxy_url(url)
    except ValueError:
        return "set, but no URL of a proxy"
    return mask_proxy_url(url)


def _version(name: str) -> Optional[str]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None
