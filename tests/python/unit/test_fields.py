"""One table of a proxy's fields (``src/proxy/table.rs``): every place that knows fields knows each of them.

A line that is added to the table passes here without more; a field with rules of its own fails until the constructor, the
attribute, the dump, the validation and the saved form have it too.
"""

from __future__ import annotations

import ast
import asyncio
import pickle
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pydantic
import pytest

import proxywhirl
from proxywhirl import GeoLocation, HealthStatus, Proxy, ProxySource
from proxywhirl._native.fields import MODELS, REQUIRED, FieldSpec
from proxywhirl.storage import FileStorage

WHEN = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
FIELDS = MODELS["Proxy"].fields

BY_TYPE: dict[str, Any] = {
    "int": 7,
    "bool": True,
    "float": 0.5,
    "str": "socks5://proxy.test:1080",
    "datetime": WHEN,
    "Dict[str, Any]": {"key": 1},
    "HealthStatus": HealthStatus.DEGRADED,
    "ProxySource": ProxySource.API,
    "Set[str]": {"tag"},
    "UUID": "00000000-0000-4000-8000-000000000007",
    "Optional[int]": 3600,
    "Optional[float]": 12.5,
    "Optional[str]": "DE",
    "Optional[datetime]": WHEN,
    "Optional[HttpUrl]": "https://lists.test/http.txt",
    "Optional[SecretStr]": "alice",
    "Optional[GeoLocation]": {"country_code": "DE", "region": "DE", "city": "Bonn"},
    "Optional[Literal['http', 'https', 'socks4', 'socks5']]": "socks5",
}
"""A value of each type that is not the default of any field."""

#: Fields that need a second one beside them.
TOGETHER = {"username": {"password": "alice"}, "password": {"username": "alice"}}
#: What is in flight ends with the process, and so do starts without an end.
NOT_SAVED = {"requests_active", "requests_started"}


def sample(field: FieldSpec) -> Any:
    return BY_TYPE[field.annotation]


def with_field(field: FieldSpec) -> Proxy:
    given: dict[str, Any] = {
        "url": "socks5://proxy.test:1080",
        **TOGETHER.get(field.name, {}),
        field.name: sample(field),
    }
    return Proxy(**given)


def plain(value: Any) -> Any:
    """A value as it compares: secrets and ids as text, models as dicts without what was not given."""
    if isinstance(value, pydantic.SecretStr):
        return value.get_secret_value()
    if isinstance(value, GeoLocation):
        return value.model_dump(exclude_none=True)
    return value if isinstance(value, (int, float, bool, dict, set, datetime, type(None))) else str(value)


@pytest.fixture(params=FIELDS, ids=lambda field: field.name)
def field(request: pytest.FixtureRequest) -> FieldSpec:
    spec: FieldSpec = request.param
    return spec


def test_the_native_class_has_the_fields_of_the_table_and_no_other() -> None:
    assert list(Proxy._fields()) == [field.name for field in FIELDS]
    assert list(Proxy.model_fields) == [field.name for field in FIELDS]


def test_the_stub_of_the_constructor_names_each_of_them_once() -> None:
    module = ast.parse((Path(proxywhirl.__file__).parent / "_core.pyi").read_text("utf-8"))
    (proxy,) = (node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "Proxy")
    (new,) = (node for node in proxy.body if isinstance(node, ast.FunctionDef) and node.name == "__new__")
    keywords = [argument.arg for argument in new.args.kwonlyargs]
    assert sorted(keywords) == sorted(field.name for field in FIELDS if field.name != "url")


def test_the_constructor_takes_it_and_the_attribute_has_it(field: FieldSpec) -> None:
    assert plain(getattr(with_field(field), field.name)) == plain(sample(field))


def test_the_default_is_that_of_the_table(field: FieldSpec) -> None:
    fresh = getattr(Proxy(url="http://proxy.test:80"), field.name)
    if field.name == "protocol":
        assert fresh == "http", "read from the URL"
    elif field.factory is not None:
        expected = field.factory()
        assert isinstance(fresh, type(expected))
        if isinstance(expected, (set, dict, list)):
            assert fresh == expected
    elif field.default is not REQUIRED:
        assert fresh == field.default


def test_the_attribute_can_be_assigned(field: FieldSpec) -> None:
    proxy = Proxy(url="http://proxy.test:80")
    for name, value in TOGETHER.get(field.name, {}).items():
        setattr(proxy, name, value)
    setattr(proxy, field.name, sample(field))
    assert plain(getattr(proxy, field.name)) == plain(sample(field))


def test_a_value_of_another_type_is_refused_by_the_name_of_the_field(field: FieldSpec) -> None:
    given: dict[str, Any] = {"url": "http://proxy.test:80", **TOGETHER.get(field.name, {}), field.name: object()}
    if field.name == "source_url":
        assert Proxy(**given).source_url is not None, "any object that prints as text is taken: pydantic's URLs do"
        return
    with pytest.raises(pydantic.ValidationError) as caught:
        Proxy(**given)
    named = {str(error["loc"][0]) for error in caught.value.errors()}
    assert named & {field.name, *TOGETHER.get(field.name, {})}


def test_it_is_dumped_validated_and_pickled(field: FieldSpec) -> None:
    proxy = with_field(field)
    assert field.name in proxy.model_dump()
    assert field.name in Proxy.model_json_schema()["properties"]
    expected = plain(getattr(proxy, field.name))
    assert plain(getattr(Proxy.model_validate(proxy.model_dump()), field.name)) == expected
    assert plain(getattr(pickle.loads(pickle.dumps(proxy)), field.name)) == expected


@pytest.mark.filterwarnings("ignore::proxywhirl.storage.ClearTextWarning")
def test_it_is_saved(field: FieldSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXYWHIRL_KEY", raising=False)
    kept = FileStorage(tmp_path / "proxies.json")
    asyncio.run(kept.save([with_field(field)]))
    (loaded,) = asyncio.run(kept.load())
    if field.name in NOT_SAVED:
        assert plain(getattr(loaded, field.name)) != plain(sample(field))
    else:
        assert plain(getattr(loaded, field.name)) == plain(sample(field))
