"""``proxywhirl completion``: the script by which a shell completes the commands."""

from __future__ import annotations

import argparse

from proxywhirl.cli.errors import CommandError

HELP = "print the completion script of a shell"
DESCRIPTION = "Prints a script that lets a shell complete commands, options and files."
EPILOG = """\
examples:
  proxywhirl completion bash > ~/.local/share/bash-completion/completions/proxywhirl
  proxywhirl completion zsh > ~/.zfunc/_proxywhirl
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell")


# What arguments that are files are called in the help.
_FILES = ("FILE", "LIST", "SOURCE")


def run(arguments: argparse.Namespace) -> int:
    """Print the script; the exit status."""
    from proxywhirl.cli.parser import build_parser

    try:
        import shtab
    except ImportError as error:
        raise CommandError("this needs shtab; install it with: pip install 'proxywhirl-rs[cli]'") from error
    parser = build_parser()
    _complete_files(parser, shtab.FILE)
    print(shtab.complete(parser, arguments.shell))
    return 0


def _complete_files(parser: argparse.ArgumentParser, how: object) -> None:
    """Have names of files completed wherever one is expected."""
    for action in parser._actions:
        if action.metavar in _FILES:
            action.complete = how  # type: ignore[attr-defined]  # where shtab looks
        if isinstance(action, argparse._SubParsersAction):
            for inner in set(action.choices.values()):
                _complete_files(inner, how)
