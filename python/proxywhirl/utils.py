"""Helpers, each from the private module that is about it."""

from __future__ import annotations

from typing import Literal

from proxywhirl._base.cli_lock import CLILock, CLILockHeldError
from proxywhirl._base.crypto import decrypt_credentials, encrypt_credentials, generate_encryption_key
from proxywhirl._base.files import atomic_write, atomic_write_json
from proxywhirl._native.redact import mask_proxy_url, mask_secret_str, scrub_credentials_from_dict, shown
from proxywhirl._native.urls import is_valid_proxy_url, parse_proxy_url, validate_target_url_safe
from proxywhirl.models._tools import calculate_timeout, create_proxy_from_url, proxy_to_dict, validate_proxy_model

__all__ = [
    "CLILock",
    "CLILockHeldError",
    "atomic_write",
    "atomic_write_json",
    "calculate_timeout",
    "configure_logging",
    "create_proxy_from_url",
    "decrypt_credentials",
    "encrypt_credentials",
    "generate_encryption_key",
    "is_valid_proxy_url",
    "mask_proxy_url",
    "mask_secret_str",
    "parse_proxy_url",
    "proxy_to_dict",
    "scrub_credentials_from_dict",
    "validate_proxy_model",
    "validate_target_url_safe",
]


def configure_logging(
    level: str = "INFO",
    format_type: Literal["auto", "json", "text"] = "auto",
    redact_credentials: bool = True,
    *,
    backend: Literal["logging", "loguru"] = "logging",
) -> None:
    """Show what the library logs, on standard error.

    :func:`proxywhirl.logging_config.configure_logging` has more to choose from.

    Args:
        level: Least severe level shown.
        format_type: ``text``, ``json``, or ``auto``: text on a terminal, else JSON.
        redact_credentials: Whether credentials in URLs and secret fields are hidden.
        backend: ``loguru`` hands the records to loguru (extra ``loguru``).

    Raises:
        ValueError: An argument is not one of those above.
        ImportError: loguru is not installed.
    """
    from proxywhirl import logging_config

    if format_type not in ("auto", "json", "text"):
        raise ValueError(f"format_type must be auto, json or text, not {shown(format_type)}")
    logging_config.configure_logging(format_type, level, redact_credentials=redact_credentials, backend=backend)
