"""``SelectionContext`` (api 4.5)."""

from __future__ import annotations

import copy
import pickle
from typing import Any
from uuid import UUID, uuid4

import pydantic
import pytest

from proxywhirl import ProxyPool, RoundRobinStrategy, SelectionContext

FIELDS = [
    "session_id", "target_url", "target_country", "target_region", "request_priority", "timeout_ms",
    "failed_proxy_ids", "attempt_number", "metadata", "preferred_country", "max_response_time_ms",
    "min_success_rate", "exclude_proxy_ids",
]  # fmt: skip


def test_defaults() -> None:
    context = SelectionContext()
    assert context.failed_proxy_ids == []
    assert context.exclude_proxy_ids == set()
    assert context.metadata == {}
    assert context.attempt_number == 1
    for name in FIELDS:
        if name not in ("failed_proxy_ids", "exclude_proxy_ids", "metadata", "attempt_number"):
            assert getattr(context, name) is None, name
    assert list(context.model_dump()) == FIELDS


def test_everything_can_be_given_and_read() -> None:
    ids = [uuid4(), uuid4()]
    context = SelectionContext(
        session_id="s", target_url="http://a.test/", target_country="US", target_region="Texas", request_priority=3,
        timeout_ms=500.0, failed_proxy_ids=[str(ids[0])], attempt_number=2, metadata={"k": 1}, preferred_country="DE",
        max_response_time_ms=100.0, min_success_rate=0.5, exclude_proxy_ids={ids[1]},
    )  # fmt: skip
    assert context.failed_proxy_ids == [str(ids[0])]
    assert context.exclude_proxy_ids == {ids[1]}
    assert all(isinstance(value, UUID) for value in context.exclude_proxy_ids)
    dumped = context.model_dump()
    assert SelectionContext(**dumped) == context
    assert SelectionContext.model_validate_json(context.model_dump_json()) == context
    assert (dumped["attempt_number"], dumped["request_priority"]) == (2, 3)


@pytest.mark.parametrize(
    "fields",
    [{"request_priority": 11}, {"request_priority": -1}, {"attempt_number": 0}, {"session_id": 3},
     {"min_success_rate": 1.5}, {"exclude_proxy_ids": ["nonsense"]}, {"metadata": 3}],
)  # fmt: skip
def test_bad_fields(fields: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        SelectionContext(**fields)


def test_unknown_keywords_are_kept() -> None:
    context = SelectionContext(color="blue")
    assert context.color == "blue"
    assert context.model_dump()["color"] == "blue"
    with pytest.raises(AttributeError):
        _ = context.shape


@pytest.mark.parametrize("kind", [str, lambda value: value], ids=["text", "UUID"])
@pytest.mark.parametrize("field", ["failed_proxy_ids", "exclude_proxy_ids"])
def test_ids_of_both_kinds_in_both_fields(kind: Any, field: str, make_pool: Any) -> None:
    # C-26
    pool: ProxyPool = make_pool(2)
    context = SelectionContext(**{field: [kind(pool.proxies[0].id)]})
    assert [RoundRobinStrategy().select(pool, context) for _ in range(3)] == [pool.proxies[1]] * 3


def test_written_later_counts_at_the_next_selection(make_pool: Any) -> None:
    pool: ProxyPool = make_pool(3)
    context, strategy = SelectionContext(), RoundRobinStrategy()
    first, second, third = pool.get_all_proxies()
    assert strategy.select(pool, context) is first
    context.failed_proxy_ids.append(str(second.id))
    assert strategy.select(pool, context) is third
    context.exclude_proxy_ids.add(first.id)
    assert strategy.select(pool, context) is third
    context.failed_proxy_ids = []
    context.exclude_proxy_ids = set()
    # The proxy that was due while it was excluded has kept its turn.
    assert strategy.select(pool, context) is second


def test_unknown_ids_exclude_no_proxy(make_pool: Any) -> None:
    pool: ProxyPool = make_pool(1)
    context = SelectionContext(failed_proxy_ids=["unknown", ""], exclude_proxy_ids={uuid4()})
    assert RoundRobinStrategy().select(pool, context) is pool.proxies[0]


def test_a_context_of_ones_own_is_read_by_attribute(make_pool: Any) -> None:
    pool: ProxyPool = make_pool(2)

    class Own:
        failed_proxy_ids = (str(pool.proxies[0].id),)
        session_id = None

    assert RoundRobinStrategy().select(pool, Own()) is pool.proxies[1]  # type: ignore[arg-type]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies(duplicate: Any) -> None:
    context = SelectionContext(session_id="s", failed_proxy_ids=["a"], exclude_proxy_ids={uuid4()}, extra="kept")
    made = duplicate(context)
    assert made == context
    assert made.extra == "kept"
    made.session_id = "t"
    assert context.session_id == "s"
