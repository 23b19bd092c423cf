"""What is secret in a file: encrypted when there is a key, in clear with a warning when there is none."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl import _core
from proxywhirl._base.crypto import KEY_VARIABLE, PREFIX, decrypt_credentials, is_bound, open_sealed, seal_bound

if TYPE_CHECKING:
    Source = _core.ProxyPool | list[_core.Proxy]

__all__ = ["PREFIX", "ClearTextWarning", "Vault"]

_log = logging.getLogger("proxywhirl.storage")
# Texts encrypted at a stretch while others wait for the interpreter: about half a millisecond.
_STRETCH = 16
# Long enough for a thread that waits to get the interpreter, which a mere yield does not promise.
_PAUSE = 0.0002


class ClearTextWarning(UserWarning):
    """Credentials are being saved as they are, because no key was given."""


class Vault:
    """Encrypts and decrypts the secret texts of a storage. Thread-safe as far as its users hold a lock while they save.

    Args:
        key: A Fernet key; by default that of the first of ``variables`` that is set.
        variables: Environment variables to look for a key in.
        previous: Environment variable with an older key, that is still tried for reading.
    """

    def __init__(
        self, key: str | bytes | None = None, variables: Iterable[str] = (KEY_VARIABLE,), previous: str | None = None
    ) -> None:
        self._given = key
        self._variables = tuple(variables)
        self._previous = previous
        self._seals: _core.SealedTexts | None = None
        self._sealed_with: str | bytes | None = None
        self._texts: dict[tuple[str, str], str] = {}
        self._warned = False

    @property
    def key(self) -> str | bytes | None:
        """The key in force."""
        return self._given or next((os.environ[name] for name in self._variables if os.environ.get(name)), None)

    def seals_for(self, source: Source, *, gentle: bool = False) -> _core.SealedTexts | None:
        """Encrypt what of a pool has not been encrypted yet, each text bound to its proxy and field.

        Args:
            source: A pool, or a list of proxies.
            gentle: Let others have the interpreter at least every millisecond.

        Returns:
            The encrypted texts, ``None`` without a key.
        """
        key = self.key
        if key is None:
            return None
        if self._seals is None or self._sealed_with != key:
            self._seals, self._sealed_with = _core.SealedTexts(), key
            self._texts.clear()
        for number, secret in enumerate(self._seals.missing(source)):
            self._seals.put(secret, seal_bound(secret.text, secret.binding, key))
            if gentle and number % _STRETCH == 0:
                time.sleep(_PAUSE)
        return self._seals

    def seal(self, text: str, binding: str) -> str:
        """Encrypt one text, if there is a key; the same text gives the same result until the key changes."""
        key = self.key
        if key is None:
            return text
        if len(self._texts) > 100_000:
            self._texts.clear()
        found = self._texts.get((text, binding))
        if found is None:
            found = self._texts[text, binding] = seal_bound(text, binding, key)
        return found

    def open(self, text: str, binding: str) -> str:
        """Decrypt a text that is encrypted; one that is not is returned as it is.

        A text encrypted before texts were bound opens anywhere.

        Raises ``cryptography.fernet.InvalidToken`` (it was encrypted with another key, or for another place, or is
        damaged), ``ValueError`` (there is no key), ``ImportError`` (the extra ``security`` is not installed).
        """
        if not text.startswith(PREFIX):
            return text
        return self._with_keys(lambda key: open_sealed(text, binding, key))

    def decrypt(self, token: str) -> str:
        """Decrypt a bare token, which is bound to nothing; raises as :meth:`open`."""
        return self._with_keys(lambda key: decrypt_credentials(token, key))

    def _with_keys(self, decrypt: Callable[[str | bytes], str]) -> str:
        """What the key makes of it, or else the older key."""
        key = self.key
        older = os.environ.get(self._previous) if self._previous else None
        keys = [key for key in (key, older) if key is not None]
        if not keys:
            names = " or ".join(self._variables)
            raise ValueError(f"credentials in it are encrypted: give encryption_key=, or set {names}")
        try:
            return decrypt(keys[0])
        except Exception as error:
            if type(error).__name__ != "InvalidToken" or len(keys) == 1:
                raise
            return decrypt(keys[1])

    def open_all(self, texts: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The plain text of each encrypted one."""
        opened: dict[str, str] = {}
        for text, binding in texts:
            # Once for each place: what is right in one may be copied from there to another.
            if text not in opened or is_bound(text):
                opened[text] = self.open(text, binding)
        return opened

    def warn_of_clear_text(self, where: Any, *, gentle: bool = False) -> None:
        """Say once that credentials are saved in clear."""
        if self._warned:
            return
        self._warned = True
        message = (
            f"credentials are saved in clear in {where}, readable by this user only: give encryption_key=, set "
            f"{self._variables[0]}, or save with include_credentials=False"
        )
        if gentle:
            # In the background a warning turned into an error would lose the save.
            _log.warning(message)
        else:
            warnings.warn(message, ClearTextWarning, stacklevel=4)
