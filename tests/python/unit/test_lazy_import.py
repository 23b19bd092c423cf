"""``import proxywhirl`` is cheap, and every public name can be had from it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import proxywhirl
from proxywhirl.testing import ProxyFleet

HEAVY = (
    "typing",
    "re",
    "uuid",
    "httpx",
    "pydantic",
    "pydantic_settings",
    "asyncio",
    "logging",
    "dataclasses",
    "inspect",
    "rich",
    "yaml",
)


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_brings_in_nothing_heavy() -> None:
    # Compared with a bare interpreter, because site hooks of the environment may have imported something already.
    code = "import sys; before = set(sys.modules); import proxywhirl; print(*sorted(set(sys.modules) - before))"
    imported = run(code).split()
    assert [name for name in HEAVY if name in imported] == []


def test_a_rotator_is_imported_without_what_only_requests_need() -> None:
    code = """
import sys
before = set(sys.modules)
from proxywhirl import ProxyRotator
print(*sorted(set(sys.modules) - before))
"""
    imported = run(code).split()
    heavy = ("asyncio", "dataclasses", "httpcore", "httpx", "inspect", "pydantic", "ssl", "typing_extensions", "uuid")
    assert [name for name in heavy if name in imported] == []
    # Each costs about a millisecond. More of them need a reason.
    assert sum(name.split(".")[0] == "proxywhirl" for name in imported) <= 30


def test_requests_of_the_native_engine_do_without_httpcore() -> None:
    code = """
import asyncio, sys
from proxywhirl import AsyncProxyRotator, ProxyConnectionError, ProxyRotator, RetryPolicy
from proxywhirl.testing import ProxyFleet

async def get(fleet, url):
    async with AsyncProxyRotator(proxies=fleet.urls, engine="native") as rotator:
        return (await rotator.get(url)).status_code

with ProxyFleet(1) as fleet:
    url = fleet.site_url("shop.test", "/whoami")
    with ProxyRotator(proxies=fleet.urls, engine="native") as rotator:
        print(rotator.get(url).status_code, asyncio.run(get(fleet, url)))
once = RetryPolicy(max_attempts=1)
for url in ("http://shop.test/", "https://shop.test/"):
    with ProxyRotator(proxies=["http://127.0.0.1:1"], engine="native", retry_policy=once) as rotator:
        try:
            rotator.get(url)
        except ProxyConnectionError as error:
            print(type(error.__cause__).__name__, end=" ")
print()
print(*sorted({name.split(".")[0] for name in sys.modules} & {"anyio", "h11", "httpcore", "httpcore2"}))
with ProxyRotator(proxies=["http://127.0.0.1:1"], engine="httpx") as rotator:
    print("httpcore" in sys.modules or "httpcore2" in sys.modules)
"""
    answers, failures, imported, by_httpx = run(code).split("\n")[:4]
    assert answers == "200 200"
    assert failures.split() == ["ConnectError", "ConnectError"]
    assert imported == ""
    assert by_httpx == "True"


def test_a_synchronous_request_does_without_pydantic_and_asyncio() -> None:
    with ProxyFleet(1) as fleet:
        proxy, page = fleet.urls[0], fleet.site_url("shop.test", "/whoami")
        code = f"""
import os, sys
os.environ["PROXYWHIRL_ENGINE"] = "native"
from proxywhirl import ProxyRotator
with ProxyRotator(proxies=[{proxy!r}]) as rotator:
    print(rotator.get({page!r}).status_code)
    print(*sorted({{"asyncio", "pydantic", "pydantic_settings"}} & set(sys.modules)))
    # Who asks gets the objects that there always were.
    print(type(rotator.config).__name__, rotator.config.timeout, rotator.config is rotator.config)
    print(type(rotator.retry_policy).__name__, rotator.retry_policy is rotator.retry_policy)
    rotator.retry_policy.max_attempts = 1
    print(rotator.retry_policy.max_attempts, rotator.get({page!r}).status_code)
"""
        printed = run(code).split("\n")
    assert printed[:5] == ["200", "", "ProxyConfiguration 30 True", "RetryPolicy True", "1 200"]


def test_what_is_said_where_nothing_is_said_is_said_once() -> None:
    from proxywhirl import ProxyConfiguration, RetryPolicy
    from proxywhirl.config._defaults import Defaults
    from proxywhirl.retry._unset import UNSET, Unset

    configuration = ProxyConfiguration()
    told = {name for name in vars(Defaults) if not name.startswith("_")}
    assert told - {"model_fields_set"} == set(ProxyConfiguration.model_fields)
    for name in ProxyConfiguration.model_fields:
        expected = getattr(configuration, name)
        assert getattr(Defaults, name) == (str(expected) if name == "health_check_url" else expected), name
    policy = RetryPolicy()
    assert {name for name in vars(Unset) if not name.startswith("_")} == set(RetryPolicy.model_fields)
    for name in RetryPolicy.model_fields:
        found = getattr(UNSET, name)
        assert (list(found) if isinstance(found, tuple) else found) == getattr(policy, name), name


@pytest.mark.parametrize(("variable", "found"), [("PROXYWHIRL_TIMEOUT", 11), ("proxywhirl_timeout", 11), ("X", 30)])
def test_settings_of_the_environment_count(variable: str, found: int) -> None:
    code = f"""
import os
os.environ[{variable!r}] = "11"
from proxywhirl import ProxyRotator
rotator = ProxyRotator(proxies=["http://a.test:1"])
print(rotator._config.timeout, rotator.config.timeout)
"""
    assert run(code).split() == [str(found)] * 2


def test_native_objects_work_without_pydantic_and_httpx() -> None:
    code = """
