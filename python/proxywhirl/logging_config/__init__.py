"""Logging: the library logs to ``logging.getLogger("proxywhirl")`` and below, and shows nothing unless asked.

Only an explicit call of :func:`configure_logging` adds a handler, and only to the library's own logger; those of the
application are never touched.
"""

from __future__ import annotations

import contextvars
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from proxywhirl._native.redact import shown
from proxywhirl.logging_config._formats import FORMATTERS, ScrubbingFormatter

if TYPE_CHECKING:
    LogAdapter = logging.LoggerAdapter[logging.Logger]
else:
    LogAdapter = logging.LoggerAdapter

__all__ = ["LogContext", "bind_context", "configure_logging", "get_logger"]

_ROOT = "proxywhirl"
_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3}
# TRACE and SUCCESS are loguru's; the standard library takes any number.
_LEVELS = {"TRACE": 5, "DEBUG": 10, "INFO": 20, "SUCCESS": 25, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_context: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar(
    "proxywhirl_log_context", default=MappingProxyType({})
)

_current: logging.Handler | None = None
_listener: QueueListener | None = None


def configure_logging(
    format: Literal["default", "text", "json", "logfmt", "auto"] = "default",
    level: str | int = "INFO",
    rotation: str | int | None = None,
    retention: int | None = None,
    sink: TextIO | str | os.PathLike[str] | None = None,
    colorize: bool | None = None,
    diagnose: bool = False,
    backtrace: bool = True,
    enqueue: bool = True,
    *,
    redact_credentials: bool = True,
    backend: Literal["logging", "loguru"] = "logging",
) -> None:
    """Show what the library logs; calling it again replaces the earlier choice.

    The records still travel to the handlers of the application; set ``propagate`` of the logger ``proxywhirl`` to
    ``False`` if they show twice.

    Args:
        format: ``default`` (the same as ``text``), ``json``, ``logfmt``; ``auto`` is text on a terminal, else JSON.
        level: Least severe level shown, by name or number.
        rotation: For a file: size at which a new one is begun, in bytes or as ``"10 MB"``.
        retention: How many old files are kept; 5 by default.
        sink: Stream or path of a file; standard error by default.
        colorize: Whether levels are coloured; by default on a terminal, for text only.
        diagnose: Only for loguru: whether tracebacks show values, which may be secret.
        backtrace: Whether tracebacks are shown at all.
        enqueue: Whether a thread of its own writes to a file, so that requests do not wait for the disk. A stream
            is written directly.
        redact_credentials: Whether credentials in URLs and secret fields are hidden.
        backend: ``loguru`` hands the records to loguru (extra ``loguru``), whose own sinks then decide about form;
            ``format``, ``sink``, ``rotation`` and ``colorize`` do not apply.

    Raises:
        ValueError: An argument is not one of those above.
        ImportError: loguru is not installed.
    """
    global _current, _listener
    number = _level_number(level)
    if backend == "loguru":
        handler: logging.Handler = _loguru_handler(redact_credentials, diagnose)
        listener = None
    elif backend == "logging":
        handler, listener = _standard_handler(
            format, rotation, retention, sink, colorize, backtrace, enqueue, redact_credentials
        )
    else:
        raise ValueError(f"backend must be 'logging' or 'loguru', not {shown(backend)}")
    # Everything that can fail is behind us: an invalid call leaves the earlier choice as it was.
    logger = logging.getLogger(_ROOT)
    _remove(logger)
    handler.addFilter(_add_context)
    logger.addHandler(handler)
    logger.setLevel(number)
    _current, _listener = handler, listener
    if listener is not None:
        listener.start()


def _remove(logger: logging.Logger) -> None:
    global _current, _listener
    if _listener is not None:
        _listener.stop()
        for target in _listener.handlers:
            target.close()
        _listener = None
    if _current is not None:
        logger.removeHandler(_current)
        _current.close()
        _current = None


def _level_number(level: str | int) -> int:
    if isinstance(level, int):
        return level
    number = _LEVELS.get(level.strip().upper())
    if number is None:
        raise ValueError(f"unknown log level {shown(level)}: use one of {', '.join(_LEVELS)}")
    return number


def _standard_handler(
    form: str,
    rotation: str | int | None,
    retention: int | None,
    sink: TextIO | str | os.PathLike[str] | None,
    colorize: bool | None,
    backtrace: bool,
    enqueue: bool,
    redact: bool,
) -> tuple[logging.Handler, QueueListener | None]:
    target = sys.stderr if sink is None else sink
    is_file = isinstance(target, (str, os.PathLike))
    terminal = not is_file and bool(getattr(target, "isatty", bool)())
    chosen = {"auto": "text" if terminal else "json", "default": "text"}.get(form, form)
    if chosen not in FORMATTERS:
        raise ValueError(f"format must be one of default, auto, {', '.join(FORMATTERS)}, not {shown(form)}")
    formatter: ScrubbingFormatter = FORMATTERS[chosen](
        redact=redact, backtrace=backtrace, colour=terminal if colorize is None else colorize
    )
    if not isinstance(target, (str, os.PathLike)):
        stream: logging.Handler = logging.StreamHandler(target)
        stream.setFormatter(formatter)
        return stream, None
    size = 0 if rotation is None else _size(rotation)
    file = RotatingFileHandler(
        target, maxBytes=size, backupCount=(5 if retention is None else retention) if size else 0, encoding="utf-8"
    )
    file.setFormatter(formatter)
    if not enqueue:
        return file, None
    import queue

    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    return _KeepingQueueHandler(waiting), QueueListener(waiting, file)


class _KeepingQueueHandler(QueueHandler):
    """Hands records over whole: the formatter on the other side needs the exception and the arguments."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record


def _size(rotation: str | int) -> int:
    if isinstance(rotation, int):
        return rotation
    digits, _, unit = rotation.strip().upper().partition(" ")
    if not digits.isdigit() or unit.strip() not in _UNITS:
        raise ValueError(f"rotation must be a number of bytes or a size like '10 MB', not {shown(rotation)}")
    return int(digits) * _UNITS[unit.strip()]


def _loguru_handler(redact: bool, diagnose: bool) -> logging.Handler:
    try:
        from loguru import logger  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ImportError("backend='loguru' needs an extra: pip install 'proxywhirl-rs[loguru]'") from error
    from proxywhirl.logging_config._formats import LoguruHandler

    return LoguruHandler(logger, redact=redact, diagnose=diagnose)


def _add_context(record: logging.LogRecord) -> bool:
    for name, value in _context.get().items():
        if name not in record.__dict__:
            setattr(record, name, value)
    return True


def get_logger(name: str | None = None) -> logging.Logger:
    """The library's logger, or one below it.

    Args:
        name: What comes after ``proxywhirl.``; a name that already begins with it is taken as it is.

    Returns:
        The logger.
    """
    if not name or name == _ROOT:
        return logging.getLogger(_ROOT)
    return logging.getLogger(name if name.startswith(_ROOT + ".") else f"{_ROOT}.{name}")


def bind_context(logger: logging.Logger | None = None, **fields: Any) -> LogAdapter:
    """A logger that adds fields to everything it logs.

    Args:
        logger: The logger; by default the library's.
        **fields: The fields.

    Returns:
        The logger with the fields.
    """
    return _BoundLogger(logger or get_logger(), fields)


class _BoundLogger(LogAdapter):
    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        # The standard adapter lets its own fields replace those of the call; the call knows better.
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


@contextmanager
def LogContext(**fields: Any) -> Iterator[None]:
    """Add fields to everything the library logs inside the ``with`` block, in this thread or task.

    Args:
        **fields: The fields; a record's own win.

    Yields:
        Nothing.
    """
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)
