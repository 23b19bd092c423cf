"""Secrets in wrong settings: whatever cannot be made of them, the error does not quote them."""

from __future__ import annotations

import inspect
import io
import json
import logging
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

import proxywhirl
from proxywhirl import ProxyRotator, config, fetchers, gateways, models, rate_limiting, retry, sources, storage, utils
from proxywhirl._native.redact import shown, shown_url
from proxywhirl.cli import main
from proxywhirl.config import CLIConfig, ProxyConfiguration, load_config, load_config_file

SECRET = "s3cret:T0ken/x"
WORD = "s3cret:T0ken"
MODULES = (proxywhirl, config, fetchers, gateways, models, rate_limiting, retry, sources, storage, utils)

GIVEN: list[Any] = [
    f"http://user:{SECRET}@h.test:80",
    f"http://user:{SECRET}@h.test:99999",
    f"http://user:{SECRET}@h.test:bad",
    f"user:{SECRET}@h.test:80",
    f"http://h.test:80:user:{SECRET}",
    f"h.test:80:user:{SECRET}",
    f"{SECRET}@h.test",
    SECRET,
    SECRET.encode(),
    f"postgresql://user:{SECRET}@127.0.0.1:1/db",
    f"postgresql://user:{SECRET}",
    f"mysql://user:{SECRET}@h.test/db",
    [f"http://user:{SECRET}@h.test:bad"],
    [SECRET],
    (SECRET, 1),
    {"url": f"http://user:{SECRET}@h.test:bad"},
    {"url": "http://h.test:1", "password": SECRET},
    {"url": "http://h.test:1", "username": "u", "password": [SECRET]},
    {"name": SECRET},
    {SECRET: SECRET},
]

# They dial, write, or set up logging for good.
LEFT_OUT = {"LoadTest", "configure_logging", "validate_target_url_safe", "validate_sources_sync", "atomic_write_json"}


# Arguments of an enumeration that make a new one.
_OF_ENUM = {"names", "module", "qualname", "type", "start", "boundary"}


def texts_of(error: BaseException, given: Any) -> Iterator[str]:
    """All that a program may come to show of an error and of what led to it."""
    yield from (str(error), repr(error))
    for name in ("errors", "json"):
        method = getattr(error, name, None)
        if callable(method):
            yield str(method())
    yield "".join(traceback.format_exception(type(error), error, error.__traceback__))
    cause: BaseException | None = error
    while cause is not None:
        yield f"{cause} {cause.args}"
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def public() -> dict[str, Callable[..., Any]]:
    """What users can call, each once: an alias is the same object."""
    found: dict[str, Callable[..., Any]] = {}
    for module in MODULES:
        for name in dir(module):
            thing = getattr(module, name)
            if name.startswith("_") or name in LEFT_OUT or not callable(thing):
                continue
            if isinstance(thing, type) and issubclass(thing, BaseException):
                continue
            is_alias = any(thing is other for known, other in found.items() if known != name)
            if not is_alias and str(getattr(thing, "__module__", "")).startswith("proxywhirl"):
                found[name] = thing
    return found


def ways(thing: Any, given: Any) -> Iterator[Callable[[], Any]]:
    """Every way to hand something over to a class or a function."""
    yield lambda: thing(given)
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        parameters = {}.values()  # type: ignore[assignment]
    names = {each.name for each in parameters if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)}
    fields = getattr(thing, "model_fields", None)
    if isinstance(fields, dict):
        names |= {*fields, "nosuch"}
        yield lambda: thing.model_validate(given)
        yield lambda: thing.model_validate_json(given if isinstance(given, (str, bytes)) else json.dumps(given)[:-1])
        yield lambda: thing.model_validate_json(json.dumps(dict.fromkeys(fields, str(given))))
    for name in {each for each in names if not each.startswith("_")} - {"self", *_OF_ENUM}:
        yield lambda name=name: thing(**{name: given})  # type: ignore[misc]


def _is_about_a_path(error: Exception, given: Any) -> bool:
    """Whether a text that may be the name of a file was taken for one; only what has an ``@`` may be distinguished."""
    if "://" in str(given):
        return False
    if isinstance(error, OSError) and error.filename is not None:
        return True
    return "@" not in str(given) and ("cannot tell the format of" in str(error) or "no file of settings" in str(error))


