"""Ban hooks: the methods of a spider, and policy classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy.utils.misc import load_object

from proxywhirl._httpx.clients import AMBIGUOUS, read
from proxywhirl.bans import BanPolicy
from proxywhirl.integrations.scrapy._options import check_enabled

if TYPE_CHECKING:
    from typing_extensions import Self

BAN = "_ban"
"""Where requests carry what a hook said: ``True``, ``False`` or ``None``."""
_THEIR_DEFAULT = "rotating_proxies.policy.BanDetectionPolicy"


class BanDetectionPolicy:
    """The rules of scrapy-rotating-proxies, to begin one's own from: all but a page with something on it is a ban.

    Not in force unless ``ROTATING_PROXY_BAN_POLICY`` names it or a class made of it: proxywhirl tells a ban from a page
    that is missing, and a proxy that is down from a site that is.

    Attributes:
        welcome: Statuses that are no bans.
    """

    welcome = frozenset({200, 301, 302})

    def response_is_ban(self, request: Any, response: Any) -> bool | None:
        """Whether an answer is a ban; ``None`` for no opinion."""
        del request
        return response.status not in self.welcome or (response.status == 200 and not response.body)

    def exception_is_ban(self, request: Any, exception: BaseException) -> bool | None:
        """Whether a failure is a ban; ``None`` for no opinion."""
        from scrapy.exceptions import IgnoreRequest

        del request
        return not isinstance(exception, IgnoreRequest)


class BanDetectionMiddleware:
    """Asks the spider, or else the policy, whether an answer or a failure is a ban; at 620.

    A spider's ``response_is_ban(request, response)`` and ``exception_is_ban(request, exception)`` take the place of
    those of the class that ``ROTATING_PROXY_BAN_POLICY`` (or ``PROXYWHIRL_BAN_HOOKS``) names. Where there are none, or
    what is asked gives ``None``, proxywhirl's own rules decide.
    """

    def __init__(self, crawler: Any, policy: Any = None) -> None:
        self._crawler = crawler
        self.policy = policy

    @classmethod
    def from_crawler(cls, crawler: Any) -> Self:
        """Make it of the settings of a crawler."""
        check_enabled(crawler.settings)
        settings = crawler.settings
        path = settings.get("PROXYWHIRL_BAN_HOOKS") or settings.get("ROTATING_PROXY_BAN_POLICY")
        if not path:
            return cls(crawler)
        try:
            kind = load_object(path)
        except ImportError:
            if path != _THEIR_DEFAULT:
                raise
            kind = BanDetectionPolicy
        make = getattr(kind, "from_crawler", None)
        return cls(crawler, kind() if make is None else make(crawler))

    def process_response(self, request: Any, response: Any, spider: Any = None) -> Any:
        """Ask about an answer."""
        del spider
        request.meta[BAN] = self._ask("response_is_ban", request, response)
        return response

    def process_exception(self, request: Any, exception: Exception, spider: Any = None) -> None:
        """Ask about a failure."""
        del spider
        request.meta[BAN] = self._ask("exception_is_ban", request, exception)

    def _ask(self, name: str, request: Any, what: Any) -> bool | None:
        for hooks in (self._crawler.spider, self.policy):
            ask = getattr(hooks, name, None)
            if ask is not None:
                said = ask(request, what)
                return None if said is None else bool(said)
        return None


class HookRule:
    """The rule of a ban policy that says what the hook said of the request that is being reported.

    Args:
        own: The ``custom`` rule of the project's policy, which is asked where the hook is silent.
    """

    def __init__(self, own: Any = None) -> None:
        self.said: bool | None = None
        self._own = own() if isinstance(own, type) else own

    def response_is_ban(self, request: Any, response: Any) -> Any:
        """What was said of the answer."""
        own = self._own
        if self.said is not None or own is None:
            return self.said
        ask = getattr(own, "response_is_ban", None)
        if ask is not None:
            return ask(request, response)
        return own(response) if callable(own) else None

    def exception_is_ban(self, request: Any, exception: BaseException) -> Any:
        """What was said of the failure, where that is open: a proxy that refuses connections is down all the same."""
        if self.said is not None:
            return self.said if read(exception).fault in AMBIGUOUS else None
        ask = getattr(self._own, "exception_is_ban", None)
        return None if ask is None else ask(request, exception)


def hooked(policy: BanPolicy) -> tuple[BanPolicy, HookRule]:
    """A policy that asks hooks first, and the rule that is told what they say."""
    rule = HookRule(policy.custom)
    made = BanPolicy(
        statuses=policy.statuses,
        body=policy.body,
        headers=policy.headers,
        redirect=policy.redirect,
        exceptions=policy.exceptions,
        custom=rule,
    )
    return made, rule
