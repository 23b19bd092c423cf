"""What the core says of answers."""

from typing import Any

from proxywhirl._native.enums import Doubt, Outcome

class StatusJudge:
    def answer(self, answer: Any, opinion: bool | None = None) -> Outcome | Doubt: ...
    @staticmethod
    def failure(failure: Any) -> Outcome | Doubt: ...

class ReportJudge:
    def __call__(
        self, url: str | None, answer: Any, headers: Any = None, body: Any = None, error: BaseException | None = None
    ) -> tuple[Outcome | Doubt | None, float | None, int | None]: ...

def hold_of(outcome: Outcome | Doubt, asked: float | None) -> float | None: ...
def pause_of(status: int, headers: Any) -> float | None: ...
