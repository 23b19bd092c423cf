"""A refresh that fails in any way ends, is reported, and is followed by others."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from proxywhirl import ProxyPool, ProxyRotator
from proxywhirl.fetchers import ProxyFetcher
from proxywhirl.fetchers.parsers import parse_proxies

BROKEN_QUOTES = [
    '"é',
    '"',
    '""',
    '"é"',
    'é"',
    '"\u20ac\n"',
    '"1.2.3.4:80\n"é',
    '["é',
    "[é",
    "[",
    "[]é",
    "[[é]]",
    "{é",
    "<é",
]


@pytest.mark.parametrize("text", BROKEN_QUOTES)
def test_no_text_ends_the_reader(text: str) -> None:
    parsed = parse_proxies(text)
    assert len(parsed) in (0, 1)
    assert parsed.accepted + parsed.rejected_count + parsed.blank == parsed.lines
    ProxyPool().load(text)


class Ends(BaseException):
    """What no `except Exception` catches."""


def stubborn(first: BaseException) -> Any:
    """A parser that raises once."""
    failures = [first]

    def parse(text: str) -> list[str]:
        if failures:
            raise failures.pop()
        return text.split()

    return parse


@pytest.mark.parametrize("error", [ValueError("no"), Ends("no"), SystemExit(3), GeneratorExit(), MemoryError()])
def test_a_refresh_goes_on_after_any_failure(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "list.txt"
    path.write_text("127.0.0.1:9999\n")
    fetcher = ProxyFetcher([{"url": path, "custom_parser": stubborn(error)}], validate_before_add=False)
    with ProxyRotator(auto_fetch_sources=fetcher) as rotator:
        done: list[object] = []

        def refresh() -> None:
            try:
                done.append(rotator.refresh_proxies())
            except Exception as failure:
                done.append(failure)

        for _ in range(2):
            thread = threading.Thread(target=refresh, daemon=True)
            thread.start()
            thread.join(30)
            assert not thread.is_alive(), "the refresh hangs"
        assert len(rotator.pool) == 1
        assert len(done) == 2


def test_a_fault_outside_of_reading_reaches_the_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list.txt"
    path.write_text("127.0.0.1:9999\n")
    fetcher = ProxyFetcher([path], validate_before_add=False)
    with ProxyRotator(auto_fetch_sources=fetcher) as rotator:
        assert len(rotator.refresh_proxies()) == 1
        monkeypatch.setattr(fetcher.register, "enabled", lambda: 1 / 0)
        began = time.monotonic()
        with pytest.raises((ZeroDivisionError, RuntimeError)):
            rotator.refresh_proxies()
        monkeypatch.undo()
        assert len(rotator.refresh_proxies()) == 1
        assert time.monotonic() - began < 60
