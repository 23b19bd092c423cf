"""``proxywhirl demo``: the library at work on a fleet of proxies on this machine."""

from __future__ import annotations

import argparse
import sys
import time

from proxywhirl.cli.demo.fleet import Site
from proxywhirl.cli.demo.plan import Plan
from proxywhirl.cli.demo.scenes import SCENES
from proxywhirl.cli.demo.stage import PlainStage, Stage, Verdict
from proxywhirl.cli.errors import CommandError
from proxywhirl.cli.terminal import is_terminal, rich_console

__all__ = ["run"]

_KEPT, _BROKEN = 0, 1


def run(arguments: argparse.Namespace) -> int:
    """Play all scenes.

    Args:
        arguments: The parsed command line.

    Returns:
        0 if every promise was kept, else 1.

    Raises:
        CommandError: The output is a terminal and rich is not installed, or the fleet cannot be started.
    """
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
    from proxywhirl.cli.demo.table import RichStage

    return RichStage(console)
