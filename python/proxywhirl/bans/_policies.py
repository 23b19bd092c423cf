"""The policy of each site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxywhirl import _core
from proxywhirl._native.redact import shown
from proxywhirl.bans._policy import BanPolicy


class BanPolicies(_core.BanTable):
    """The policy of each site, and the one for all others.

    Args:
        general: The policy of sites without one of their own; see :meth:`BanPolicy.of`.
        by_site: Policies by domain. The longest that the target's host equals or ends with applies, wholly in the place
            of the general one. ``*.`` and a leading dot are ignored; a URL means its host.

    Raises:
        TypeError: ``by_site`` is no mapping, or a policy is none.
        ValueError: A key has no host in it.
    """

    def __new__(cls, general: Any = None, by_site: Mapping[str, Any] | None = None) -> BanPolicies:
        if by_site is not None and not isinstance(by_site, Mapping):
            raise TypeError(f"ban_policies must be a mapping of domains to policies, not {type(by_site).__name__}")
        policies = {_text(site): BanPolicy.of(policy) for site, policy in (by_site or {}).items()}
        return super().__new__(cls, BanPolicy.of(general), policies)


def _text(site: Any) -> str:
    if not isinstance(site, str):
        raise TypeError(f"ban_policies: a domain is a string, not {shown(site)}")
    return site
