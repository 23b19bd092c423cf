"""``Session`` and ``SessionManager`` (api 4.6, 8.1, C-15, B-15)."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Callable
from uuid import UUID, uuid4

import pydantic
import pytest

from proxywhirl import Proxy, Session, SessionManager

MakeProxy = Callable[..., Proxy]


def now() -> datetime:
    return datetime.now(timezone.utc)


def test_a_session() -> None:
    session = Session(session_id="s", proxy_id=str(uuid4()), expires_at=now() + timedelta(seconds=60))
    assert not session.is_expired()
    assert session.request_count == 0
    before = session.last_used_at
    expiry = session.expires_at
    time.sleep(0.002)
    session.touch()
    assert session.request_count == 1
    assert session.last_used_at > before
    assert session.expires_at == expiry
    assert Session(session_id="s", proxy_id=str(uuid4()), expires_at=now() - timedelta(seconds=1)).is_expired()


@pytest.mark.parametrize(
    "fields", [{}, {"expires_at": "later"}, {"request_count": -1}, {"unknown": 1}, {"session_id": None}]
)
def test_bad_sessions(fields: dict[str, Any]) -> None:
    complete = {"session_id": "s", "proxy_id": str(uuid4()), "expires_at": now()} if fields else {}
    with pytest.raises(pydantic.ValidationError):
        Session(**{**complete, **fields})


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s)), lambda s: Session(**s.model_dump()),
     lambda s: Session.model_validate_json(s.model_dump_json())],
)  # fmt: skip
def test_copies_of_sessions(duplicate: Any) -> None:
    session = Session(session_id="s", proxy_id=str(uuid4()), expires_at=now(), request_count=3)
    made = duplicate(session)
    assert made == session
    made.touch()
    assert session.request_count == 3


def test_the_published_form(make_proxy: MakeProxy) -> None:
    manager, proxy = SessionManager(), make_proxy()
    session = manager.create_session("s", proxy)
    assert isinstance(session, Session)
    assert session.session_id == "s"
    assert session.proxy_id == str(proxy.id)
    assert (session.expires_at - session.created_at).total_seconds() == 300
    again = manager.create_session(session_id="s", proxy=proxy, timeout_seconds=60)
    assert (again.expires_at - again.created_at).total_seconds() == 60
    assert len(manager.get_all_sessions()) == 1


@pytest.mark.parametrize("by_keyword", [True, False])
def test_the_seed_form(by_keyword: bool, make_proxy: MakeProxy) -> None:
    manager, proxy = SessionManager(), make_proxy()
    made = manager.create_session(proxy=proxy, timeout_seconds=60) if by_keyword else manager.create_session(proxy, 60)
    UUID(made)
    session = manager.get_session(made)
    assert session is not None
    assert session.proxy_id == str(proxy.id)


@pytest.mark.parametrize("arguments", [(), ("s",), ("s", "p"), (3, 4), (None,)])
def test_other_arguments_are_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        SessionManager().create_session(*arguments)


def test_closing_and_removing(make_proxy: MakeProxy) -> None:
    manager = SessionManager()
    manager.create_session("a", make_proxy())
    manager.create_session("b", make_proxy())
    assert manager.close_session("a") is None  # type: ignore[func-returns-value]
    assert manager.close_session("a") is None  # type: ignore[func-returns-value]
    assert manager.get_session("a") is None
    assert manager.remove_session("b") is True
    assert manager.remove_session("b") is False


def test_touching(make_proxy: MakeProxy) -> None:
    manager = SessionManager()
    manager.create_session("a", make_proxy())
    assert manager.touch_session("a") is True
    assert manager.touch_session("b") is False
    session = manager.get_session("a")
    assert session is not None
    assert session.request_count == 1


def test_expiry(make_proxy: MakeProxy) -> None:
    manager = SessionManager()
    for name in ("a", "b", "c"):
        manager.create_session(name, make_proxy(), 1)
    manager.create_session("long", make_proxy(), 100)
    assert len(manager.get_all_sessions()) == 4
    time.sleep(1.05)
    assert manager.get_session("a") is None
    assert manager.touch_session("b") is False
    assert manager.cleanup_expired_sessions() <= 2
    assert manager.cleanup_expired() == 0
    assert [session.session_id for session in manager.get_all_sessions()] == ["long"]
    assert set(manager.sessions) == {"long"}


def test_clear_all_and_sessions(make_proxy: MakeProxy) -> None:
    manager = SessionManager()
    manager.create_session("a", make_proxy())
    assert set(manager.sessions) == set(manager._sessions) == {"a"}
    assert manager.sessions["a"].session_id == "a"
    assert "b" not in manager.sessions
    manager.clear_all()
    assert manager.get_all_sessions() == []
    assert len(manager.sessions) == 0


def test_the_least_recently_used_goes(make_proxy: MakeProxy) -> None:
    manager = SessionManager(max_sessions=3)
    for name in ("a", "b", "c"):
        manager.create_session(name, make_proxy())
    assert manager.get_session("a") is not None
    manager.create_session("d", make_proxy())
    assert {session.session_id for session in manager.get_all_sessions()} == {"a", "c", "d"}


def test_overwriting_evicts_no_session(make_proxy: MakeProxy) -> None:
    # B-15
    manager = SessionManager(max_sessions=2)
    manager.create_session("a", make_proxy(1))
    manager.create_session("b", make_proxy(2))
    other = make_proxy(3)
    manager.create_session("b", other)
    assert manager.get_session("a") is not None
    session = manager.get_session("b")
    assert session is not None
    assert session.proxy_id == str(other.id)


def test_expired_sessions_go_at_every_so_many_creations(make_proxy: MakeProxy) -> None:
    manager = SessionManager(max_sessions=1000, auto_cleanup_threshold=10)
    for number in range(9):
        manager.create_session(f"old{number}", make_proxy(), 1)
    time.sleep(1.05)
    for number in range(20):
        manager.create_session(f"new{number}", make_proxy(), 100)
    assert len(manager) <= 20


@pytest.mark.parametrize("name", ["", " ", "ü", "日本", "x" * 10_000, "a/b\n"])
def test_any_text_is_an_id(name: str, make_proxy: MakeProxy) -> None:
    manager = SessionManager()
    manager.create_session(name, make_proxy())
    session = manager.get_session(name)
    assert session is not None
    assert session.session_id == name


def test_memory_is_bounded(make_proxy: MakeProxy) -> None:
    manager, proxy = SessionManager(max_sessions=100), make_proxy()
    for number in range(5000):
        manager.create_session(f"s{number}", proxy)
    assert len(manager.get_all_sessions()) == 100
    assert {session.session_id for session in manager.get_all_sessions()} == {f"s{n}" for n in range(4900, 5000)}


@pytest.mark.parametrize("arguments", [(0,), (-1,), (10, 0)])
def test_limits_are_positive(arguments: tuple[int, ...]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        SessionManager(*arguments)


def test_repr_hides_ids(make_proxy: MakeProxy) -> None:
    manager = SessionManager()
    manager.create_session("very-private", make_proxy())
    assert "very-private" not in repr(manager)


def test_threads(make_proxy: MakeProxy) -> None:
    manager, proxies = SessionManager(max_sessions=500), [make_proxy(n) for n in range(10)]
    errors: list[BaseException] = []

    def work(offset: int) -> None:
        try:
            for number in range(500):
                name = f"s{(number * 7 + offset) % 800}"
                manager.create_session(name, proxies[number % 10])
                manager.get_session(name)
                manager.touch_session(name)
                if number % 5 == 0:
                    manager.remove_session(name)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(manager.get_all_sessions()) <= 500
