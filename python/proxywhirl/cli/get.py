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

from proxywhirl._redact import scrub_text
from proxywhirl.cli.answer import Answer, write_answer, write_error, write_summary
from proxywhirl.cli.errors import CommandError, UsageError
from proxywhirl.cli.proxy_list import read_proxies
from proxywhirl.cli.terminal import counted, printable

if TYPE_CHECKING:
    from proxywhirl import Proxy, ProxyRotator

__all__ = ["run"]

_OK, _FAILED = 0, 1
_FORM = "application/x-www-form-urlencoded"


def run(arguments: argparse.Namespace) -> int:
    """Send the request and write the answer.

    Args:
        arguments: The parsed command line.

    Returns:
        0 for an answer with 2xx or 3xx, else 1.

    Raises:
        UsageError: The arguments ask for something that cannot be done.
        CommandError: The list has no proxies, or the output cannot be written.
    """
    _check_url(arguments.url)
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
        answer = Answer(response, None if proxy is None else masked(proxy), facts["attempts"], elapsed_ms)
    write_answer(answer, arguments)
    write_summary(answer, arguments)
    return _OK if answer.is_good else _FAILED


def masked(proxy: Proxy) -> str:
    """The address of a proxy for people: credentials masked.

    Args:
        proxy: The proxy.

    Returns:
        Its URL, with ``***:***@`` if it wants a login.
    """
    login = "" if proxy.username is None else "***:***@"
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return f"{proxy.protocol}://{login}{host}:{proxy.port}"


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
    if arguments.timeout is not None:
        options["timeout"] = arguments.timeout
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
    if arguments.cacert is not None and not Path(arguments.cacert).exists():
        raise UsageError(f"{arguments.cacert} cannot be read: there is no such file")
    policy = None if arguments.retries is None else RetryPolicy(max_attempts=arguments.retries + 1)
    try:
        return ProxyRotator(strategy=_strategy(arguments), retry_policy=policy, verify=verify)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(printable(str(error))) from error


def _strategy(arguments: argparse.Namespace) -> Any:
    if arguments.strategy is not None:
        return arguments.strategy
    if arguments.session is None:
        return "random"
    # A session cannot outlive the process; that the same draw comes first again can.
    digest = hashlib.sha256(arguments.session.encode("ascii")).digest()
    return {"name": "random", "seed": int.from_bytes(digest[:8], "big")}


def _fill(rotator: ProxyRotator, arguments: argparse.Namespace) -> None:
    report = read_proxies(rotator.pool, arguments.proxies)
    for complaint in report.complaints:
        print(complaint, file=sys.stderr)
    if arguments.verbose:
        print(
            f"{counted(report.added, 'proxy', 'proxies')}, {counted(report.duplicates, 'duplicate')}", file=sys.stderr
        )
    if not report.added:
        raise CommandError(f"{report.name} has no proxy that can be used")


def _send(
    rotator: ProxyRotator, arguments: argparse.Namespace, options: dict[str, Any]
) -> tuple[Optional[Any], Optional[Exception]]:
    """The response, or why there is none."""
    from proxywhirl import ProxyWhirlError
    from proxywhirl._http.flavour import default_name, flavour

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
            told = [f"tried {masked(proxy)}: {counted(proxy.requests_started, 'attempt')}"]
            told.append(counted(proxy.total_failures, "failure"))
            told += [str(entry["error"]) for entry in proxy.metadata.get("last_errors") or ()]
            print(printable(scrub_text(", ".join(told))), file=sys.stderr)
