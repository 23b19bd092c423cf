"""``make demo``: the library at work on a fleet of proxies on this machine."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Optional

from demo.arguments import build_parser
from demo.fleet import Site
from demo.plan import Plan
from demo.scenes import SCENES
from demo.stage import PlainStage, Stage, Verdict
from proxywhirl.cli.errors import CommandError
from proxywhirl.cli.terminal import is_terminal, rich_console

__all__ = ["main"]

_KEPT, _BROKEN = 0, 1
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Play all scenes.

    Args:
        argv: The arguments after the program's name; those of the process by default.

    Returns:
        0 if every promise was kept, 1 if not or if the demo cannot run, 130 if interrupted.

    Raises:
        SystemExit: Wrong usage, with status 2.
    """
    arguments = build_parser().parse_args(argv)
    try:
        return _run(arguments)
    except CommandError as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return _BROKEN
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Python flushes again at exit and would complain again, so nothing is left to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN


def _run(arguments: argparse.Namespace) -> int:
    plan = Plan.of(arguments)
    stage = _stage(plain=arguments.plain)
    started = time.perf_counter()
    verdicts: list[Verdict] = []
    try:
        site = Site(plan)
    except OSError as error:
        raise CommandError(f"a fleet of {plan.proxies} proxies cannot be started: {error}") from error
    with site:
        stage.opening(site, plan)
        for number, (title, scene) in enumerate(SCENES, start=1):
            stage.begin(number, title)
            verdict = scene(site, plan, stage)
            stage.verdict(verdict)
            verdicts.append(verdict)
    stage.summary(verdicts, time.perf_counter() - started)
    return _KEPT if all(verdict.kept for verdict in verdicts) else _BROKEN


def _stage(*, plain: bool) -> Stage:
    if plain or not is_terminal(sys.stdout):
        return PlainStage(sys.stdout)
    try:
        console = rich_console(sys.stdout)
    except CommandError as error:
        raise CommandError(f"{error}, or try --plain") from error
    from demo.table import RichStage

    return RichStage(console)
