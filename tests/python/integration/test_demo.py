"""``make demo``, as a user runs it, and each way it can end."""

from __future__ import annotations

import argparse
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import demo
from demo import main, scenes, speed
from demo.fleet import Site
from demo.plan import Plan
from demo.stage import PlainStage, Stage, Verdict
from demo.stats import Page, ProxyRow, Stats, rows_of

pytestmark = pytest.mark.timeout(120)

COMMAND = [sys.executable, "-m", "demo", "--fast", "--proxies", "8", "--seed", "7"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "examples")}
# Far more than the twenty seconds it takes on an idle machine.
PATIENCE = 100
SCENES = (
    "threads",
    "tasks",
    "comparison",
    "session",
    "own strategy",
    "bans",
    "throttling",
    "outage",
    "speed",
    "books",
)
SUMMARY = re.compile(r"^   (kept|BROKEN) +([a-z ]+): (.*): (.*)$", re.MULTILINE)


def plan(**changes: Any) -> Plan:
    numbers = {"proxies": 8, "pages": 100, "seed": 3, "warm_up": 60, "measured": 120, "own": 80, **changes}
    return Plan(**numbers)


def test_plain_demo_keeps_its_promises() -> None:
    done = subprocess.run(COMMAND, capture_output=True, env=ENVIRONMENT, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert done.stderr == b""
    text = done.stdout.decode("ascii")
    assert not re.search(r"[^\n -~]", text), "control characters"

    for name in ("fast-1", "slow-1", "flaky-1", "hanging-1", "dead-1", "login-1"):
        assert text.partition("\n3. ")[0].count(f"\n   {name} ") == 2, (
            "each proxy has a row after either of the first two scenes"
        )
    assert "class BestOfTwo:" in text

    verdicts = {scene: (mark, found) for mark, scene, _, found in SUMMARY.findall(text.partition("\nSummary\n")[2])}
    assert tuple(verdicts) == SCENES
    assert {mark for mark, _ in verdicts.values()} == {"kept"}
    for scene in ("threads", "tasks"):
        arrived, asked = re.match(r"(\d+) of (\d+) pages", verdicts[scene][1]).groups()  # type: ignore[union-attr]
        assert int(asked) == 200
        assert int(arrived) >= 199
    after, before, ratio = re.match(  # type: ignore[union-attr]
        r"([\d.]+) ms instead of ([\d.]+) ms, \d+% lower \(ratio ([\d.]+)\)", verdicts["comparison"][1]
    ).groups()
    assert float(after) / float(before) == pytest.approx(float(ratio), abs=0.02)
    assert float(ratio) <= 0.85
    assert re.fullmatch(r"20 requests through [a-z]+-\d", verdicts["session"][1])
    assert re.fullmatch(
        r"[\d,]+ requests/s on one core, \d+ us instead of \d+ us; 800 of 800 pages", verdicts["speed"][1]
    )
    started, completed = re.match(  # type: ignore[union-attr]
        r"([\d,]+) started, ([\d,]+) completed, 0 open, 0 without a proxy", verdicts["books"][1]
    ).groups()
    assert started == completed
    assert re.fullmatch(r"all 10 promises kept, in [\d.]+ s", text.splitlines()[-1])


def test_demo_serves_from_a_list(tmp_path: Path) -> None:
    # Addresses of the whole of loopback, with a comment and a duplicate; the superuser's ports are not taken.
    lines = [f"127.{i}.{i * 3 % 250}.9:{20_000 + i}" for i in range(1, 41)]
    proxies = tmp_path / "list.txt"
    proxies.write_text("\n".join(["# proxies", *lines, lines[0], "127.0.0.9:80"]) + "\n")
    done = subprocess.run([*COMMAND, "--list", str(proxies)], capture_output=True, env=ENVIRONMENT, timeout=PATIENCE)
    text = done.stdout.decode()
    assert done.returncode == 0, text + done.stderr.decode()
    # One of the fleet is dead.
    assert "A list names 41 addresses; a check found 7 that answer." in text
    proxies.write_text("192.0.2.1:8080\n")
    refused = subprocess.run([*COMMAND, "--list", str(proxies)], capture_output=True, env=ENVIRONMENT, timeout=PATIENCE)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"not on this machine" in refused.stderr


def test_demo_on_a_terminal() -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {**ENVIRONMENT, "TERM": "xterm-256color", "PYTHONUTF8": "1", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(COMMAND, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        # Ends a demo that does not; reading has no time limit of its own.
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        shown = []
        try:
            while True:
                shown.append(os.read(ours, 65536))
        except OSError:
            # Linux says EIO when the last writer has closed.
            status = process.wait(timeout=5)
        finally:
            watchdog.cancel()
            os.close(ours)
    text = b"".join(shown).decode()
    assert status == 0, text
    assert "\x1b[?25l" in text, "the cursor is hidden while the table lives"
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "and shown again"
    assert text.count("\x1b[2K") > 100, "the table is drawn again and again"
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    for word in ("fast-1", "hanging-1", "degraded", "requests/s", "p95", "█", "BestOfTwo", "All 10 promises kept"):
        assert word in plain


@pytest.mark.parametrize("wait_for", [b"1. Threads", b"2. Tasks", b"round-robin, warm-up"])
def test_interrupt_ends_it_cleanly(wait_for: bytes) -> None:
    command = [sys.executable, "-m", "demo", "--pages", "2000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if wait_for in line:
                break
        # Somewhere in the middle of the scene.
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (130, b"")


def test_reader_that_leaves_ends_it() -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=PATIENCE) == 1
        assert process.stderr.read() == b""


def test_broken_promises_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fleets = []

    def scene(site: Site, plan: Plan, stage: Stage) -> Verdict:
        fleets.append(site.fleet)
        assert site.fleet.running
        return Verdict("good", "one", "one", True)

    def broken(site: Site, plan: Plan, stage: Stage) -> Verdict:
        return Verdict("bad", "two", "three", False)

    monkeypatch.setattr(demo, "SCENES", (("Good", scene), ("Bad", broken), ("Good too", scene)))
    assert main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "   kept    good: one: one" in lines
    assert "   BROKEN  bad: two: three" in lines
    assert lines[-1].startswith("broken: bad, in ")
    assert not fleets[0].running


def test_a_mistake_stops_the_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    fleets = []

    def scene(site: Site, plan: Plan, stage: Stage) -> Verdict:
        fleets.append(site.fleet)
        raise RuntimeError("a mistake")

    monkeypatch.setattr(demo, "SCENES", (("Scene", scene),))
    with pytest.raises(RuntimeError, match="a mistake"):
        main([])
    assert not fleets[0].running


def test_terminal_without_rich(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo, "is_terminal", lambda stream: True)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert main([]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "pip install 'proxywhirl-rs[cli]'" in said.err
    assert "--plain" in said.err


@pytest.mark.parametrize("arguments", [["--proxies", "5"], ["--pages", "99"], ["--pages", "many"], ["--seed", "-1"]])
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert not ended.value.code
    assert "examples:\n" in capsys.readouterr().out


def test_plans() -> None:
    whole = Plan.of(argparse.Namespace(proxies=24, pages=None, seed=0, fast=False))
    short = Plan.of(argparse.Namespace(proxies=24, pages=None, seed=0, fast=True))
    assert (whole.pages, short.pages) == (3000, 400)
    assert Plan.of(argparse.Namespace(proxies=24, pages=123, seed=0, fast=True)).pages == 123


class TestScenesCanFail:
    """A promise that cannot be broken promises nothing: each scene meets a fleet that breaks it."""

    def play(self, scene: Any, site: Site, numbers: Plan) -> tuple[Verdict, str]:
        stream = io.StringIO()
        return scene(site, numbers, PlainStage(stream)), stream.getvalue()

    @pytest.mark.parametrize("scene", [scenes.threads, scenes.tasks])
    def test_pages_do_not_arrive(self, scene: Any) -> None:
        with Site(plan(pages=40)) as site:
            for proxy in site.fleet:
                proxy.fail("refuse")
            verdict, text = self.play(scene, site, plan(pages=40))
        assert not verdict.kept
        assert verdict.found.startswith("0 of 20 pages")
        assert "Lost: Proxy" in text

    def test_all_are_equally_fast(self) -> None:
        with Site(plan()) as site:
            for proxy in site.fleet:
                proxy.heal()
                proxy.set_behaviour(latency=20.0)
            verdict, _ = self.play(scenes.faster, site, plan())
        assert not verdict.kept

    def test_session_changes_its_proxy(self) -> None:
        with Site(plan()) as site:
            with site.rotator("round-robin") as rotator:
                for page in range(30):
                    rotator.get(site.url(page))
            for proxy in site.fleet:
                proxy.heal()
                proxy.set_behaviour(flap=(2, 1), fail_with="reset")
            verdict, _ = self.play(scenes.session, site, plan())
        assert not verdict.kept

    def test_own_strategy_has_nothing_to_choose_by(self) -> None:
        with Site(plan()) as site:
            for proxy in site.fleet:
                proxy.heal()
                proxy.set_behaviour(latency=1.0)
            for name in site.named("fast") | site.named("login") | site.named("flaky"):
                site.fleet[name].set_behaviour(latency=100.0)
            verdict, _ = self.play(scenes.own_strategy, site, plan())
        assert not verdict.kept

    def test_pages_are_not_what_was_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
        monkeypatch.setattr(speed, "_is_page", lambda response: len(response.content) == 7)
        with Site(plan()) as site:
            verdict, text = self.play(speed.speed, site, plan(timed=20))
        assert not verdict.kept
        assert verdict.found.endswith("; 0 of 80 pages")
        assert re.search(r"\n   native +\d+ us +[\d,]+ requests/s", text)

    def test_request_that_went_around_the_proxies(self) -> None:
        import httpx

        with Site(plan()) as site:
            with site.rotator("round-robin") as rotator:
                rotator.get(site.url(1))
                kept, _ = self.play(scenes.books, site, plan())
                httpx.get(site.fleet.http_url("/"))
                around, _ = self.play(scenes.books, site, plan())
                lease = rotator.lease()
                still_open, _ = self.play(scenes.books, site, plan())
                lease.release()
        assert kept.kept
        assert not around.kept
        assert "1 without a proxy" in around.found
        assert "1 open" in still_open.found


class TestPages:
    def test_another_page_does_not_count(self) -> None:
        with Site(plan()) as site, site.rotator("round-robin", site.named("fast")) as rotator:
            response = rotator.get(site.url(5))
            assert site.carrier(response, 5, rotator.pool) in site.named("fast")
            with pytest.raises(ValueError, match="page 6 has the content of"):
                site.carrier(response, 6, rotator.pool)

    def test_another_proxy_does_not_count(self) -> None:
        with Site(plan()) as site, site.rotator("round-robin", site.named("fast")) as rotator:
            response = rotator.get(site.url(5))
            facts = response.extensions["proxywhirl"]
            other = next(proxy for proxy in rotator.pool if proxy.id != facts["proxy_id"])
            facts["proxy_id"] = other.id
            with pytest.raises(ValueError, match="but the rotator says"):
                site.carrier(response, 5, rotator.pool)

    def test_another_status_does_not_count(self) -> None:
        with Site(plan()) as site, site.rotator("round-robin", site.named("fast")) as rotator:
            response = rotator.get(site.fleet.site_url("shop.test", "/status/404"))
            with pytest.raises(ValueError, match="status 404"):
                site.carrier(response, 5, rotator.pool)

    def test_nothing_of_the_environment_matters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PROXYWHIRL_POOL_SIZE", "2")
        monkeypatch.setenv("PROXYWHIRL_STRATEGY", "nonsense")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        with Site(plan()) as site, site.rotator("round-robin") as rotator:
            assert len(rotator.pool) == 8
            assert rotator.config.timeout == 1


class TestStats:
    def test_numbers(self) -> None:
        stats = Stats()
        for number in range(1, 101):
            stats.add(Page("a" if number % 4 else "b", float(number), attempts=2))
        stats.add(Page(None, 1000.0, trouble="lost"))
        assert (stats.done, stats.arrived, stats.attempts) == (101, 100, 200)
        assert stats.success_rate == pytest.approx(100 / 101)
        assert stats.mean_ms == pytest.approx(50.5)
        assert stats.percentiles(50, 95, 100) == [51.0, 96.0, 100.0]
        assert stats.share_of({"b"}) == 0.25
        assert stats.troubles == ["lost"]
        assert stats.per_second > 0

    def test_nothing_yet(self) -> None:
        stats = Stats()
        assert (stats.success_rate, stats.per_second, stats.share_of({"a"})) == (0.0, 0.0, 0.0)
        assert str(stats.mean_ms) == "nan"
        assert [str(value) for value in stats.percentiles(50, 95)] == ["nan", "nan"]

    def test_rows(self) -> None:
        with Site(plan()) as site, site.rotator("round-robin", site.named("fast")) as rotator:
            site.names = [name for name in site.names if name in site.named("fast")]
            for page in range(4):
                rotator.get(site.url(page))
            rows = rows_of(site, rotator.pool)
        assert [row.name for row in rows] == site.names
        assert sum(row.successes for row in rows) == 4
        assert sum(row.share for row in rows) == pytest.approx(1.0)

    def test_rows_that_do_not_fit_leave_every_kind(self) -> None:
        from demo.table import _bar, _fitting

        rows = [
            ProxyRow(f"{kind}-{i}", "healthy", 0.0, None, 0, 0)
            for kind, number in (("fast", 9), ("dead", 2), ("slow", 6))
            for i in range(1, number + 1)
        ]
        assert _fitting(rows, 17) == rows
        kept = [row.name for row in _fitting(rows, 7)]
        assert kept == ["fast-1", "fast-2", "fast-3", "dead-1", "dead-2", "slow-1", "slow-2"]
        assert len(_fitting(rows, -3)) == 1
        assert [_bar(part, 1.0) for part in (0.0, 0.5, 1.0, 2.0)] == [" " * 12, "██████      ", "█" * 12, "█" * 12]
