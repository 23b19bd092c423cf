"""``proxywhirl get``: one request through a rotated proxy."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import urlsplit

from proxywhirl._native.redact import scrub_text
from proxywhirl._native.urls import masked_url
from proxywhirl.cli import argument_types as types
from proxywhirl.cli.answer import Answer, write_answer, write_error, write_summary
from proxywhirl.cli.errors import CommandError, UsageError
from proxywhirl.cli.learning import Learned
from proxywhirl.cli.options import add_config, add_verbose
from proxywhirl.cli.proxy_list import ListReport, is_pool, read_proxies
from proxywhirl.cli.settings import configured, settings_of
from proxywhirl.cli.stored_pool import locate, pool_path
from proxywhirl.cli.terminal import counted, printable

if TYPE_CHECKING:
    from proxywhirl import ProxyPool, ProxyRotator

HELP = "send one request through a rotated proxy"
DESCRIPTION = "Sends one request through a proxy of a list, and through others if that fails."
EPILOG = """\
examples:
  proxywhirl get https://example.com --proxies proxies.txt
  proxywhirl get https://example.com/form --proxies proxies.txt -d 'name=value' -i
  proxywhirl pool add @proxies.txt && proxywhirl get https://example.com
  proxywhirl get https://example.com --proxies proxies.json --country DE --retries 5
  cat proxies.txt | proxywhirl get https://example.com --proxies - --format json | jq .proxy

FILE is a list in any form that `proxywhirl fetch` reads, such as one proxy per line: http://host:port,
socks5://user:password@host:port, host:port, user:password@host:port or host:port:user:password. Entries that cannot
be read are skipped and reported by line. A file whose name ends in .json may be a pool, with the country and the tags
of each proxy. Without --proxies the proxies are those of the configuration, else those of the stored pool
(`proxywhirl pool add`). Of the configuration count: proxies, proxy_file, storage_path, rotation_strategy, timeout,
max_retries, follow_redirects, verify_ssl, geo_database. What a request learns about proxies of the stored pool is kept
there: which work, and which the site has banned.

exit status:
  0    the site answered with 2xx or 3xx
  1    no proxy could get the page, or the site answered with 4xx or 5xx
  2    wrong usage
  130  interrupted
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("url", metavar="URL", help="what to fetch, http:// or https://")
    parser.add_argument("--proxies", metavar="FILE", help="list of proxies; - reads standard input")

    request = parser.add_argument_group("request")
    request.add_argument("-X", "--request", metavar="METHOD", type=types.method, help="default GET, or POST with -d")
    request.add_argument(
        "-H", "--header", metavar="'K: V'", type=types.header, action="append", default=[], help="may be repeated"
    )
    request.add_argument(
        "-d", "--data", metavar="DATA", help="body, sent as a form unless -H says else; @FILE reads it"
    )
    request.add_argument("--timeout", metavar="S", type=types.seconds, help="for each step of an attempt (default 30)")
    trust = request.add_mutually_exclusive_group()
    trust.add_argument("-k", "--insecure", action="store_true", help="accept any certificate")
    trust.add_argument("--cacert", metavar="FILE", help="certificates to trust instead of the usual ones")

    choice = parser.add_argument_group("choice of the proxy")
    choice.add_argument("--strategy", metavar="NAME", help="default random: each run begins with another proxy")
    choice.add_argument("--country", metavar="CODE", help="only proxies of this country, two letters")
    choice.add_argument(
        "--session", metavar="ID", type=types.session, help="the same id and list begin with the same proxy (if random)"
    )
    choice.add_argument("--retries", metavar="N", type=types.retries, help="further attempts, 0 to 9 (default 2)")

    output = parser.add_argument_group("output")
    output.add_argument("-i", "--include", action="store_true", help="show status and headers before the body")
    output.add_argument("-o", "--output", metavar="FILE", help="write to FILE instead of standard output")
    output.add_argument(
        "-f", "--format", choices=("text", "json"), default=argparse.SUPPRESS, help="json: one line with all there is"
    )
    add_config(output)
    add_verbose(output)


_OK, _FAILED = 0, 1
_FORM = "application/x-www-form-urlencoded"


def run(arguments: argparse.Namespace) -> int:
    """Send the request and write the answer.

    Raises ``UsageError`` (the arguments ask for something that cannot be done), ``CommandError`` (the list has no
    proxies, or the output cannot be written).
    """
    _check_url(arguments.url)
    arguments.format = arguments.format or "text"
    if arguments.format == "csv":
        raise UsageError("a page cannot be written as csv; use --format text or json")
    options = _request_options(arguments)
    with _rotator(arguments) as rotator:
        learned = _fill(rotator, arguments)
        started = time.perf_counter()
        response, error = _send(rotator, arguments, options)
        elapsed_ms = (time.perf_counter() - started) * 1000.0
        if arguments.verbose:
            _tell_attempts(rotator)
        complaint = None if learned is None else learned.keep(lock=not arguments.no_lock)
        if complaint is not None:
            print(f"proxywhirl get: {printable(scrub_text(complaint))}", file=sys.stderr)
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
    import hashlib

    # A session cannot outlive the process; that the same draw comes first again can.
    digest = hashlib.sha256(arguments.session.encode("ascii")).digest()
    return {"name": "random", "seed": int.from_bytes(digest[:8], "big")}


def _fill(rotator: ProxyRotator, arguments: argparse.Namespace) -> Optional[Learned]:
    """Fill the rotator; what keeps the things that it learns, if its proxies are those of the stored pool."""
    report, learned = _read_configured(rotator.pool, arguments)
    locate(rotator.pool, arguments)
    for complaint in report.complaints:
        print(complaint, file=sys.stderr)
    if arguments.verbose:
        print(
            f"{counted(report.added, 'proxy', 'proxies')}, {counted(report.duplicates, 'duplicate')}", file=sys.stderr
        )
    if not report.added:
        raise CommandError(f"{report.name} has no proxy that can be used")
    return learned


def _read_configured(pool: ProxyPool, arguments: argparse.Namespace) -> tuple[ListReport, Optional[Learned]]:
    """Read the proxies of ``--proxies``; without it those of the configuration, else those of the stored pool."""
    if arguments.proxies is not None:
        return read_proxies(pool, arguments.proxies), None
    settings = settings_of(arguments)
    if settings.proxies:
        from proxywhirl import Proxy

        for entry in settings.proxies:
            pool.add_proxy(Proxy(url=entry.url, username=entry.username, password=entry.password))
        more = None if settings.proxy_file is None else read_proxies(pool, str(settings.proxy_file.expanduser()))
        return ListReport("the configuration", len(pool), 0, [] if more is None else more.complaints), None
    if settings.proxy_file is not None:
        return read_proxies(pool, str(settings.proxy_file.expanduser())), None
    path = pool_path(arguments)
    if not path.exists():
        raise UsageError("there is no stored pool; name a list with --proxies FILE, or make one: proxywhirl pool add")
    if not path.is_file() or not is_pool(path.name):
        # A list that is kept by hand: what is learned has no place in it.
        return read_proxies(pool, str(path)), None
    try:
        learned = Learned(path, pool)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError:
        return read_proxies(pool, str(path)), None
    return ListReport(str(path), learned.added, 0, []), learned


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
