"""``proxywhirl completion``: the script by which a shell completes the commands."""

from __future__ import annotations

import argparse

from proxywhirl.cli.errors import CommandError

HELP = "print the completion script of a shell"
DESCRIPTION = "Prints a script that lets a shell complete commands, options, names of strategies and files."
EPILOG = """\
examples:
  proxywhirl completion bash > ~/.local/share/bash-completion/completions/proxywhirl
  proxywhirl completion zsh > ~/.zfunc/_proxywhirl
  proxywhirl completion fish > ~/.config/fish/completions/proxywhirl.fish

exit status:
  0    done
  1    a package is missing (extra cli; fish needs none)
  2    wrong usage
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "tcsh"), help="the shell")


# What arguments that are files are called in the help.
FILES = ("FILE", "LIST", "SOURCE")
_BASH = """
_proxywhirl_strategies() {
  compgen -W "%s" -- "$1"
}
"""


def strategies() -> list[str]:
    """Names that ``--strategy`` takes: built-in ones, and those of installed packages."""
    from proxywhirl.strategies._registry import known_names

    return known_names()


def run(arguments: argparse.Namespace) -> int:
    """Print the script; the exit status."""
    from proxywhirl.cli.parser import build_parser

    parser = build_parser()
    if arguments.shell == "fish":
        from proxywhirl.cli.fish import script

        print(script(parser), end="")
        return 0
    try:
        import shtab
    except ImportError as error:
        raise CommandError("this needs shtab; install it with: pip install 'proxywhirl-rs[cli]'") from error
    names = " ".join(strategies())
    _complete(parser, shtab.FILE, {"bash": "_proxywhirl_strategies", "zsh": f"({names})", "tcsh": f"({names})"})
    print(shtab.complete(parser, arguments.shell, preamble=_BASH % names if arguments.shell == "bash" else ""))
    return 0


def _complete(parser: argparse.ArgumentParser, files: object, names: object) -> None:
    """Have names of files and of strategies completed wherever one is expected."""
    for action in parser._actions:
        if action.metavar in FILES:
            action.complete = files  # type: ignore[attr-defined]  # where shtab looks
        if "--strategy" in action.option_strings:
            action.complete = names  # type: ignore[attr-defined]
        if isinstance(action, argparse._SubParsersAction):
            for inner in set(action.choices.values()):
                _complete(inner, files, names)
