"""What the core says of answers."""

from collections.abc import Callable, Sequence
from re import Pattern
from typing import Any

from typing_extensions import Self

from proxywhirl._httpx.judge import Judged
from proxywhirl._native.enums import Doubt, Outcome
from proxywhirl.bans import BanPolicy

BAN_STATUSES: tuple[int, int]

class AnswerView:
    def __new__(
        cls, status: int, headers: Any, body: Any, make_response: Callable[..., Any], request: Any = None
    ) -> Self: ...

class BanRules:
    def __new__(
        cls,
        statuses: Sequence[int],
        body: Sequence[tuple[str | None, Pattern[str] | None]],
        headers: Sequence[tuple[str, str | None, Pattern[str]]],
        redirect: Sequence[tuple[str | None, Pattern[str]]],
        custom: Callable[[AnswerView], bool | None] | None = None,
        judges_failures: bool = False,
    ) -> Self: ...

class BanTable:
    def __new__(cls, general: BanPolicy, by_site: dict[str, BanPolicy]) -> Self: ...
    @property
    def general(self) -> BanPolicy: ...
    def for_host(self, host: str) -> BanPolicy: ...
    def for_url(self, url: str | None) -> BanPolicy: ...

class StatusJudge:
    def __new__(cls, policy: BanPolicy | None = None, auth_statuses: Sequence[int] | None = None) -> Self: ...
    def answer(self, answer: Any) -> Outcome | Doubt: ...
    @staticmethod
    def failure(failure: Any) -> Outcome | Doubt: ...

class RuleJudge:
    def __new__(
        cls,
        policy: BanPolicy,
        request: Any,
        make_response: Callable[[Any], Any],
        auth_statuses: Sequence[int] | None = None,
    ) -> Self: ...
    def answer(self, answer: Any) -> Outcome | Doubt: ...
    def failure(self, failure: Any) -> Outcome | Doubt: ...

class ReportJudge:
    def __new__(cls, policies: BanTable | None = None, auth_statuses: Sequence[int] | None = None) -> Self: ...
    def __call__(
        self, url: str | None, answer: Any, headers: Any = None, body: Any = None, error: BaseException | None = None
    ) -> Judged: ...

def hold_of(outcome: Outcome | Doubt, asked: float | None) -> float | None: ...
def pause_of(status: int, headers: Any) -> float | None: ...
