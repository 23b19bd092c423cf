"""User name and password of a proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SecretStr

from proxywhirl._native.model.quiet import QuietModel
from proxywhirl._native.redact import SECRET_MASK

if TYPE_CHECKING:
    import httpx


class ProxyCredentials(QuietModel):
    """Credentials of a proxy; hidden in ``repr``, ``str`` and dumps.

    Attributes:
        username: User name.
        password: Password, or the token itself for ``bearer``.
        auth_type: Scheme of authentication.
        additional_headers: Further headers to send; they may be secrets too and do not show in ``repr``.
    """

    username: SecretStr
    password: SecretStr
    auth_type: Literal["basic", "digest", "bearer"] = "basic"
    additional_headers: dict[str, str] = Field(default_factory=dict, repr=False)

    def to_httpx_auth(self) -> httpx.BasicAuth | httpx.DigestAuth:
        """Make the httpx object that authenticates with these credentials.

        Returns:
            ``httpx.BasicAuth``, or ``httpx.DigestAuth`` when ``auth_type`` is ``digest``.

        Raises:
            ValueError: ``auth_type`` is ``bearer``, for which httpx has no class.
        """
        import httpx

        if self.auth_type == "bearer":
            raise ValueError("httpx has no bearer authentication: send an Authorization header instead")
        kind = httpx.DigestAuth if self.auth_type == "digest" else httpx.BasicAuth
        return kind(self.username.get_secret_value(), self.password.get_secret_value())

    def to_dict(self, reveal: bool = False) -> dict[str, Any]:
        """Return the credentials as a dictionary.

        Args:
            reveal: Show the secrets; otherwise user name, password and the values of the additional headers
                are asterisks.

        Returns:
            All fields by name.
        """
        return {
            "username": self.username.get_secret_value() if reveal else SECRET_MASK,
            "password": self.password.get_secret_value() if reveal else SECRET_MASK,
            "auth_type": self.auth_type,
            "additional_headers": {
                name: value if reveal else SECRET_MASK for name, value in self.additional_headers.items()
            },
        }
