"""``proxywhirl completion``: what a shell needs to complete the commands."""

from __future__ import annotations

import argparse

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
