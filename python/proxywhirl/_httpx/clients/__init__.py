"""What other HTTP clients say: their exceptions and their responses, known without importing any of them.

This package knows clients, not rules: it reads off an exception where the attempt failed, and off a response what the
site answered. What follows for the proxy is :mod:`proxywhirl._httpx.judge`'s.
"""

from __future__ import annotations

from proxywhirl._httpx.clients._answer import Answer, answer_of, carried
from proxywhirl._httpx.clients._fault import AMBIGUOUS, Fault, Finding
from proxywhirl._httpx.clients._read import is_error, read

__all__ = ["AMBIGUOUS", "Answer", "Fault", "Finding", "answer_of", "carried", "is_error", "read"]
