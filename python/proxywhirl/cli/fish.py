"""The completion script of fish: a line per option, with the commands after which it is offered."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from proxywhirl.cli.completion import FILES, strategies

# Words before the cursor that are no options. Values of options count as words, too, which does no harm: a command is
# looked for by name.
_HEAD = """\
# Completions of proxywhirl for fish, made by: proxywhirl completion fish
complete -c proxywhirl -f
function __proxywhirl_seen
    set -l words (commandline -opc)
    for word in $argv
        contains -- $word $words; and return 0
    end
    return 1
end
"""


def script(parser: argparse.ArgumentParser) -> str:
    """The script for a parser and the commands in it."""
    return _HEAD + "".join(f"{line}\n" for line in _lines(parser, []))


def _lines(parser: argparse.ArgumentParser, path: list[list[str]]) -> Iterator[str]:
    """Lines for a parser that is reached by these words, each with its other names."""
    seen = [f"__proxywhirl_seen {' '.join(names)}" for names in path]
    inner = next((action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None)
    # The words of the commands below: where one of them is there, this level is over.
    below = [] if inner is None else sorted(inner.choices)
    here = [*seen, *([f"not __proxywhirl_seen {' '.join(below)}"] if below else [])]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        # Options of a command hold for what is below it, those of the program for the first word only.
        conditions = seen if path else here
        if action.option_strings:
            options = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in action.option_strings
            )
            yield _line(conditions, f"{options}{_value(action)}{_help(action.help)}")
        elif action.choices or action.metavar in FILES:
            yield _line(conditions, _value(action).strip())
    if inner is None:
        return
    helps = {choice.dest: choice.help for choice in inner._choices_actions}
    groups: dict[int, list[str]] = {}
    for name, child in inner.choices.items():
        groups.setdefault(id(child), []).append(name)
    for group in groups.values():
        text = next((helps[dest] for dest in helps if dest.split(" ")[0] in group), None)
        for name in group:
            yield _line(here, f"-a {_quoted(name)}{_help(text)}")
    for group in groups.values():
        yield from _lines(inner.choices[group[0]], [*path, group])


def _line(conditions: list[str], rest: str) -> str:
    condition = f" -n {_quoted('; and '.join(conditions))}" if conditions else ""
    return f"complete -c proxywhirl{condition} {rest}"


def _value(action: argparse.Action) -> str:
    """What comes after an option, or stands in the place of an argument."""
    if action.nargs == 0:
        return ""
    need = " -r" if action.option_strings else ""
    if "--strategy" in action.option_strings:
        return f"{need} -a {_quoted(' '.join(strategies()))}"
    if action.choices:
        return f"{need} -a {_quoted(' '.join(map(str, action.choices)))}"
    return f"{need} -F" if action.metavar in FILES else need


def _help(text: object) -> str:
    return "" if not text or text == argparse.SUPPRESS else f" -d {_quoted(str(text).replace('%%', '%'))}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
