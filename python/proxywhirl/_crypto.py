"""Encrypting credentials with Fernet; needs the extra ``security``."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

__all__ = ["KEY_VARIABLE", "decrypt_credentials", "encrypt_credentials", "generate_encryption_key"]

KEY_VARIABLE = "PROXYWHIRL_KEY"
"""Environment variable with the key that is used when none is given."""


def _fernet_module() -> ModuleType:
    try:
        from cryptography import fernet
    except ImportError as error:
        raise ImportError("encryption needs an extra: pip install 'proxywhirl-rs[security]'") from error
    return fernet


def _cipher(key: str | bytes | None) -> Any:
    chosen = key if key else os.environ.get(KEY_VARIABLE)
    if not chosen:
        raise ValueError(f"no encryption key: give one, or set {KEY_VARIABLE} (generate_encryption_key() makes one)")
    try:
        return _fernet_module().Fernet(chosen)
    except ValueError:
        # Not chained and not quoted: the text of a key that is nearly right is a secret too.
        raise ValueError("not a Fernet key: 32 bytes in URL-safe base64, as generate_encryption_key() makes") from None


def encrypt_credentials(plaintext: str, key: str | bytes | None = None) -> str:
    """Encrypt a text.

    Args:
        plaintext: The text.
        key: A Fernet key; by default the one in ``PROXYWHIRL_KEY``. No throw-away key is ever made up: nobody could
            decrypt the result.

    Returns:
        The encrypted text, in ASCII.

    Raises:
        ValueError: There is no key, or it is malformed.
        ImportError: The extra ``security`` is not installed.
    """
    token: bytes = _cipher(key).encrypt(plaintext.encode("utf-8"))
    return token.decode("ascii")


def decrypt_credentials(ciphertext: str, key: str | bytes | None = None) -> str:
    """Decrypt what :func:`encrypt_credentials` made.

    Args:
        ciphertext: The encrypted text.
        key: The key it was encrypted with; by default the one in ``PROXYWHIRL_KEY``.

    Returns:
        The text.

    Raises:
        cryptography.fernet.InvalidToken: The key is another one, or the text is damaged.
        ValueError: There is no key, or it is malformed.
        ImportError: The extra ``security`` is not installed.
    """
    cipher = _cipher(key)
    invalid: type[Exception] = _fernet_module().InvalidToken
    try:
        plain: bytes = cipher.decrypt(ciphertext.encode("utf-8"))
    except invalid:
        raise invalid("cannot decrypt: it was encrypted with another key, or the text is damaged") from None
    return plain.decode("utf-8")


def generate_encryption_key() -> str:
    """Make a new random key.

    Returns:
        A Fernet key, in ASCII.

    Raises:
        ImportError: The extra ``security`` is not installed.
    """
    key: bytes = _fernet_module().Fernet.generate_key()
    return key.decode("ascii")
