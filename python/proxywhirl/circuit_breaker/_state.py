"""Breakers that outlive the process: their state as data, in a JSON file or in any mapping."""

from __future__ import annotations

import json
import os
from collections.abc import MutableMapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Union

from proxywhirl._base.files import atomic_write_json, file_lock
from proxywhirl._native.enums import CircuitBreakerState

Storage = Union[str, "os.PathLike[str]", MutableMapping[str, Any]]
"""Path of a JSON file, or a mapping from proxy id to state."""


def save_state(breaker: Any, storage: Storage) -> None:
    """Keep the state of a breaker under its proxy id.

    Raises ``ValueError`` (the breaker has no ``proxy_id``), ``OSError`` (the file cannot be written).
    """
    key = _key(breaker)
    upcoming = breaker.next_test_time
    state = {
        "state": breaker.state.value,
        "failure_window": [_text(moment) for moment in breaker.failure_window],
        "next_test_time": None if upcoming is None else _text(upcoming),
        "saved_at": _text(datetime.now(timezone.utc)),
    }
    if isinstance(storage, MutableMapping):
        storage[key] = state
        return
    with file_lock(storage):
        atomic_write_json(Path(storage), {**_read(storage), key: state})


def load_state(breaker: Any, storage: Storage) -> bool:
    """Bring a breaker into the state that was kept under its proxy id; whether there was one.

    Time has gone on meanwhile: failures that have left the window are forgotten. A half-open breaker comes back open
    and due: its probe has got lost.

    Raises ``ValueError`` (the breaker has no ``proxy_id``, or what was kept is no state), ``OSError`` (the file cannot
    be read).
    """
    key = _key(breaker)
    state = storage.get(key) if isinstance(storage, MutableMapping) else _read(storage).get(key)
    if state is None:
        return False
    now = datetime.now(timezone.utc)
    try:
        phase = CircuitBreakerState(state["state"])
        ago = [max(0.0, (now - _moment(text)).total_seconds()) for text in state["failure_window"]]
        upcoming = state["next_test_time"]
        left = 0.0 if upcoming is None else max(0.0, (_moment(upcoming) - now).total_seconds())
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"what is kept for breaker {key} is not a breaker's state") from error
    breaker._restore(phase is not CircuitBreakerState.CLOSED, ago, left)
    return True


def delete_state(breaker: Any, storage: Storage) -> bool:
    """Forget what was kept under a breaker's proxy id; whether there was something."""
    key = _key(breaker)
    if isinstance(storage, MutableMapping):
        return storage.pop(key, None) is not None
    with file_lock(storage):
        kept = _read(storage)
        found = kept.pop(key, None) is not None
        if found:
            atomic_write_json(Path(storage), kept)
    return found


def _key(breaker: Any) -> str:
    key = breaker.proxy_id
    if key is None:
        raise ValueError("a breaker without proxy_id has no name to keep its state under")
    return str(key)


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        kept: dict[str, Any] = dict(json.loads(text))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} is no JSON file of breakers") from error
    return kept


def _text(moment: datetime) -> str:
    return moment.isoformat()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