@pytest.mark.parametrize("name", public())
@pytest.mark.filterwarnings("ignore")
def test_errors_of_everything_public(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    thing = public()[name]
    for given in GIVEN:
        for way in ways(thing, given):
            try:
                made = way()
                if inspect.iscoroutine(made):
                    made.close()
            except Exception as error:
                # A name that was given as the name of an argument is quoted by Python itself.
                if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
                    continue
                if _is_about_a_path(error, given):
                    continue
                for text in texts_of(error, given):
                    assert WORD not in text, f"{given!r}: {text[-300:]}"
    assert WORD not in caplog.text


@pytest.mark.parametrize(
    "field", ["timeout", "max_retries", "strategy", "storage_backend", "health_check_url", "log_level"]
)
def test_settings_of_the_environment(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"PROXYWHIRL_{field.upper()}", f"ftp://user:{SECRET}@h.test:bad")
    for make in (ProxyConfiguration, load_config, ProxyRotator):
        try:
            make()
        except Exception as error:
            assert not any(WORD in text for text in texts_of(error, None))


FILES = {
    "s.json": '{{"timeout": "{0}", "proxies": [{{"url": "http://u:{0}@h:bad"}}]}}',
    "broken.json": '{{"timeout": "{0}"',
    "s.yaml": "timeout: '{0}'\nproxies:\n  - url: 'http://u:{0}@h:bad'\n",
    "broken.yaml": "proxies: ['http://u:{0}@h:1'\n  x: {0}\n",
    "s.toml": "timeout = '{0}'\nproxies = ['http://u:{0}@h:bad']\n",
    "broken.toml": "timeout = {0}\n",
    "s.env": "PROXYWHIRL_TIMEOUT='{0}'\nPROXYWHIRL_PROXIES='http://u:{0}@h:bad'\n",
    "broken.env": "PROXYWHIRL_TIMEOUT=1\n{0}\n",
}


@pytest.mark.parametrize("name", FILES)
def test_settings_of_files(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    path.write_text(FILES[name].format(SECRET))
    reads: list[Callable[[], Any]] = [
        lambda: ProxyConfiguration.from_file(path),
        lambda: load_config(path),
        lambda: ProxyRotator(config=str(path)),
        lambda: CLIConfig(**load_config_file(path)),
    ]
    for read in reads:
        with pytest.raises((ValueError, ImportError)) as info:
            read()
        assert not any(WORD in text for text in texts_of(info.value, None))
    for command in (["config", "show"], ["config", "set", "verbose", "true"], ["pool", "list"]):
        assert main(["--config", str(path), *command]) in (1, 2)
    assert WORD not in "".join(capsys.readouterr())


def test_assignment_and_names() -> None:
    settings = ProxyConfiguration(timeout=3)
    with pytest.raises(ValueError) as info:
        settings.timeout = SECRET  # type: ignore[assignment]
    assert not any(WORD in text for text in texts_of(info.value, None))
    # What is wrong is still said: the field, the reason, and names and numbers.
    with pytest.raises(ValueError, match=r"(?s)max_retries.*input_value=-3"):
        ProxyConfiguration(max_retries=-3)
    with pytest.raises(ValueError, match="Unknown strategy 'fastest'"):
        ProxyRotator(strategy="fastest")


def test_what_is_shown() -> None:
    assert shown("") == "''"
    assert [shown(value) for value in (3, None, True, "round-robin", SECRET, [SECRET], "a b", "http://u:p@h")] == [
        "3",
        "None",
        "True",
        "'round-robin'",
        "'***'",
        "a list",
        "'a b'",
        "'***'",
    ]
    for url, expected in (
        ("http://h.test:80", "http://h.test:80"),
        (f"http://u:{SECRET}@h.test:80", "http://***:***@h.test:80"),
        ("socks5://[::1]:1080/", "socks5://[::1]:1080/"),
        (f"http://h.test:80:u:{SECRET}", "***"),
        (f"http://h.test/{SECRET}", "***"),
        (SECRET, "***"),
        (None, "***"),
    ):
        assert shown_url(url) == expected


USER = "user-7f3a"
PASSWORD = "pass-word-9c"
URL = f"http://{USER}:{PASSWORD}@h.test:bad"
COMMANDS = [
    [URL],
    ["get", URL],
    ["get", "http://a.test/", "--proxies", URL],
    ["get", "http://a.test/", "--proxies", f"{USER}:{PASSWORD}@h.test:80"],
    ["get", "http://a.test/", f"--proxies={URL}", "--timeout", PASSWORD],
    ["get", "http://a.test/", "--timeout", URL],
    ["get", "http://a.test/", f"--timeout={URL}"],
    ["get", "http://a.test/", f"--pro={URL}", PASSWORD],
    ["get", "http://a.test/", "-H", f"Authorization Bearer {PASSWORD}"],
    ["get", "http://a.test/", f"-H{PASSWORD}"],
    ["get", "http://a.test/", "--session", PASSWORD + "!"],
    ["get", "http://a.test/", "--retries", PASSWORD],
    ["get", "http://a.test/", "--nosuch", PASSWORD],
    ["get", "http://a.test/", f"--nosuch={PASSWORD}"],
    ["get", "http://a.test/", "-X", f"P {PASSWORD}"],
    ["get", "http://a.test/", "--cacert", URL],
    ["get", "http://a.test/", "-d", f"@{URL}"],
    ["get", "http://a.test/", "--strategy", URL],
    ["check", URL],
    ["check", "-", "--url", URL],
    ["check", "-", "--status", PASSWORD],
    ["check", "-", "--protocol", PASSWORD],
    ["check", "-", f"-f{PASSWORD}"],
    ["fetch", f"ftp://{USER}:{PASSWORD}@h.test/"],
    ["fetch", PASSWORD + ".txt", "--country", PASSWORD],
    ["pool", "add", URL],
    ["pool", "add", f"h.test:80:{USER}:{PASSWORD}", URL],
    ["pool", "add", "h.test:bad", "-u", USER, "-p", PASSWORD],
    ["pool", "add", "h.test:bad", f"--username={USER}", f"--password={PASSWORD}"],
    ["pool", "add", f"@{URL}"],
    ["pool", "remove", f"http://{USER}:{PASSWORD}@h.test:80"],
    ["pool", "--pool", URL, "list"],
    ["pool", "test", f"http://{USER}:{PASSWORD}@h.test:80"],
    ["pool", PASSWORD],
    ["config", "set", "timeout", PASSWORD],
    ["config", "set", "proxies", URL],
    ["config", "set", "storage_backend", URL],
    ["config", PASSWORD],
    ["--config", URL, "config", "show"],
    ["--format", PASSWORD, "stats"],
    ["completion", PASSWORD],
    ["health", "--timeout", PASSWORD],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3])[:40])
