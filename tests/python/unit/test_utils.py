"""Helpers: URLs, secrets, files, locks, logging."""

from __future__ import annotations

import builtins
import io
import json
import logging
import multiprocessing
import os
import socket
import stat
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from proxywhirl import logging_config, utils
from proxywhirl.models import HealthStatus, Proxy, ProxySource
from proxywhirl.utils import (
    CLILock,
    CLILockHeldError,
    atomic_write,
    atomic_write_json,
    calculate_timeout,
    create_proxy_from_url,
    decrypt_credentials,
    encrypt_credentials,
    generate_encryption_key,
    is_valid_proxy_url,
    mask_proxy_url,
    mask_secret_str,
    parse_proxy_url,
    proxy_to_dict,
    scrub_credentials_from_dict,
    validate_proxy_model,
    validate_target_url_safe,
)

GOOD = [
    ("http://h.test:8080", ("http", "h.test", 8080, None, None)),
    ("HTTPS://h.test:1/", ("https", "h.test", 1, None, None)),
    ("socks4://10.0.0.1:65535", ("socks4", "10.0.0.1", 65535, None, None)),
    ("socks5://user:pass@h.test:1080", ("socks5", "h.test", 1080, "user", "pass")),
]
BAD = [
    "",
    "h.test:80",
    "http://h.test",
    "http://h.test:0",
    "http://h.test:99999",
    "ftp://h.test:1",
    "http://:80",
    "http://h.test:1/path",
]


class TestProxyUrls:
    @pytest.mark.parametrize(("url", "parts"), GOOD)
    def test_good(self, url: str, parts: tuple[Any, ...]) -> None:
        assert is_valid_proxy_url(url)
        parsed = parse_proxy_url(url)
        assert tuple(parsed[name] for name in ("protocol", "host", "port", "username", "password")) == parts

    def test_bracketed_ipv6(self) -> None:
        assert is_valid_proxy_url("http://[2001:db8::1]:8080")
        assert parse_proxy_url("http://[2001:db8::1]:8080")["host"].strip("[]") == "2001:db8::1"

    @pytest.mark.parametrize("url", BAD)
    def test_bad(self, url: str) -> None:
        assert not is_valid_proxy_url(url)
        with pytest.raises(ValueError, match="Invalid proxy URL format"):
            parse_proxy_url(url)

    @pytest.mark.parametrize("url", [None, 3, b"http://h.test:1"])
    def test_not_even_text(self, url: Any) -> None:
        assert not is_valid_proxy_url(url)
        with pytest.raises(ValueError, match="Invalid proxy URL format"):
            parse_proxy_url(url)

    @pytest.mark.parametrize(
        "url", ["ftp://u:hunter2@h.test:1", "http://u:hunter2@h.test:0", "http://u:hunter2@h.test"]
    )
    def test_errors_hide_credentials(self, url: str) -> None:
        with pytest.raises(ValueError, match="Invalid proxy URL") as caught:
            parse_proxy_url(url)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__suppress_context__


