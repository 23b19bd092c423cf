"""What a rotator says of all its requests, and what each request says of itself, as its client takes it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from proxywhirl import _core
from proxywhirl._httpx.wishes import wished
from proxywhirl._native.redact import shown

if TYPE_CHECKING:
    from proxywhirl._httpx.library import HttpLibrary
    from proxywhirl.config import ProxyConfiguration
    from proxywhirl.rotator._keeping import Keeping
    from proxywhirl.rotator._limits import Limits
    from proxywhirl.rotator._lists import Lists
    from proxywhirl.rotator._sessions import Sessions

_WISHES = (
    *("session_id", "country", "region", "tags", "protocol", "context"),
    *("retry_policy", "ban_policy", "raise_on_ban", "max_body"),
)
_HOOKS = ("request", "response")


class Unset(Enum):
    """Stands for an argument that was not given, where ``None`` says something."""

    UNSET = "unset"


def client_options(
    kind: HttpLibrary,
    *,
    headers: Any,
    user_agent: str | None,
    base_url: Any,
    auth: Any,
    event_hooks: Mapping[str, Any] | None,
    follow_redirects: bool | None,
    timeout: Any,
) -> dict[str, Any]:
    """The arguments of the client that were given to the rotator; see :class:`ProxyRotatorBase`.

    Raises ``TypeError`` (one has the wrong type), ``ValueError`` (an event that no client has).
    """
    package = kind.module
    said = package.Headers(headers)
    if "User-Agent" not in said:
        agent = f"proxywhirl/{_core.__version__}" if user_agent is None else user_agent
        # In front: httpx has it there, too.
        said = package.Headers([("User-Agent", agent), *said.multi_items()])
    options: dict[str, Any] = {"headers": said}
    if base_url is not None:
        options["base_url"] = _url_of(base_url, package)
    if auth is not None:
        is_pair = isinstance(auth, tuple) and len(auth) == 2
        if not is_pair and not isinstance(auth, package.Auth) and not callable(auth):
            raise TypeError(f"auth must be a pair, an Auth of {kind.name} or a function, not {type(auth).__name__}")
        options["auth"] = auth
    if event_hooks is not None:
        unknown = sorted(set(event_hooks) - set(_HOOKS))
        if unknown:
            raise ValueError(f"event_hooks are 'request' and 'response', not {shown(unknown[0])}")
        options["event_hooks"] = {event: list(hooks) for event, hooks in event_hooks.items()}
    if follow_redirects is not None:
        options["follow_redirects"] = follow_redirects
    if timeout is not Unset.UNSET:
        options["timeout"] = package.Timeout(timeout)
    return options


def _url_of(base_url: Any, package: Any) -> Any:
    if not isinstance(base_url, (str, package.URL)):
        raise TypeError(f"base_url must be a str or a URL, not {type(base_url).__name__}")
    try:
        url = package.URL(base_url)
    except package.InvalidURL:
        url = None
    if url is None:
        # The message of httpx quotes what may be a login; raised here, it has none of it behind it.
        raise ValueError("base_url is not a URL that httpx can read")
    return url


class RequestsFace:
    """The way from the arguments of a request to its client."""

    _config: ProxyConfiguration
    _flavour: HttpLibrary
    _keeping: Keeping
    _limits: Limits
    _lists: Lists
    _sessions: Sessions
    _transport: Any
    _trust_env: bool
    _given: dict[str, Any]
    """What :func:`client_options` made."""
    _short: _core.ShortWay | None = None
    """Sends simple requests, from the first request on, where the engine is the native one."""

    def _short_way(self, client: Any) -> _core.ShortWay | None:
        """What sends the simple requests of a client by one call, where the engine is the native one."""
        make = getattr(self._transport.carrier, "short_way", None)
        return (
            None
            if make is None
            else make(client, self._sessions.identities, (self._keeping, self._lists, self._limits))
        )

    def _client_options(self) -> dict[str, Any]:
        config = self._config
        return {
            "transport": self._transport,
            "timeout": self._flavour.module.Timeout(config.timeout, pool=config.pool_timeout),
            "follow_redirects": config.follow_redirects,
            "trust_env": self._trust_env,
            **self._given,
        }

    def _deadline(self, kwargs: Mapping[str, Any]) -> float | None:
        """When a request that begins now must be over, by ``time.monotonic``."""
        policy = kwargs.get("retry_policy") or self._transport.retry_policy
        return None if policy.timeout is None else time.monotonic() + float(policy.timeout)

    def _arguments(
        self, kwargs: dict[str, Any], deadline: float | None = None, *, read_body: bool = True
    ) -> dict[str, Any]:
        """Turn the keywords that concern the choice into the extension that the transport reads."""
        wishes = {name: kwargs.pop(name) for name in _WISHES if name in kwargs} if kwargs else {}
        extensions = kwargs.get("extensions") or {}
        fixed = kwargs.get("timeout", self) is not self
        merges = kwargs.get("cookies") is not None
        given = extensions.get("proxywhirl")
        if not wishes and read_body and not fixed and not merges and given is None and deadline is None:
            return kwargs
        if isinstance(given, Mapping):
            wishes = {**given, **wishes}
        selection = wished(**{"read_body": read_body, "fixed_timeout": fixed, **wishes, "deadline": deadline})
        selection.merges_cookies = merges
        session_id = selection.session()
        if session_id is not None:
            identity = self._sessions.identities.of(session_id)
            selection.cookies = identity
            if len(identity.headers):
                headers = identity.headers.copy()
                headers.update(kwargs.get("headers"))
                kwargs["headers"] = headers
        kwargs["extensions"] = {**extensions, "proxywhirl": selection}
        return kwargs
