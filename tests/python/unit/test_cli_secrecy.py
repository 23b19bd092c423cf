"""What the command line says, without the secrets that it was given."""

from __future__ import annotations

import base64

import pytest

from proxywhirl.cli.secrecy import Secrecy

URL = "http://scott:t%2Figer99@10.0.0.1:80"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["check", URL], "no proxy at t/iger99"),
        (["check", URL], "no proxy at t%2figer99"),
        (["check", URL], f"sent {base64.b64encode(b'scott:t/iger99').decode()}"),
        (["check", f"proxies: {URL}"], "quoted 't/iger99'"),
        (["get", "-p", "se-cret"], "bad password se-cret!"),
        (["get", "--password=se-cret"], "bad password se-cret!"),
        (["get", "-pse-cret"], "bad password se-cret!"),
        (["get", "-H", "X-Key: se-cret"], "no header se-cret"),
        (["get", "--data", "a=se-cret"], "sent a%3Dse-cret"),
    ],
)
def test_a_secret_is_hidden_in_every_spelling(words: list[str], text: str) -> None:
    shown = Secrecy(words).hide(text)
    assert "***" in shown
    for part in ("iger99", "se-cret", "dC9pZ2Vy", "c2NvdHQ6dC9pZ2VyOTk"):
        assert part not in shown


def test_a_long_secret_goes_before_its_parts() -> None:
    assert Secrecy(["get", "-p", "abcd", "-H", "xxabcdyy"]).hide("sent xxabcdyy") == "sent ***"


def test_what_is_no_secret_stays() -> None:
    assert Secrecy(["check", URL, "--timeout", "17"]).hide("10.0.0.1:80 timed out after 17 s") == (
        "10.0.0.1:80 timed out after 17 s"
    )
    assert Secrecy([]).hide("nothing was given") == "nothing was given"