class TestProxies:
    def test_create(self) -> None:
        proxy = create_proxy_from_url("http://u:p@h.test:8080", source=ProxySource.API, tags=["a", "b"])
        assert (proxy.url, proxy.source, proxy.tags) == ("http://u:p@h.test:8080", ProxySource.API, {"a", "b"})
        assert create_proxy_from_url("http://h.test").source == ProxySource.USER

    @pytest.mark.parametrize("url", ["nonsense", "ftp://u:hunter2@h.test:1", ""])
    def test_create_from_nonsense(self, url: str) -> None:
        with pytest.raises(ValueError, match="Invalid proxy URL") as caught:
            create_proxy_from_url(url)
        assert "hunter2" not in str(caught.value)

    def test_a_consistent_proxy_has_no_problems(self) -> None:
        assert (
            validate_proxy_model(
                Proxy(url="http://u:p@h.test:1", total_requests=3, total_successes=2, total_failures=1)
            )
            == []
        )

    def test_problems_are_named(self) -> None:
        class Odd:
            url = "ftp://u:hunter2@h"
            username, password = "u", None
            total_requests, total_successes, total_failures = 1, 5, -1

        problems = validate_proxy_model(Odd())  # type: ignore[arg-type]
        text = "\n".join(problems)
        assert len(problems) == 4
        for fragment in ("Invalid proxy URL", "Both username and password", "total_failures", "total_requests is 1"):
            assert fragment in text
        assert "hunter2" not in text

    def test_as_a_dictionary(self) -> None:
        moment = datetime(2030, 1, 2, tzinfo=timezone.utc)
        proxy = Proxy(
            url="http://u:hunter2@h.test:1",
            tags={"b", "a"},
            health_status=HealthStatus.HEALTHY,
            total_requests=4,
            total_successes=3,
            total_failures=1,
            last_success_at=moment,
            created_at=moment,
            updated_at=moment,
        )
        shown = proxy_to_dict(proxy)
        stats = shown.pop("stats")
        assert shown == {
            "id": str(proxy.id),
            "url": "http://***:***@h.test:1",
            "protocol": "http",
            "health_status": "healthy",
            "source": "user",
            "tags": ["a", "b"],
            "created_at": "2030-01-02T00:00:00+00:00",
            "updated_at": "2030-01-02T00:00:00+00:00",
        }
        assert stats == {
            "total_requests": 4,
            "total_successes": 3,
            "total_failures": 1,
            "success_rate": 0.75,
            "average_response_time_ms": None,
            "consecutive_failures": 0,
            "last_success_at": "2030-01-02T00:00:00+00:00",
            "last_failure_at": None,
        }
        assert proxy_to_dict(proxy, include_stats=False) == shown
        assert "hunter2" not in json.dumps(proxy_to_dict(proxy))

    def test_timeout_follows_the_speed(self) -> None:
        assert calculate_timeout(Proxy(url="http://h.test")) == 30.0
        assert calculate_timeout(Proxy(url="http://h.test", average_response_time_ms=1000.0)) == pytest.approx(5.0)
        assert calculate_timeout(Proxy(url="http://h.test", average_response_time_ms=0.0)) == pytest.approx(2.0)


class TestMasking:
    @pytest.mark.parametrize(
        ("url", "masked"),
        [
            ("http://u:p@h.test:1", "http://***:***@h.test:1"),
            ("http://u@h.test", "http://***:***@h.test"),
            ("http://h.test:1", "http://h.test:1"),
            ("socks5://u:p@w/x@h.test:1", "socks5://***:***@h.test:1"),
        ],
    )
    def test_urls(self, url: str, masked: str) -> None:
        assert mask_proxy_url(url) == masked
        assert mask_proxy_url(masked) == masked

    def test_secrets_do_not_even_show_their_length(self) -> None:
        assert mask_secret_str("x") == mask_secret_str("a long secret") == mask_secret_str(None) == "***"

    def test_dictionaries(self) -> None:
        data = {
            "user_password": "p",
            "API-KEY": "k",
            "nothing": {"Token": None, "list": [{"secret": "s"}, "see http://u:p@h.test:1", 3]},
            "proxy_credentials": {"a": "b"},
            "username": "u",
            "port": 80,
            "pair": ("http://u:p@h.test:1", 1),
        }
        before = json.dumps(data)
        assert scrub_credentials_from_dict(data) == {
            "user_password": "***",
            "API-KEY": "***",
            "nothing": {"Token": None, "list": [{"secret": "***"}, "see http://***:***@h.test:1", 3]},
            "proxy_credentials": "***",
            "username": "***",
            "port": 80,
            "pair": ("http://***:***@h.test:1", 1),
        }
        assert json.dumps(data) == before