def test_errors_of_the_command_line(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"nothing\n")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        status = main(words)
    assert status in (1, 2)
    said = capsys.readouterr()
    assert said.err
    for secret in (PASSWORD, f"{USER}:"):
        assert secret not in said.out + said.err


def test_a_fault_of_the_program_is_shown_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: Any) -> int:
        raise RuntimeError(f"cannot speak to {arguments.proxies[0]} with {PASSWORD}")

    monkeypatch.setattr("proxywhirl.cli.pool.run", fail)
    assert main(["pool", "add", f"http://{USER}:{PASSWORD}@h.test:80"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" in said.err
    assert "RuntimeError: cannot speak to http://***:***@h.test:80 with ***" in said.err
    assert PASSWORD not in said.err


def test_usage_errors_still_tell_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "http://a.test/", "--nosuch", "x", "--timeout", "soon"]) == 2
    assert "argument --timeout: '***' is no number of seconds above 0" in capsys.readouterr().err
    assert main(["get", "http://a.test/", "--nosuch", "x"]) == 2
    assert "unrecognized arguments: --nosuch ***" in capsys.readouterr().err
    assert main(["gte"]) == 2
    assert "(choose from" in capsys.readouterr().err


def test_a_warning_of_a_database_shows_no_password(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    program = f"""
import asyncio
from proxywhirl import Proxy
from proxywhirl.storage import SQLiteStorage
storage = SQLiteStorage("postgresql://{USER}:{PASSWORD}@127.0.0.1:1/db")
asyncio.run(storage.save([Proxy(url="http://a:b@h.test:1")]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    shown_lines = [line for line in done.stderr.splitlines() if "SQLiteStorage(" not in line or "***" in line]
    assert "ProxyStorageError" in done.stderr or "ImportError" in done.stderr
    assert PASSWORD not in "\n".join(shown_lines)
