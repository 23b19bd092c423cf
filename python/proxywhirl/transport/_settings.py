"""How a transport works: the arguments of both transports, and what is made of them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable

from proxywhirl._core import Changes, ConnectionsLimit, ReportJudge, RuleJudge, StatusJudge
from proxywhirl._httpx.cookies import CookieStore
from proxywhirl._httpx.limits import Limits, most_routes
from proxywhirl._httpx.look import response_of
from proxywhirl._httpx.selection import Selection, checked_bound
from proxywhirl._httpx.tls import Cert, Tls, Verify
from proxywhirl.bans import BanPolicies
from proxywhirl.resilience import guard_settings
from proxywhirl.transport._source import Source

if TYPE_CHECKING:
    from http.cookiejar import Cookie

    from proxywhirl import _core
    from proxywhirl._httpx.library import HttpLibrary
    from proxywhirl.resilience import ResilienceConfig
    from proxywhirl.retry import RetryPolicy


class Settings:
    """What both transports are made with; the arguments are those of :class:`RotatingTransport`."""

    cookies: CookieStore | None = None
    """Where cookies go without a session; ``None``: to the client."""
    first_cookies: Sequence[Cookie] = ()
    """Cookies of every request without a session, where that is `None`."""
    keeps_hops = False
    """Whether cookies set by a redirect are kept for the rest of the redirects, as the client has no jar."""
    changes: Changes
    """Counts the changes of these attributes: a request on the short way reads them anew after one."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        del args, kwargs
        made = super().__new__(cls)
        object.__setattr__(made, "changes", Changes())
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        self.changes.note()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self.changes.note()

    def __init__(
        self,
        source: Any,
        *,
        strategy: Any = None,
        retry_policy: RetryPolicy | None = None,
        read_bodies: bool = False,
        verify: Verify = True,
        proxy_verify: Verify | None = None,
        cert: Cert | None = None,
        trust_env: bool = False,
        max_connections: int | None = 100,
        max_keepalive_connections: int | None = 20,
        keepalive_expiry: float | None = 300.0,
        max_proxies: int | None = None,
        timeout_for: Callable[[Any], float | None] | None = None,
        auth_statuses: tuple[int, ...] | None = None,
        ban_policy: Any = None,
        ban_policies: Mapping[str, Any] | None = None,
        raise_on_ban: bool | None = None,
        allow_direct: bool = False,
        max_in_flight: int | None = None,
        slow_start: bool | None = None,
        site_rate_limit: Any = None,
        resilience: ResilienceConfig | None = None,
        max_body: float | None = None,
        engine: str | None = None,
        http2: bool = False,
    ) -> None:
        guard = guard_settings(
            max_in_flight=max_in_flight, slow_start=slow_start, site_rate_limit=site_rate_limit, resilience=resilience
        )
        self.max_body = checked_bound(max_body)
        lent = Source.of(source, strategy)
        if lent.bans is None or ban_policy is not None or ban_policies is not None:
            self.bans = BanPolicies(ban_policy, ban_policies)
        else:
            self.bans = lent.bans
        self.chooser = lent.chooser
        if guard:
            self.pool._guard_configure(**guard)
        self.retry_policy: Any = lent.retry_policy if retry_policy is None else retry_policy
        """How often to try; assigning another holds for requests that begin from then on."""
        if self.retry_policy is None:
            from proxywhirl.retry import RetryPolicy

            self.retry_policy = RetryPolicy()
        self.raise_on_ban = lent.raise_on_ban if raise_on_ban is None else raise_on_ban
        self.allow_direct = allow_direct
        self.read_bodies = read_bodies
        self.timeout_for = timeout_for
        self.report_judge = None
        """What ``report()`` of a lease judges by; ``None`` means as everywhere."""
        self._auth_statuses = auth_statuses
        if not self.bans.is_plain or auth_statuses is not None:
            self.report_judge = ReportJudge(self.bans, auth_statuses)
        self._judge = StatusJudge(self.bans.general, auth_statuses)
        self._judges_alike = self.bans.is_plain
        tls = Tls(verify, proxy_verify, trust_env=trust_env, cert=cert, http2=http2)
        limits = Limits(
            max_keepalive_connections, keepalive_expiry, most_routes() if max_proxies is None else max_proxies
        )
        self.carrier = self._make_carrier(engine, tls, limits)
        """Sends single requests, and owns the connections."""
        # In force as long as this transport lives.
        self._connections_limit = None if max_connections is None else ConnectionsLimit(self.pool, max_connections)

    def _make_carrier(self, engine: str | None, tls: Tls, limits: Limits) -> Any:
        raise NotImplementedError

    @property
    def pool(self) -> _core.ProxyPool:
        """The proxies."""
        return self.chooser.pool

    def report_judge_of(self, ban_policy: Any) -> Any:
        """As :attr:`report_judge`, with other ban rules unless they are ``None``."""
        return self.report_judge if ban_policy is None else ReportJudge(BanPolicies(ban_policy), self._auth_statuses)

    def _judge_of(self, request: Any, kind: HttpLibrary, selection: Selection | None) -> StatusJudge | RuleJudge:
        """What the answers to a request are judged by."""
        policy = None if selection is None else selection.ban_policy
        if policy is None:
            policy = self.bans.for_host(request.url.host)
        if policy.looks_inside or policy.judges_failures:
            return RuleJudge(policy, request, lambda payload: response_of(payload, request, kind), self._auth_statuses)
        return self._judge if policy is self.bans.general else StatusJudge(policy, self._auth_statuses)
