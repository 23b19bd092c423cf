"""What ``proxywhirl get`` writes: the body, a line of JSON, the summary."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple, Optional

from proxywhirl._native.redact import mask_proxy_url, scrub_text
from proxywhirl.cli.errors import CommandError
from proxywhirl.cli.terminal import counted, is_terminal, printable, rich_console


class Answer(NamedTuple):
    """An answer and how it came."""

    response: Any
    """An ``httpx.Response``, read."""
    proxy: Optional[str]
    """The proxy that carried it, masked; ``None`` if it is not known any more."""
    attempts: int
    """How many attempts it took."""
    elapsed_ms: float
    """From the first attempt to the end of the body, in milliseconds."""

    @property
    def is_good(self) -> bool:
        """Whether the site answered with 2xx or 3xx."""
        status: int = self.response.status_code
        return 200 <= status < 400


def write_answer(answer: Answer, arguments: argparse.Namespace) -> None:
    """Write body or JSON to where the user wants it.

    Raises ``CommandError`` (the file cannot be written, or the body is nothing for a terminal).
    """
    response = answer.response
    body: bytes = response.content
    if arguments.include and arguments.format == "text":
        body = _head(response) + body
    if arguments.output is not None:
        try:
            Path(arguments.output).write_bytes(body)
        except OSError as error:
            raise CommandError(f"{arguments.output} cannot be written: {error.strerror or error}") from error
    if arguments.format == "json":
        print(json.dumps(_facts(answer, arguments.output)))
    elif arguments.output is None:
        if sys.stdout.isatty() and b"\0" in body:
            raise CommandError("the body is binary; write it to a file with --output FILE")
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()


def write_error(error: Exception, elapsed_ms: float, arguments: argparse.Namespace) -> None:
    """Tell why there is no answer: on standard error, and as a line of JSON if that was asked for.

    Args:
        error: What happened.
        elapsed_ms: How long it took, in milliseconds.
        arguments: The parsed command line.
    """
    text = printable(scrub_text(str(error) or type(error).__name__))
    if arguments.format == "json":
        facts = {"ok": False, "url": mask_proxy_url(arguments.url), "error": text, "kind": type(error).__name__}
        print(json.dumps({**facts, "elapsed_ms": round(elapsed_ms, 1)}))
    print(f"proxywhirl get: error: {text}", file=sys.stderr)


def write_summary(answer: Answer, arguments: argparse.Namespace) -> None:
    """Report how the answer came, on standard error if that is a terminal."""
    watched = is_terminal(sys.stderr)
    if not watched and not arguments.verbose:
        return
    shown = arguments.output is None and arguments.format == "text" and sys.stdout.isatty()
    if shown and not answer.response.content.endswith(b"\n"):
        print(file=sys.stderr)
    status = answer.response.status_code
    parts = [
        f"via {answer.proxy or 'a proxy since removed'}",
        counted(answer.attempts, "attempt"),
        f"{answer.elapsed_ms:,.0f} ms",
        counted(len(answer.response.content), "byte"),
    ]
    head = f"{status} {_phrase(status)}".rstrip()
    try:
        console = rich_console(sys.stderr) if watched else None
    except CommandError:
        # The page is there; colours are no reason to fail.
        console = None
    if console is None:
        print(f"{head}, {', '.join(parts)}", file=sys.stderr)
        return
    from rich.text import Text

    mark, style = ("✓", "bold green") if answer.is_good else ("✗", "bold red")
    line = Text.assemble((f"{mark} {head}", style), ("  " + " · ".join(parts), "dim"))
    console.print(line, soft_wrap=True)


def _head(response: Any) -> bytes:
    status = response.status_code
    lines = [f"{response.http_version} {status} {_phrase(status)}".rstrip().encode("ascii")]
    lines += [name + b": " + value for name, value in response.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _phrase(status: int) -> str:
    # Ours, not the site's: it ends up on a terminal.
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _facts(answer: Answer, output: Optional[str]) -> dict[str, Any]:
    response = answer.response
    headers: dict[str, list[str]] = {}
    for name, value in response.headers.multi_items():
        headers.setdefault(name, []).append(value)
    facts: dict[str, Any] = {
        "ok": answer.is_good,
        "status": response.status_code,
        "url": mask_proxy_url(str(response.url)),
        "proxy": answer.proxy,
        "attempts": answer.attempts,
        "elapsed_ms": round(answer.elapsed_ms, 1),
        "headers": headers,
    }
    if output is not None:
        facts["output"] = output
        return facts
    text = _text(response)
    if text is None:
        facts["body_base64"] = base64.b64encode(response.content).decode("ascii")
    else:
        facts["body"] = text
    return facts


def _text(response: Any) -> Optional[str]:
    """The body as text, if that loses nothing."""
    try:
        text: str = response.content.decode(response.charset_encoding or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return None
    return text
