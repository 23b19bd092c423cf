"""``pool.proxies`` is a list that writes through (api 4.3, B-16)."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import MutableSequence
from typing import Any, Callable

import pytest

from proxywhirl import Proxy, ProxyPool, RoundRobinStrategy

MakePool = Callable[..., ProxyPool]
MakeProxy = Callable[..., Proxy]


def consistent(pool: ProxyPool) -> None:
    """The list, the look-ups and the selection tell the same story."""
    content = list(pool.proxies)
    assert content == pool.get_all_proxies()
    assert len(pool.proxies) == len(pool) == pool.size == len(content)
    for proxy in content:
        assert pool.get_proxy_by_id(proxy.id) is proxy
        assert proxy in pool
        assert proxy in pool.proxies
    if content:
        strategy = RoundRobinStrategy()
        assert [strategy.select(pool) for _ in content] == content


def test_reads_like_a_list(make_pool: MakePool) -> None:
    pool = make_pool(4)
    proxies = pool.proxies
    content = pool.get_all_proxies()
    assert isinstance(proxies, MutableSequence)
    assert proxies == content
    assert content == proxies
    assert proxies == pool.proxies
    assert proxies != content[:-1]
    assert proxies != tuple(content)
    assert len(proxies) == 4
    assert proxies[0] is content[0]
    assert proxies[-1] is content[-1]
    assert proxies[1:3] == content[1:3]
    assert proxies[::-1] == content[::-1]
    assert list(reversed(proxies)) == content[::-1]
    assert proxies.index(content[2]) == 2
    assert proxies.count(content[2]) == 1
    assert [*proxies] == content
    assert random.Random(1).choice(proxies) in content
    assert repr(proxies) == repr(content)
    assert proxies.copy() == content
    assert type(proxies.copy()) is list
    assert proxies + content[:1] == content + content[:1]
    assert content[:1] + proxies == content[:1] + content
    assert bool(proxies)
    assert not make_pool(0).proxies


@pytest.mark.parametrize("index", [4, -5])
def test_out_of_range_is_an_index_error(make_pool: MakePool, make_proxy: MakeProxy, index: int) -> None:
    pool = make_pool(4)
    with pytest.raises(IndexError):
        _ = pool.proxies[index]
    with pytest.raises(IndexError):
        pool.proxies[index] = make_proxy(9)
    with pytest.raises(IndexError):
        del pool.proxies[index]
    assert len(pool) == 4


def test_membership_is_by_equality(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool = make_pool(2)
    assert pool.proxies[0] in pool.proxies
    assert make_proxy(0) not in pool.proxies
    assert "http://proxy0.test:8000" not in pool.proxies
    assert None not in pool.proxies


def test_append_insert_extend(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool = make_pool(2)
    a, b = pool.get_all_proxies()
    c, d, e = make_proxy(3), make_proxy(4), make_proxy(5)
    pool.proxies.append(c)
    pool.proxies.insert(0, d)
    pool.proxies.insert(-1, e)
    assert pool.proxies == [d, a, b, e, c]
    consistent(pool)
    pool.proxies += [make_proxy(6)]
    pool.proxies.extend(["http://text.test:1"])
    assert [proxy.host for proxy in pool.proxies[-2:]] == ["proxy6.test", "text.test"]
    consistent(pool)


def test_insert_beyond_the_ends(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool = make_pool(1)
    (a,) = pool.get_all_proxies()
    b, c = make_proxy(2), make_proxy(3)
    pool.proxies.insert(99, b)
    pool.proxies.insert(-99, c)
    assert pool.proxies == [c, a, b]


def test_appending_knows_no_capacity(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool = make_pool(2, pool={"max_pool_size": 2})
    pool.proxies.append(make_proxy(3))
    assert len(pool) == 3


def test_remove_pop_del_clear(make_pool: MakePool) -> None:
    pool = make_pool(6)
    content = pool.get_all_proxies()
    pool.proxies.remove(content[0])
    assert pool.proxies.pop() is content[5]
    assert pool.proxies.pop(0) is content[1]
    del pool.proxies[-1]
    assert pool.proxies == content[2:4]
    for gone in (content[0], content[1], content[4], content[5]):
        assert pool.get_proxy_by_id(gone.id) is None
        assert gone not in pool
    consistent(pool)
    with pytest.raises(ValueError, match="not in"):
        pool.proxies.remove(content[0])
    pool.proxies.clear()
    assert pool.size == 0
    with pytest.raises(IndexError):
        pool.proxies.pop()


def test_set_item(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool = make_pool(3)
    old, new = pool.proxies[1], make_proxy(9)
    pool.proxies[1] = new
    assert pool.proxies[1] is new
    assert pool.get_proxy_by_id(old.id) is None
    consistent(pool)


@pytest.mark.parametrize("part", [slice(1, 3), slice(None, None, 2), slice(4, 1, -1), slice(2, 2), slice(None)])
def test_slices_are_deleted_as_in_a_list(make_pool: MakePool, part: slice) -> None:
    pool = make_pool(6)
    expected = pool.get_all_proxies()
    del expected[part]
    del pool.proxies[part]
    assert pool.proxies == expected
    consistent(pool)


def test_slices_are_assigned_as_in_a_list(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool = make_pool(5)
    expected = pool.get_all_proxies()
    new = [make_proxy(7), make_proxy(8), make_proxy(9)]
    expected[1:3] = new
    pool.proxies[1:3] = new
    assert pool.proxies == expected
    consistent(pool)
    with pytest.raises(ValueError, match="extended slice"):
        pool.proxies[::2] = [make_proxy(10)]
    assert pool.proxies == expected


def test_assigning_the_attribute_replaces_everything(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool = make_pool(3)
    old = pool.get_all_proxies()
    pool.proxies = [old[2], make_proxy(7)]
    assert len(pool) == 2
    assert pool.proxies[0] is old[2]
    assert pool.get_proxy_by_id(old[0].id) is None
    consistent(pool)


def test_filtering_with_a_comprehension(make_pool: MakePool) -> None:
    pool = make_pool(4, country_code=["US", "DE", "US", "DE"])
    pool.proxies = [proxy for proxy in pool.proxies if proxy.country_code == "US"]
    assert [proxy.host for proxy in pool.proxies] == ["proxy0.test", "proxy2.test"]
    consistent(pool)


def test_sort_and_reverse(make_pool: MakePool) -> None:
    pool = make_pool(5)
    content = pool.get_all_proxies()
    pool.proxies.reverse()
    assert pool.proxies == content[::-1]
    consistent(pool)
    pool.proxies.sort(key=lambda proxy: proxy.url)
    assert pool.proxies == content
    pool.proxies.sort(key=lambda proxy: proxy.url, reverse=True)
    assert pool.proxies == content[::-1]
    consistent(pool)
    random.Random(5).shuffle(content)
    order = {proxy.id: place for place, proxy in enumerate(content)}
    pool.proxies.sort(key=lambda proxy: order[proxy.id])
    assert pool.proxies == content
    with pytest.raises(TypeError):
        pool.proxies.sort()


def test_removing_while_iterating_skips_no_proxy(make_pool: MakePool) -> None:
    pool = make_pool(5)
    for proxy in pool.proxies:
        pool.proxies.remove(proxy)
    assert len(pool) == 0


@pytest.mark.parametrize("value", [None, 3, {"url": "http://a.test:1"}, object()])
def test_other_things_are_refused(make_pool: MakePool, value: Any) -> None:
    pool = make_pool(2)
    for change in (pool.proxies.append, lambda v: pool.proxies.insert(0, v), lambda v: pool.proxies.extend([v])):
        with pytest.raises(TypeError):
            change(value)
    with pytest.raises(TypeError):
        pool.proxies[0] = value
    assert len(pool) == 2


def test_extend_is_all_or_nothing(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool = make_pool(1)
    with pytest.raises(TypeError):
        pool.proxies.extend([make_proxy(5), 3])  # type: ignore[list-item]
    assert len(pool) == 1


def test_copies_are_lists_apart_from_the_pool(make_pool: MakePool) -> None:
    pool = make_pool(2)
    for made in (copy.copy(pool.proxies), copy.deepcopy(pool.proxies), pickle.loads(pickle.dumps(pool.proxies))):
        assert type(made) is list
        assert [proxy.id for proxy in made] == [proxy.id for proxy in pool.proxies]
        made.clear()
    assert len(pool) == 2


def test_it_cannot_be_hashed(make_pool: MakePool) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(make_pool(1).proxies)


def test_repr_hides_credentials() -> None:
    pool = ProxyPool(proxies=[Proxy(url="http://user:hunter2@a.test:1")])
    assert "hunter2" not in repr(pool.proxies)


def test_the_next_selection_sees_the_change(make_pool: MakePool, make_proxy: MakeProxy) -> None:
    pool, strategy = make_pool(2), RoundRobinStrategy()
    first, second = pool.get_all_proxies()
    assert strategy.select(pool) is first
    pool.proxies.remove(second)
    new = make_proxy(5)
    pool.proxies.append(new)
    assert strategy.select(pool) is new
    assert strategy.select(pool) is first