class TestTargets:
    PUBLIC = "93.184.215.14"

    @pytest.fixture(autouse=True)
    def _names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        known = {
            "public.test": [self.PUBLIC],
            "sneaky.test": [self.PUBLIC, "10.0.0.1"],
            "loop.test": ["::1"],
            "scoped.test": ["fe80::1%eth0"],
        }

        def resolve(host: str, port: Any, **_: Any) -> list[Any]:
            if host not in known:
                raise socket.gaierror("no such host")
            return [(0, 0, 0, "", (address, port)) for address in known[host]]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)

    @pytest.mark.parametrize(
        "url", ["http://public.test/x", "https://public.test:8443", f"http://{PUBLIC}", "http://[2606:4700::1111]/"]
    )
    def test_public(self, url: str) -> None:
        validate_target_url_safe(url)

    @pytest.mark.parametrize(
        "url",
        [
            *("http://localhost", "http://LOCALHOST./", "http://a.localhost:1", "http://127.0.0.1", "http://127.9.9.9"),
            *("http://[::1]", "http://0.0.0.0", "http://[::ffff:127.0.0.1]", "http://2130706433", "http://0x7f.1"),
            *("http://0177.0.0.1", "http://127.1", "http://loop.test", "http://[64:ff9b::7f00:1]"),
        ],
    )
    def test_this_machine(self, url: str) -> None:
        with pytest.raises(ValueError, match="Localhost addresses not allowed"):
            validate_target_url_safe(url)
        validate_target_url_safe(url, allow_private=True)

    @pytest.mark.parametrize(
        "url",
        [
            *("http://10.0.0.1", "http://192.168.1.1", "http://172.16.0.1", "http://169.254.169.254/latest"),
            *("http://224.0.0.1", "http://240.0.0.1", "http://100.64.0.1", "http://[fe80::1]", "http://[fd00::1]"),
            *(
                "http://[::ffff:10.0.0.1]",
                "http://printer.local",
                "http://a.internal",
                "http://a.lan.",
                "http://a.corp",
            ),
            *("http://sneaky.test", "http://scoped.test", "http://0xa000001"),
        ],
    )
    def test_the_local_network(self, url: str) -> None:
        with pytest.raises(ValueError, match="Private/internal IP addresses not allowed"):
            validate_target_url_safe(url)
        validate_target_url_safe(url, allow_private=True)

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("h.test/x", "URL must have a scheme"),
            ("ftp://public.test", "only http and https"),
            ("file:///etc/passwd", "only http and https"),
            ("http://", "must have a host"),
            ("http://public.test:99999", "Invalid URL"),
            ("http://[::1", "Invalid URL"),
        ],
    )
    def test_malformed(self, url: str, reason: str) -> None:
        for allow_private in (False, True):
            with pytest.raises(ValueError, match=reason):
                validate_target_url_safe(url, allow_private=allow_private)

    def test_names_that_lead_nowhere(self) -> None:
        with pytest.raises(ValueError, match="cannot be resolved") as caught:
            validate_target_url_safe("http://u:hunter2@nowhere.test/?token=hunter2")
        assert "hunter2" not in str(caught.value)


class TestEncryption:
    @pytest.fixture(autouse=True)
    def _no_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("cryptography")
        monkeypatch.delenv("PROXYWHIRL_KEY", raising=False)

    def test_round_trip(self) -> None:
        key = generate_encryption_key()
        secret = encrypt_credentials("pässword", key)
        assert "pässword" not in secret
        assert decrypt_credentials(secret, key) == decrypt_credentials(secret, key.encode()) == "pässword"

    def test_the_key_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        key = generate_encryption_key()
        monkeypatch.setenv("PROXYWHIRL_KEY", key)
        assert decrypt_credentials(encrypt_credentials("x"), key) == "x"

    def test_no_throw_away_key(self) -> None:
        with pytest.raises(ValueError, match="PROXYWHIRL_KEY"):
            encrypt_credentials("x")

    def test_wrong_keys(self) -> None:
        from cryptography.fernet import InvalidToken

        secret = encrypt_credentials("x", generate_encryption_key())
        with pytest.raises(InvalidToken, match="another key"):
            decrypt_credentials(secret, generate_encryption_key())
        with pytest.raises(ValueError, match="not a Fernet key") as caught:
            encrypt_credentials("x", "almost-a-key")
        assert "almost" not in str(caught.value)
        assert caught.value.__suppress_context__

    def test_a_missing_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = builtins.__import__

        def without(module: str, *args: Any, **kwargs: Any) -> Any:
            if module.startswith("cryptography"):
                raise ImportError(module)
            return real(module, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(ImportError, match=r"proxywhirl-rs\[security\]"):
            generate_encryption_key()


class TestFiles:
    def test_text_bytes_and_json(self, tmp_path: Path) -> None:
        file = tmp_path / "f"
        atomic_write(file, "grün")
        assert file.read_bytes() == "grün".encode()
        atomic_write(str(file), "grün", "latin-1")
        assert file.read_bytes() == b"gr\xfcn"
        atomic_write(file, b"\x00")
        assert file.read_bytes() == b"\x00"
        atomic_write_json(file, {"b": 1, "a": "ü"}, sort_keys=True, ensure_ascii=False)
        assert file.read_text(encoding="utf-8") == '{"a": "ü", "b": 1}'
        assert os.listdir(tmp_path) == ["f"]

    def test_permissions(self, tmp_path: Path) -> None:
        def mode(file: Path) -> int:
            return stat.S_IMODE(file.stat().st_mode)

        umask = os.umask(0o027)
        try:
            atomic_write(tmp_path / "new", "x")
        finally:
            os.umask(umask)
        assert mode(tmp_path / "new") == 0o640
        atomic_write(tmp_path / "secret", "x", mode=0o600)
        assert mode(tmp_path / "secret") == 0o600
        (tmp_path / "old").write_text("x")
        (tmp_path / "old").chmod(0o604)
        atomic_write(tmp_path / "old", "y")
        assert mode(tmp_path / "old") == 0o604

    def test_a_failure_leaves_everything_as_it_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "f"
        file.write_text("old")
        with pytest.raises(TypeError):
            atomic_write_json(file, {"x": object()})

        def fail(*_: Any) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            atomic_write(file, "new")
        assert file.read_text() == "old"
        assert os.listdir(tmp_path) == ["f"]

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "real").write_text("old")
        (tmp_path / "link").symlink_to(tmp_path / "real")
        atomic_write(tmp_path / "link", "new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").read_text() == "new"

    def test_readers_never_see_half_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "f"
        texts = ["a" * 100_000, "b" * 100_000]
        atomic_write(file, texts[0])
        done = threading.Event()

        def write() -> None:
            for turn in range(50):
                atomic_write(file, texts[turn % 2])
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        seen = set()
        while not done.is_set():
            seen.add(file.read_text())
        writer.join()
        assert seen <= set(texts)


