"""Ban rules: how to tell from an answer that a site does not want this proxy.

What is here checks and documents the rules; the core compiles them (``_core.BanRules``) and applies them.
"""

from __future__ import annotations

from proxywhirl._core import BAN_BODY_LIMIT, AnswerView
from proxywhirl.bans._policies import BanPolicies
from proxywhirl.bans._policy import BanPolicy

__all__ = ["BODY_LIMIT", "AnswerView", "BanPolicies", "BanPolicy"]

BODY_LIMIT = BAN_BODY_LIMIT
"""Bytes of a body that rules look at."""
