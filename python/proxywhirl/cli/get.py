"""``proxywhirl get``: one request through a rotated proxy."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import urlsplit

from proxywhirl._native.redact import scrub_text
from proxywhirl._native.urls import masked_url
from proxywhirl.cli.answer import Answer, write_answer, write_error, write_summary
from proxywhirl.cli.errors import CommandError, UsageError
from proxywhirl.cli.proxy_list import ListReport, read_proxies
from proxywhirl.cli.settings import configured, settings_of
from proxywhirl.cli.stored_pool import pool_path
from proxywhirl.cli.terminal import counted, printable

if TYPE_CHECKING:
    from proxywhirl import ProxyPool, ProxyRotator

_OK, _FAILED = 0, 1
_FORM = "application/x-www-form-urlencoded"


def run(arguments: argparse.Namespace) -> int:
    """Send the request and write the answer."""
    _check_url(arguments.url)
    arguments.format = arguments.format or "text"
    if arguments.format == "csv":
        raise UsageError("a page cannot be written as csv; use --format text or json")
    options = _request_options(arguments)
    with _rotator(arguments) as rotator:
        _fill(rotator, arguments)
        started = time.perf_counter()
        response, error = _send(rotator, arguments, options)
        elapsed_ms = (time.perf_counter() - started) * 1000.0
        if arguments.verbose:
            _tell_attempts(rotator)
        if response is None:
            assert error is not None  # one of both is there
            write_error(error, elapsed_ms, arguments)
            return _FAILED
        facts = response.extensions["proxywhirl"]
        proxy = rotator.pool.get_proxy_by_id(facts["proxy_id"])
        answer = Answer(response, None if proxy is None else masked_url(proxy), facts["attempts"], elapsed_ms)
    write_answer(answer, arguments)
    write_summary(answer, arguments)
    return _OK if answer.is_good else _FAILED


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        complete = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        complete = False
    if not complete:
        raise UsageError(f"{printable(scrub_text(url))} is no complete http:// or https:// URL")


def _request_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of ``ProxyRotator.request``, method included."""
    options: dict[str, Any] = {"method": arguments.request or "GET", "headers": list(arguments.header)}
    if arguments.data is not None:
        options["method"] = arguments.request or "POST"
        options["content"] = _body(arguments.data)
        if not any(name.lower() == "content-type" for name, _ in arguments.header):
            options["headers"].append(("Content-Type", _FORM))
    timeout = arguments.timeout if arguments.timeout is not None else configured(arguments, "timeout")
    if timeout is not None:
        options["timeout"] = timeout
    if configured(arguments, "follow_redirects") is False:
        options["follow_redirects"] = False
    for wish, value in (("country", arguments.country), ("session_id", arguments.session)):
        if value is not None:
            options[wish] = value
    return options


def _body(data: str) -> bytes:
    if not data.startswith("@"):
        return os.fsencode(data)
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise UsageError(f"{data[1:]} cannot be read: {error.strerror or error}") from error


def _rotator(arguments: argparse.Namespace) -> ProxyRotator:
    from proxywhirl import ProxyRotator, RetryPolicy

    verify: Any = False if arguments.insecure else arguments.cacert
    if verify is None and configured(arguments, "verify_ssl") is False:
        verify = False
    if arguments.cacert is not None and not Path(arguments.cacert).exists():
        raise UsageError(f"{arguments.cacert} cannot be read: there is no such file")
    retries = arguments.retries if arguments.retries is not None else configured(arguments, "max_retries")
    try:
        policy = None if retries is None else RetryPolicy(max_attempts=retries + 1)
        return ProxyRotator(strategy=_strategy(arguments), retry_policy=policy, verify=verify)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(printable(str(error))) from error


def _strategy(arguments: argparse.Namespace) -> Any:
    if arguments.strategy is not None:
        return arguments.strategy
    if arguments.session is None:
        return configured(arguments, "rotation_strategy") or "random"
    # A session cannot outlive the process; that the same draw comes first again can.
    digest = hashlib.sha256(arguments.session.encode("ascii")).digest()
    return {"name": "random", "seed": int.from_bytes(digest[:8], "big")}


def _fill(rotator: ProxyRotator, arguments: argparse.Namespace) -> None:
    report = _read_configured(rotator.pool, arguments)
    for complaint in report.complaints:
        print(complaint, file=sys.stderr)
    if arguments.verbose:
        print(
            f"{counted(report.added, 'proxy', 'proxies')}, {counted(report.duplicates, 'duplicate')}", file=sys.stderr
        )
    if not report.added:
        raise CommandError(f"{report.name} has no proxy that can be used")


def _read_configured(pool: ProxyPool, arguments: argparse.Namespace) -> ListReport:
    """Read the proxies of ``--proxies``; without it those of the configuration, else those of the stored pool."""
    if arguments.proxies is not None:
        return read_proxies(pool, arguments.proxies)
    settings = settings_of(arguments)
    if settings.proxies:
        from proxywhirl import Proxy

        for entry in settings.proxies:
            pool.add_proxy(Proxy(url=entry.url, username=entry.username, password=entry.password))
        more = None if settings.proxy_file is None else read_proxies(pool, str(settings.proxy_file.expanduser()))
        return ListReport("the configuration", len(pool), 0, [] if more is None else more.complaints)
    if settings.proxy_file is not None:
        return read_proxies(pool, str(settings.proxy_file.expanduser()))
    path = pool_path(arguments)
    if not path.exists():
        raise UsageError("there is no stored pool; name a list with --proxies FILE, or make one: proxywhirl pool add")
    return read_proxies(pool, str(path))


def _send(
    rotator: ProxyRotator, arguments: argparse.Namespace, options: dict[str, Any]
) -> tuple[Optional[Any], Optional[Exception]]:
    """The response, or why there is none."""
    from proxywhirl import ProxyWhirlError
    from proxywhirl._httpx.library import default_name, flavour

    module = flavour(default_name()).module
    try:
        return rotator.request(url=arguments.url, **options), None
    except ProxyWhirlError as error:
        # A site that answers 502 through every proxy has answered.
        return getattr(error, "response", None), error
    except (module.HTTPError, module.InvalidURL, OSError) as error:
        return None, error


def _tell_attempts(rotator: ProxyRotator) -> None:
    for proxy in rotator.pool:
        if proxy.requests_started:
            facts = [f"tried {masked_url(proxy)}: {counted(proxy.requests_started, 'attempt')}"]
            facts.append(counted(proxy.total_failures, "failure"))
            facts += [str(entry["error"]) for entry in proxy.metadata.get("last_errors") or ()]
            print(printable(scrub_text(", ".join(facts))), file=sys.stderr)
