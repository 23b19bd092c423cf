"""Rules that only Python can ask: functions of the user's, and classes of exceptions."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, Callable, Optional

from proxywhirl._core import AnswerView

_log = logging.getLogger("proxywhirl.ban")


class CustomRule:
    """A rule of the user's, whichever of the accepted shapes it has. One that raises is reported once.

    Raises ``TypeError`` (it has none of these shapes).
    """

    __slots__ = ("_of_failure", "_of_response", "_reported")

    def __init__(self, given: Any) -> None:
        rule = given() if isinstance(given, type) else given
        is_ban = getattr(rule, "response_is_ban", None)
        self._of_failure: Optional[Callable[[Any, BaseException], Any]] = getattr(rule, "exception_is_ban", None)
        self._of_response: Optional[Callable[[AnswerView], Any]] = None
        self._reported = False
        if callable(is_ban):
            ask = is_ban
            self._of_response = lambda answer: ask(answer.request, answer.response())
        elif self._of_failure is None:
            if not callable(rule):
                raise TypeError(
                    "custom must be a function of the response, or have response_is_ban(request, response) and "
                    f"exception_is_ban(request, exception); {type(rule).__name__} has neither"
                )
            self._of_response = lambda answer: rule(answer.response())

    @property
    def judges_failures(self) -> bool:
        """Whether it has an opinion of failures."""
        return self._of_failure is not None

    def of_response(self, answer: AnswerView) -> Optional[bool]:
        """Whether an answer is a ban; ``None`` for no opinion."""
        return None if self._of_response is None else self._ask(self._of_response, answer)

    def of_failure(self, request: Any, error: BaseException) -> Optional[bool]:
        """Whether a failure is a ban; ``None`` for no opinion."""
        return None if self._of_failure is None else self._ask(self._of_failure, request, error)

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Optional[bool]:
        try:
            found = function(*arguments)
            if isinstance(found, Awaitable):
                if isinstance(found, Coroutine):
                    found.close()
                raise TypeError("a ban rule must answer at once: coroutines are not awaited")
            return None if found is None else bool(found)
        except Exception:  # noqa: BLE001 - a rule of the user's, which must not decide by failing
            if not self._reported:
                self._reported = True
                _log.warning(
                    "a custom rule of a ban policy raised, and has no opinion; further times are not reported",
                    exc_info=True,
                    extra={"rule": "custom"},
                )
            return None


def is_one_of(error: BaseException, kinds: tuple[type[BaseException] | str, ...]) -> bool:
    """Whether an exception, or what caused it, is of one of the classes, which are given themselves or by name."""
    found: BaseException | None = error
    # What the user sees is httpx's; what happened below it may be what they named.
    for _ in range(8):
        if found is None:
            return False
        if any(_is_a(found, kind) for kind in kinds):
            return True
        found = found.__cause__
    return False


def _is_a(error: BaseException, kind: type[BaseException] | str) -> bool:
    if not isinstance(kind, str):
        return isinstance(error, kind)
    package, _, name = kind.rpartition(".")
    return any(
        cls.__name__ == name and (not package or f"{cls.__module__}.".startswith(f"{package}."))
        for cls in type(error).__mro__
    )