def _hold(folder: str, ready: Any, finish: Any) -> None:
    with CLILock(folder):
        ready.set()
        finish.wait(30)


class TestLock:
    def test_one_at_a_time(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        context = multiprocessing.get_context("spawn")
        ready, finish = context.Event(), context.Event()
        other = context.Process(target=_hold, args=(str(tmp_path / "config"), ready, finish))
        other.start()
        try:
            assert ready.wait(30)
            with pytest.raises(SystemExit) as caught, CLILock(tmp_path / "config"):
                pytest.fail("two processes held the lock")
        finally:
            finish.set()
            other.join(30)
        assert isinstance(caught.value, CLILockHeldError)
        assert caught.value.code == 4
        assert f"process {other.pid}" in capsys.readouterr().err
        with CLILock(tmp_path / "config"):
            pass

    def test_within_one_process_too(self, tmp_path: Path) -> None:
        lock = CLILock(tmp_path)
        with lock:
            lock.acquire()  # the holder may ask again
            with pytest.raises(CLILockHeldError, match="another proxywhirl command"):
                CLILock(tmp_path).acquire()
        lock.release()  # and let go twice
        with CLILock(tmp_path):
            pass


@pytest.fixture
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("proxywhirl")
    before = (logger.level, list(logger.handlers), logger.propagate)
    yield
    logging_config._remove(logger)
    logger.setLevel(before[0])
    assert (list(logger.handlers), logger.propagate) == before[1:]


@pytest.mark.usefixtures("_quiet")
class TestLogging:
    def lines(self, format: Any, **options: Any) -> list[str]:
        stream = io.StringIO()
        logging_config.configure_logging(format, "DEBUG", sink=stream, **options)
        logger = logging_config.get_logger("pool")
        logger.debug("added %s", "http://u:hunter2@h.test:1", extra={"proxy_url": "http://u:hunter2@h.test:1", "n": 1})
        try:
            raise ValueError("http://u:hunter2@h.test:1")
        except ValueError:
            logger.exception("failed")
        return stream.getvalue().splitlines()

    def test_json(self) -> None:
        first, second = (json.loads(line) for line in self.lines("json"))
        assert first.pop("timestamp").endswith("+00:00")
        assert first.pop("line") > 0
        assert first == {
            "level": "DEBUG",
            "message": "added http://***:***@h.test:1",
            "module": "test_utils",
            "function": "lines",
            "extra": {"proxy_url": "http://***:***@h.test:1", "n": 1},
        }
        assert second["exception"].startswith("Traceback")
        assert "extra" not in second
        assert "hunter2" not in second["exception"]

    @pytest.mark.parametrize("format", ["default", "text", "logfmt", "json", "auto"])
    def test_no_format_shows_secrets(self, format: str) -> None:
        text = "\n".join(self.lines(format))
        assert "h.test:1" in text
        assert "hunter2" not in text
        assert "hunter2" in "\n".join(self.lines(format, redact_credentials=False))

    def test_text_and_logfmt(self) -> None:
        assert self.lines("text")[0].endswith(
            "DEBUG    proxywhirl.pool: added http://***:***@h.test:1 proxy_url=http://***:***@h.test:1 n=1"
        )
        assert (
            'message="added http://***:***@h.test:1" proxy_url=http://***:***@h.test:1 n=1' in self.lines("logfmt")[0]
        )

    def test_tracebacks_can_be_short(self) -> None:
        assert "Traceback" not in "\n".join(self.lines("text", backtrace=False))

    def test_colour(self) -> None:
        assert "\x1b[" in self.lines("text", colorize=True)[0]
        assert "\x1b[" not in self.lines("text")[0]

    def test_only_our_logger_is_touched_and_only_once(self) -> None:
        root = list(logging.getLogger().handlers)
        logger = logging.getLogger("proxywhirl")
        before = len(logger.handlers)
        for _ in range(3):
            utils.configure_logging("WARNING", "json")
        assert len(logger.handlers) == before + 1
        assert logging.getLogger().handlers == root
        assert logger.level == logging.WARNING

    def test_wrong_arguments_change_nothing(self) -> None:
        utils.configure_logging("ERROR")
        logger = logging.getLogger("proxywhirl")
        before = (logger.level, list(logger.handlers))
        for wrong in (
            {"level": "chatty"},
            {"format": "xml"},
            {"backend": "x"},
            {"rotation": "soon", "sink": os.devnull},
        ):
            with pytest.raises(ValueError):
                logging_config.configure_logging(**wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="format_type"):
            utils.configure_logging(format_type="logfmt")  # type: ignore[arg-type]
        assert (logger.level, list(logger.handlers)) == before

    @pytest.mark.parametrize("enqueue", [True, False])
    def test_files_rotate(self, tmp_path: Path, enqueue: bool) -> None:
        file = tmp_path / "log"
        logging_config.configure_logging("json", sink=file, rotation="1 KB", retention=2, enqueue=enqueue)
        logger = logging_config.get_logger()
        for number in range(40):
            logger.info("line %d", number)
        logging_config._remove(logger)
        assert sorted(os.listdir(tmp_path)) == ["log", "log.1", "log.2"]
        assert json.loads(file.read_text().splitlines()[-1])["message"] == "line 39"

    def test_context(self) -> None:
        stream = io.StringIO()
        logging_config.configure_logging("json", sink=stream)
        logger = logging_config.get_logger()
        with logging_config.LogContext(job="a", step=1), logging_config.LogContext(step=2):
            logger.info("inside", extra={"job": "own"})
        logger.info("outside")
        logging_config.bind_context(logger, who="me").info("bound", extra={"n": 1})
        extras = [json.loads(line).get("extra") for line in stream.getvalue().splitlines()]
        assert extras == [{"job": "own", "step": 2}, None, {"who": "me", "n": 1}]

    @pytest.mark.parametrize(
        ("name", "full"), [(None, "proxywhirl"), ("pool", "proxywhirl.pool"), ("proxywhirl.pool", "proxywhirl.pool")]
    )
    def test_names(self, name: Any, full: str) -> None:
        assert logging_config.get_logger(name).name == full

    def test_loguru(self) -> None:
        loguru = pytest.importorskip("loguru")
        seen: list[Any] = []
        sink = loguru.logger.add(lambda message: seen.append(message.record), level=0, catch=False)
        try:
            logging_config.configure_logging(backend="loguru")
            logging_config.get_logger("pool").warning("at http://u:hunter2@h.test {}", extra={"n": 1})
        finally:
            loguru.logger.remove(sink)
        assert [record["message"] for record in seen] == ["at http://***:***@h.test {}"]
        assert seen[0]["extra"] == {"n": 1}
        assert seen[0]["name"] == "proxywhirl.pool"

    def test_a_missing_loguru_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "loguru", None)
        with pytest.raises(ImportError, match=r"proxywhirl-rs\[loguru\]"):
            utils.configure_logging(backend="loguru")


def test_everything_documented_is_exported() -> None:
    assert utils.__all__ == sorted(utils.__all__, key=lambda name: (not name[0].isupper(), name))
    assert all(hasattr(utils, name) for name in utils.__all__)
