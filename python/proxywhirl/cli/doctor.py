"""``proxywhirl doctor``: whether the installation is sound, and what a report of a fault needs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from proxywhirl.cli.options import add_config
from proxywhirl.cli.terminal import counted, printable

if TYPE_CHECKING:
    from proxywhirl.cli.findings import Finding

HELP = "check the installation, and print what a bug report needs"
DESCRIPTION = (
    "Checks engine, packages, certificates, environment, limits and settings. It contacts nothing and shows no secrets."
)
EPILOG = """\
What it prints may be pasted into a bug report as it is: credentials are in none of it, and of variables of this library
only the names are shown.

examples:
  proxywhirl doctor
  proxywhirl doctor --json | jq '.findings[] | select(.state != "ok")'

exit status:
  0    nothing is wrong
  1    something is: lines that begin with ✗, each with a remedy
  2    wrong usage
"""

_MARKS = {"ok": " ", "note": "!", "wrong": "x"}


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="one object, with all that was found")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; the exit status."""
    findings = list(_all(arguments))
    wrong = sum(finding.state == "wrong" for finding in findings)
    if arguments.json or arguments.format == "json":
        found = [
            {name: value for name, value in finding._asdict().items() if value is not None} for finding in findings
        ]
        print(json.dumps({"ok": not wrong, "findings": found}))
        return 1 if wrong else 0
    topic = None
    for finding in findings:
        if finding.topic != topic:
            topic = finding.topic
            print(f"{topic}:")
        _print(finding)
    print(f"{counted(wrong, 'thing is', 'things are')} wrong" if wrong else "nothing is wrong")
    return 1 if wrong else 0


def _all(arguments: argparse.Namespace) -> Iterator[Finding]:
    from proxywhirl.cli import findings as found

    yield from found.platform_findings()
    yield from found.installation_findings()
    yield from found.engine_findings()
    yield from found.package_findings()
    yield from found.certificate_findings()
    yield from found.environment_findings()
    yield from found.limit_findings()
    yield from found.configuration_findings(arguments.config)


def _print(finding: Finding) -> None:
    encoding = (sys.stdout.encoding or "").lower()
    mark = "✗" if finding.state == "wrong" and encoding.startswith("utf") else _MARKS[finding.state]
    print(printable(f"{mark} {finding.name}: {finding.value}"))
    if finding.remedy is not None:
        print(printable(f"    remedy: {finding.remedy}"))
