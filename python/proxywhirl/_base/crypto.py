"""Encrypting credentials; needs the extra ``security``.

A text by itself is a Fernet token (https://github.com/fernet/spec). A text that is kept in a file or a database is
bound to its place there, as associated data of AES-GCM (NIST SP 800-38D), which Fernet has no room for.
"""

from __future__ import annotations

import base64
import binascii
import os
from functools import lru_cache
from types import ModuleType
from typing import Any

PREFIX = "encrypted:"
"""The prefix of an encrypted text in a file."""

_BOUND = PREFIX + "v2:"
_PURPOSE = b"proxywhirl: a text bound to its place, v2"
_NONCE = 12

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
        key: A Fernet key; by default the one in ``PROXYWHIRL_KEY``. No throw-away key is ever made up: the
            result could not be decrypted.

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


def seal_bound(text: str, binding: str, key: str | bytes) -> str:
    """Encrypt a text so that it can be decrypted in one place only.

    Raises ``ValueError`` (the key is malformed), ``ImportError`` (the extra ``security`` is not installed).
    """
    nonce = os.urandom(_NONCE)
    sealed: bytes = _bound_cipher(key).encrypt(nonce, text.encode("utf-8"), binding.encode("utf-8"))
    return _BOUND + base64.urlsafe_b64encode(nonce + sealed).decode("ascii")


def is_bound(text: str) -> bool:
    """Whether an encrypted text is bound to a place."""
    return text.startswith(_BOUND)


def open_sealed(text: str, binding: str, key: str | bytes) -> str:
    """Decrypt what :func:`seal_bound` made, or a Fernet token behind :data:`PREFIX`, which older versions wrote.

    Raises ``cryptography.fernet.InvalidToken`` (the key is another one, the text belongs to another place, or it is
    damaged), ``ValueError`` (the key is malformed), ``ImportError`` (the extra ``security`` is not installed).
    """
    if not is_bound(text):
        return decrypt_credentials(text[len(PREFIX) :], key)
    from cryptography.exceptions import InvalidTag

    invalid: type[Exception] = _fernet_module().InvalidToken
    cipher = _bound_cipher(key)
    try:
        sealed = base64.b64decode(text[len(_BOUND) :].encode("ascii"), b"-_", validate=True)
        plain: bytes = cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], binding.encode("utf-8"))
    except (InvalidTag, ValueError, binascii.Error):
        raise invalid(
            "cannot decrypt: it was encrypted with another key, or belongs to another proxy or field, or is damaged"
        ) from None
    return plain.decode("utf-8")


@lru_cache(maxsize=8)
def _bound_cipher(key: str | bytes) -> Any:
    _cipher(key)  # refuses what is no key
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    # A key of its own for each purpose: one that serves two ciphers is outside the proofs of both.
    derive = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_PURPOSE)
    return AESGCM(derive.derive(base64.urlsafe_b64decode(key)))
