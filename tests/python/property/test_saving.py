"""Files of proxies: what is saved is loaded, and whatever is done to a file, it is read or refused, never quoted."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxywhirl import Proxy, ProxyPool
from proxywhirl.storage._pool_file import PoolFile
from proxywhirl.storage._vault import Vault

text = st.text(max_size=12)
amount = st.none() | st.floats(min_value=0, max_value=1e9)
count = st.integers(min_value=0, max_value=2**40)
json_value: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
proxies = st.builds(
    Proxy,
    url=st.sampled_from(["http://a.test:1", "https://[2001:db9::1]:2", "socks4://1.2.3.4", "SOCKS5H://B.test:9/"]),
    health_status=st.sampled_from(["unknown", "healthy", "degraded", "unhealthy", "dead"]),
    total_requests=count,
    total_successes=count,
    total_failures=count,
    consecutive_failures=st.integers(0, 2**31),
    ema_response_time_ms=amount,
    average_response_time_ms=amount,
    latency_ms=amount,
    cost_per_request=amount,
    country_code=st.none() | text,
    region=st.none() | text,
    tags=st.sets(text, max_size=3),
    metadata=st.dictionaries(text, json_value, max_size=3),
    last_health_error=st.none() | text,
    last_success_at=st.none() | st.datetimes().filter(lambda at: at.year > 1970),
)


def fields(proxy: Proxy) -> dict[str, Any]:
    dumped: dict[str, Any] = json.loads(proxy.model_dump_json(reveal=True))
    return dumped


@given(
    proxy=proxies,
    login=st.none() | st.tuples(st.text(min_size=1), st.text(min_size=1)),
    name=st.sampled_from(["p.json", "p.jsonl"]),
)
@settings(max_examples=150, deadline=None)
def test_round_trip(proxy: Proxy, login: tuple[str, str] | None, name: str) -> None:
    if login is not None and not any(part.strip("*") == "" for part in login):
        proxy.username, proxy.password = login
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        vault = Vault()
        vault._warned = True
        PoolFile(path, vault).save(ProxyPool(proxies=[proxy]))
        (loaded,) = ProxyPool.from_file(path).proxies
    assert fields(loaded) == fields(proxy)


WHOLE = json.dumps(
    {
        "version": "1.0",
        "proxies": [
            {"url": "http://a.test:1", "username": "user", "password": "hunter2", "total_requests": 3, "tags": ["x"]},
            "http://user:hunter2@b.test:2",
        ],
        "config": {"strategy": "random"},
    }
)


@given(
    at=st.integers(0, len(WHOLE) - 1),
    length=st.integers(0, 40),
    insert=st.binary(max_size=4) | st.sampled_from([b'"', b"{", b"]", b"null", b"\n", b"1e999", b"\x1f\x8b"]),
)
@settings(max_examples=400, deadline=None)
def test_damage_anywhere(at: int, length: int, insert: bytes) -> None:
    data = WHOLE.encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.json"
        path.write_bytes(data[:at] + insert + data[at + length :])
        try:
            pool = ProxyPool.from_file(path)
        except ValueError as error:
            assert "hunter2" not in f"{error} {error.__cause__}"
        else:
            assert pool.size <= 2
