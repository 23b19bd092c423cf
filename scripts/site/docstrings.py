"""Docstrings, in Google's form with the roles of Sphinx, as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

from griffe import Docstring, DocstringSection, DocstringSectionKind

Link = Callable[[str], str]
"""Markdown for the name of a public thing: a link to its place, or the name in code."""

_ROLE = re.compile(r":(?:py:)?(?:class|meth|func|attr|mod|exc|data|obj):`([^`]+)`")
_BLOCK = re.compile(r"^(?P<head>[^\n]*?)::[ ]*\n\n?(?P<code>(?:[ ]+[^\n]*\n|[ ]*\n)*(?:[ ]+[^\n]*))", re.MULTILINE)
_FENCE = re.compile(r"(```.*?```)", re.DOTALL)
_TITLES = {
    DocstringSectionKind.parameters: "Arguments",
    DocstringSectionKind.other_parameters: "Further arguments",
    DocstringSectionKind.attributes: "Attributes",
    DocstringSectionKind.raises: "Raises",
    DocstringSectionKind.returns: "Returns",
    DocstringSectionKind.yields: "Yields",
}


def markdown(text: str, link: Link) -> str:
    """All of a docstring."""
    # Names and types stand in the signature; a section that has none besides is no fault of the docstring.
    sections = Docstring(text).parse("google", warnings=False, returns_named_value=False)
    return "\n\n".join(part for part in (_section(section, link) for section in sections) if part)


def summary(text: str, link: Link) -> str:
    """Its first sentence or paragraph, for a cell of a table."""
    first = text.strip().split("\n\n")[0].replace("\n", " ")
    return prose(re.sub(r"::$", ":", first), link).replace("|", "\\|")


def prose(text: str, link: Link) -> str:
    """Running text: blocks of code, names with roles, literals."""
    text = _BLOCK.sub(_fenced, textwrap.dedent(text))
    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else _inline(part, link) for part in parts)


def _fenced(found: re.Match[str]) -> str:
    code = textwrap.dedent(found["code"]).strip("\n")
    head = found["head"].rstrip()
    language = "python" if re.search(r"\w\(|^(?:for|with|async|import|from) ", code, re.MULTILINE) else "text"
    return f"{head + ':' if head else ''}\n\n```{language}\n{code}\n```\n"


def _inline(text: str, link: Link) -> str:
    def named(found: re.Match[str]) -> str:
        return link(found[1].lstrip("~."))

    text = _ROLE.sub(named, text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return re.sub(r"`([^`<\n]+) <([^`>\s]+)>`_+", r"[\1](\2)", text)


def _section(section: DocstringSection, link: Link) -> str:
    kind = section.kind
    if kind is DocstringSectionKind.text:
        return prose(section.value, link).strip()
    if kind is DocstringSectionKind.admonition:
        return f"**{section.title or 'Note'}.** {prose(section.value.description, link).strip()}"
    if kind is DocstringSectionKind.examples:
        return "\n\n".join(
            prose(value, link) if part is DocstringSectionKind.text else f"```python\n{value}\n```"
            for part, value in section.value
        )
    title = _TITLES.get(kind)
    if title is None:
        return ""
    lines = [f"**{title}**", ""]
    for item in section.value:
        name = str(getattr(item, "name", "") or "")
        if kind is DocstringSectionKind.raises:
            name = str(item.annotation)
        text = prose(item.description, link).strip().replace("\n", "\n    ")
        known = link(name) if kind is DocstringSectionKind.raises else f"`{name}`"
        lines.append(f"- {known}: {text}" if name else f"- {text}")
    return "\n".join(lines)