import sys
from proxywhirl import ProxyPool, RoundRobinStrategy
pool = ProxyPool(name="p")
pool.add_proxy("http://a.test:1")
strategy = RoundRobinStrategy()
strategy.record_result(strategy.select(pool), True, 1.0)
print("pydantic" in sys.modules, "httpx" in sys.modules)
"""
    assert run(code).split() == ["False", "False"]


@pytest.mark.parametrize("name", proxywhirl.__all__)
def test_every_public_name_imports(name: str) -> None:
    assert getattr(proxywhirl, name) is getattr(proxywhirl, name)


def test_names_are_unique_and_shown() -> None:
    # Their order is the linter's to look after: constants, classes, functions.
    assert len(proxywhirl.__all__) == len(set(proxywhirl.__all__))
    assert set(proxywhirl.__all__) <= set(dir(proxywhirl))


def test_table_imports_and_all_say_the_same() -> None:
    source = Path(proxywhirl.__file__).read_text(encoding="utf-8")
    for_checkers: dict[str, str] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.If):
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                if statement.module == "typing":
                    continue
                for alias in statement.names:
                    for_checkers[alias.name] = statement.module or ""
    assert for_checkers == {name: module for module, names in proxywhirl._HOMES.items() for name in names.split()}
    assert {*for_checkers, "__version__"} == set(proxywhirl.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchThing"):
        _ = proxywhirl.NoSuchThing  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        from proxywhirl import NoSuchThing  # type: ignore[attr-defined]  # noqa: F401


def test_aliases_are_the_same_objects() -> None:
    assert proxywhirl.SessionStrategy is proxywhirl.SessionPersistenceStrategy
    assert proxywhirl.ComposedStrategy is proxywhirl.CompositeStrategy
    assert proxywhirl.WeightedRandomStrategy is proxywhirl.WeightedStrategy
    assert proxywhirl.ProxyWhirl is proxywhirl.ProxyRotator
    assert proxywhirl.AsyncProxyWhirl is proxywhirl.AsyncProxyRotator
    assert proxywhirl.ProxyError is proxywhirl.ProxyWhirlError


def test_names_of_the_rotator_package_come_on_first_use() -> None:
    code = """
import sys
import proxywhirl.rotator
assert "proxywhirl.rotator.base" not in sys.modules
from proxywhirl.rotator import *
assert ProxyWhirl is ProxyRotator and AsyncProxyWhirl is AsyncProxyRotator
assert set(proxywhirl.rotator.__all__) <= set(dir(proxywhirl.rotator))
try:
    proxywhirl.rotator.NoSuchThing
except AttributeError as error:
    print(error)
"""
    assert run(code).strip() == "module 'proxywhirl.rotator' has no attribute 'NoSuchThing'"


def test_a_running_loop_is_found() -> None:
    code = """
import sys
from proxywhirl._base.event_loop import loop_is_running
assert "asyncio" not in sys.modules and not loop_is_running()
import asyncio
assert not loop_is_running()
async def main():
    assert loop_is_running()
asyncio.run(main())
print("ok")
"""
    assert run(code).strip() == "ok"


def test_paths_lead_to_the_same_objects() -> None:
    import proxywhirl.models
    import proxywhirl.strategies
    import proxywhirl.strategies.core

    for name in proxywhirl.strategies.__all__:
        assert getattr(proxywhirl.strategies, name) is getattr(proxywhirl.strategies.core, name)
        assert getattr(proxywhirl.strategies, name) is getattr(proxywhirl, name)
    for name in (
        "Proxy",
        "ProxyPool",
        "SelectionContext",
        "Session",
        "ProxyMetadata",
        "HealthStatus",
        "StrategyConfig",
    ):
        assert getattr(proxywhirl.models, name) is getattr(proxywhirl, name)


def test_version_is_a_version() -> None:
    assert proxywhirl.__version__[0].isdigit()


def test_the_pydantic_protocol_is_there_without_asking_for_it() -> None:
    from proxywhirl._native import on_first_use as _on_first_use
    from proxywhirl._native.fields import MODELS
    from proxywhirl._native.model import _PROTOCOL

    assert sorted(_on_first_use.CLASSES) == sorted(MODELS)
    assert sorted(_on_first_use.METHODS) == sorted(_PROTOCOL)


def test_each_member_can_be_the_first_that_is_used() -> None:
    code = """
import sys
from proxywhirl._core import Proxy, ProxyPool
assert "proxywhirl._native.model" not in sys.modules
proxy = Proxy(url="http://a.test:1")
{}
"""
    for first in (
        "assert proxy.model_dump()['url'] == 'http://a.test:1'",
        "assert 'url' in Proxy.model_fields",
        "assert 'url' in proxy.model_fields_set",
        "assert Proxy.model_validate({'url': 'http://b.test:1'}).host == 'b.test'",
        "assert proxy.model_copy() == proxy",
        "assert ProxyPool(proxies=[proxy]).model_dump()['proxies'][0]['url'] == proxy.url",
        "import pydantic; assert pydantic.TypeAdapter(Proxy).validate_python({'url': 'http://b.test:1'}).port == 1",
        "import copy, pickle; assert pickle.loads(pickle.dumps(copy.deepcopy(proxy))) == proxy",
    ):
        run(code.format(first))


def test_what_the_core_needs_of_packages_above_it_is_there() -> None:
    from proxywhirl._native import upper

    named = {
        name
        for path in (Path(__file__).parents[3] / "src" / "py").rglob("*.rs")
        for name in re.findall(r'Lazy::upper\("(\w+)"\)', path.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= set(upper._homes)
    for name in upper._homes:
        assert callable(upper.find(name))
