"""How much of everything the demo does."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Optional

__all__ = ["Plan"]

_PAGES, _PAGES_FAST = 3000, 400
_MEASURED, _MEASURED_FAST = 800, 240
_OWN, _OWN_FAST = 400, 160
_TIMED, _TIMED_FAST = 2000, 200
# Performance-based tries each proxy five times before it trusts its averages, and what is dead or hangs needs three
# failures to be left alone.
_WARM_UP_PER_PROXY = 10


@dataclass(frozen=True)
class Plan:
    """The numbers of one demo.

    Attributes:
        proxies: Proxies in the fleet.
        pages: Pages of the first two scenes together.
        seed: What all randomness follows from.
        warm_up: Pages per strategy before a comparison measures.
        measured: Pages per strategy that a comparison measures.
        own: Pages for the strategy written in Python, after its warm-up.
        timed: Pages in each way of which the processor time is measured.
        list: A list of proxies to serve from; ``None`` for the fleet's own addresses.
        threads: Threads that fetch.
        tasks: Tasks that fetch.
        measuring_threads: Threads of a comparison: few, so that pages wait for proxies and not for the interpreter.
        rounds: Rounds of a comparison, in each of which every strategy has its turn.
        session_requests: Requests of the sticky session.
    """

    proxies: int
    pages: int
    seed: int
    warm_up: int
    measured: int
    own: int
    timed: int = _TIMED
    list: Optional[str] = None
    threads: int = 16
    tasks: int = 64
    measuring_threads: int = 6
    rounds: int = 4
    session_requests: int = 20

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Plan:
        """The plan for a command line.

        Args:
            arguments: The parsed command line: ``proxies``, ``pages``, ``seed``, ``fast``, ``list``.
        """
        fast: bool = arguments.fast
        pages = arguments.pages if arguments.pages is not None else _PAGES_FAST if fast else _PAGES
        return cls(
            proxies=arguments.proxies,
            pages=pages,
            seed=arguments.seed,
            warm_up=_WARM_UP_PER_PROXY * arguments.proxies,
            measured=_MEASURED_FAST if fast else _MEASURED,
            own=_OWN_FAST if fast else _OWN,
            timed=_TIMED_FAST if fast else _TIMED,
            list=getattr(arguments, "list", None),
        )
