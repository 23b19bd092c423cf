"""Countries of proxies, from databases written here."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from proxywhirl import ProxyPool, ProxyRotator
from proxywhirl.geo import locate

pytest.importorskip("maxminddb")

_spec = importlib.util.spec_from_file_location("mmdb_writer", Path(__file__).with_name("mmdb.py"))
assert _spec is not None
assert _spec.loader is not None
mmdb = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mmdb)

FRANKFURT = {
    "country": {"iso_code": "DE", "names": {"en": "Germany"}},
    "subdivisions": [{"iso_code": "HE", "names": {"en": "Hesse"}}],
    "city": {"names": {"en": "Frankfurt am Main"}},
    "location": {"latitude": 50.11, "longitude": 8.68, "time_zone": "Europe/Berlin"},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.mmdb"
    path.write_bytes(
        mmdb.database(
            {
                "81.2.69.0/24": FRANKFURT,
                "82.0.0.0/8": {"country": {"iso_code": "US"}},
                "83.0.0.0/8": {"country_code": "fr", "country": "France"},
                "84.0.0.0/8": {"registered_country": {"iso_code": "SE"}},
                "85.0.0.0/8": {"city": {"names": {"en": "Nowhere"}}},
                "2001:db9::/32": {"country": {"iso_code": "JP"}},
            }
        )
    )
    return path


def test_places(path: Path) -> None:
    pool = ProxyPool(
        proxies=[
            "http://81.2.69.7:80",
            "http://82.1.1.1:80",
            "http://83.1.1.1:80",
            "http://84.1.1.1:80",
            "http://[2001:db9::7]:80",
            "http://85.1.1.1:80",
            "http://9.9.9.9:80",
            "http://name.test:80",
        ]
    )
    assert locate(pool, path) == 5
    assert [proxy.country_code for proxy in pool.proxies] == ["DE", "US", "FR", "SE", "JP", None, None, None]
    first = pool.proxies[0]
    assert first.region == "Hesse"
    assert first.geo_location is not None
    assert (first.geo_location.city, first.geo_location.latitude) == ("Frankfurt am Main", 50.11)
    assert first.geo_location.timezone == "Europe/Berlin"
    assert [proxy.url for proxy in pool.filter_by_country("US")] == ["http://82.1.1.1:80"]


def test_what_a_list_says_stays(path: Path) -> None:
    pool = ProxyPool(proxies=["http://82.1.1.1:80"])
    pool.proxies[0].country_code = "CA"
    assert locate(pool, path) == 0
    assert pool.proxies[0].country_code == "CA"
    assert locate(pool.get_all_proxies(), path, overwrite=True) == 1
    assert pool.proxies[0].country_code == "US"


def test_a_database_of_ipv4(tmp_path: Path) -> None:
    path = tmp_path / "four.mmdb"
    path.write_bytes(mmdb.database({"82.0.0.0/8": {"country": {"iso_code": "US"}}}, version=4))
    pool = ProxyPool(proxies=["http://[2001:db9::7]:80", "http://82.1.1.1:80"])
    assert locate(pool, path) == 1


def test_a_database_that_is_replaced(path: Path) -> None:
    pool = ProxyPool(proxies=["http://82.1.1.1:80", "http://82.1.1.2:80"])
    locate(pool.get_all_proxies()[:1], path)
    path.write_bytes(mmdb.database({"82.0.0.0/8": {"country": {"iso_code": "MX"}}}))
    locate(pool, path)
    assert [proxy.country_code for proxy in pool.proxies] == ["US", "MX"]


def test_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        locate([], tmp_path / "absent.mmdb")
    (tmp_path / "bad.mmdb").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="MaxMind"):
        locate([], tmp_path / "bad.mmdb")
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    with pytest.raises(ImportError, match=r"proxywhirl-rs\[geo\]"):
        locate([], tmp_path / "bad.mmdb")


@pytest.mark.parametrize("record", [{}, {"country": 3}, {"country": {"iso_code": "DEU"}}, ["DE"], "DE"])
def test_records_without_a_country(record: Any, tmp_path: Path) -> None:
    path = tmp_path / "odd.mmdb"
    path.write_bytes(mmdb.database({"82.0.0.0/8": record}))
    pool = ProxyPool(proxies=["http://82.1.1.1:80"])
    assert locate(pool, path) == 0


def test_in_a_rotator(path: Path, tmp_path: Path) -> None:
    rotator = ProxyRotator(proxies=["http://82.1.1.1:80"], geo_database=path)
    rotator.add_proxy("http://81.2.69.1:80")
    rotator.add_proxies(["http://84.1.1.1:80"])
    assert [proxy.country_code for proxy in rotator.pool.proxies] == ["US", "DE", "SE"]
    with rotator.lease(country="DE") as lease:
        assert lease.proxy.url == "http://81.2.69.1:80"
    rotator.save(tmp_path / "p.json")
    again = ProxyRotator.from_file(tmp_path / "p.json")
    place = again.pool.proxies[1].geo_location
    assert place is not None
    assert (place.city, again.pool.proxies[0].country_code) == ("Frankfurt am Main", "US")
    (tmp_path / "list.json").write_text('["http://82.3.3.3:80"]')
    assert ProxyRotator.from_file(tmp_path / "list.json", geo_database=path).pool.proxies[0].country_code == "US"
