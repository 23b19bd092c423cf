"""The site of a URL: one key for all spellings of one registrable domain."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxywhirl._core import site_key


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://www.example.com/a/b?c=d#e", "example.com"),
        ("https://USER:secret@API.Example.COM:8443/x", "example.com"),
        ("http://example.com./", "example.com"),
        ("https://shop.example.co.uk", "example.co.uk"),
        ("https://co.uk/", "co.uk"),
        ("https://someone.github.io/x", "someone.github.io"),
        ("http://shop.münchen.de", "xn--mnchen-3ya.de"),
        ("http://shop.xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("http://localhost:8000/x", "localhost"),
        ("http://10.1.2.3:8000/x", "10.1.2.3"),
        ("http://[2001:DB8::1]:8000/x", "2001:db8::1"),
        ("example.com:443", "example.com"),
        ("http://example.com/?to=http://other.org/@x", "example.com"),
    ],
)
def test_key_is_the_registrable_domain_or_the_host(url: str, key: str) -> None:
    assert site_key(url) == key


@pytest.mark.parametrize("url", ["", "http://", "http:///path", "http://:80/", "http://user@/", "http://[::1"])
def test_a_url_without_a_host_has_no_site(url: str) -> None:
    with pytest.raises(ValueError, match="no host"):
        site_key(url)


labels = st.text(string.ascii_letters + string.digits, min_size=1, max_size=12).map(lambda text: "a" + text)


@given(labels, labels, st.integers(1, 65535), st.sampled_from(["", "/", "/x@y:z", "?q=http://b.org", "#f"]))
def test_host_port_case_user_and_path_do_not_matter(name: str, sub: str, port: int, rest: str) -> None:
    key = f"{name.lower()}.com"
    for host in (f"{name}.com", f"{sub}.{name}.COM", f"{sub}.{sub}.{name}.com."):
        assert site_key(f"https://me:p{port}@{host}:{port}{rest}") == key


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    try:
        key = site_key(text)
    except ValueError:
        return
    # What is a key once is one for ever.
    assert key
    if ":" not in key and not set(key) & set("/?#@\\[]%") and key == key.strip() and not key.endswith("."):
        assert site_key(f"http://{key}/") == key
