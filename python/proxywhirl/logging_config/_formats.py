"""How a log record is written: as text, as JSON, as logfmt, or by loguru."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Any

from proxywhirl._native.redact import scrub_credentials_from_dict, scrub_text

_COLOURS = {"DEBUG": 36, "INFO": 32, "WARNING": 33, "ERROR": 31, "CRITICAL": 35}
# What every record has; the rest was given in ``extra`` by the caller.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that were given with the record."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class ScrubbingFormatter(logging.Formatter):
    """What the formats have in common."""

    def __init__(self, *, redact: bool = True, backtrace: bool = True, colour: bool = False) -> None:
        super().__init__()
        self._redact = redact
        self._backtrace = backtrace
        self._colour = colour

    def _clean(self, text: str) -> str:
        return scrub_text(text) if self._redact else text

    def _message(self, record: logging.LogRecord) -> str:
        return self._clean(record.getMessage())

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields = extra_fields(record)
        return scrub_credentials_from_dict(fields) if self._redact else fields

    def _exception(self, record: logging.LogRecord) -> str | None:
        if record.exc_info is None or record.exc_info[0] is None:
            return None
        if self._backtrace:
            return self._clean(self.formatException(record.exc_info))
        return self._clean(f"{record.exc_info[0].__name__}: {record.exc_info[1]}")

    def _time(self, record: logging.LogRecord) -> str:
        return datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")

    def _show(self, value: Any) -> str:
        return self._clean(str(value))


class TextFormatter(ScrubbingFormatter):
    """One line for people: time, level, logger, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname:<8}"
        if self._colour:
            level = f"\x1b[{_COLOURS.get(record.levelname, 37)}m{level}\x1b[0m"
        line = f"{self._time(record)} {level} {record.name}: {self._message(record)}"
        fields = self._fields(record)
        if fields:
            line += " " + " ".join(f"{name}={self._show(value)}" for name, value in fields.items())
        exception = self._exception(record)
        return line if exception is None else f"{line}\n{exception}"


class JsonFormatter(ScrubbingFormatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "timestamp": self._time(record),
            "level": record.levelname,
            "message": self._message(record),
            "module": record.module,
            "function": record.funcName,
            "line": record.lineno,
        }
        exception = self._exception(record)
        if exception is not None:
            entry["exception"] = exception
        fields = self._fields(record)
        if fields:
            entry["extra"] = fields
        return json.dumps(entry, default=self._show, ensure_ascii=False)


class LogfmtFormatter(ScrubbingFormatter):
    """One line of ``key=value`` pairs."""

    def format(self, record: logging.LogRecord) -> str:
        pairs: dict[str, Any] = {
            "timestamp": self._time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": self._message(record),
            **self._fields(record),
        }
        exception = self._exception(record)
        if exception is not None:
            pairs["exception"] = exception
        return " ".join(f"{name}={self._quoted(self._show(value))}" for name, value in pairs.items())

    @staticmethod
    def _quoted(text: str) -> str:
        return text if text and not any(sign in text for sign in ' "=\n\t\\') else json.dumps(text, ensure_ascii=False)


FORMATTERS: dict[str, type[ScrubbingFormatter]] = {
    "text": TextFormatter,
    "json": JsonFormatter,
    "logfmt": LogfmtFormatter,
}
"""The formats by name."""


class LoguruHandler(logging.Handler):
    """Hands records to loguru.

    Args:
        logger: loguru's logger.
        redact: Whether credentials are hidden.
        diagnose: Whether loguru gets the exception itself, so that it can show values; else only its text.
    """

    def __init__(self, logger: Any, *, redact: bool, diagnose: bool) -> None:
        super().__init__()
        self._logger = logger
        self._diagnose = diagnose
        self._parts = ScrubbingFormatter(redact=redact)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = self._logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        try:
            message = self._parts._message(record)
            exception = None if self._diagnose else self._parts._exception(record)
            if exception is not None:
                message = f"{message}\n{exception}"

            def place(entry: dict[str, Any]) -> None:
                # loguru would name this handler as the origin of the record.
                entry.update(name=record.name, function=record.funcName, line=record.lineno)

            bound = self._logger.bind(**self._parts._fields(record)).patch(place)
            bound.opt(exception=record.exc_info if self._diagnose else None).log(level, "{}", message)
        except Exception:  # noqa: BLE001 - whatever a sink raises
            self.handleError(record)  # the standard way: a broken sink must not break the request
