"""The pages of the API reference: every public name, from the docstrings, the signatures and the stub."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from docstrings import markdown, summary
from public import Page, integrations, pages

PACKAGE = Path(__file__).parents[2] / "python"
_LONGEST = 100


class Reference:
    """Writes the pages; reads the sources once."""

    def __init__(self) -> None:
        self.tree = griffe.load("proxywhirl", search_paths=[str(PACKAGE)], allow_inspection=False)
        self.pages, self.places = pages()

    def files(self) -> Iterator[tuple[str, str]]:
        """Each file's name and text."""
        for page in self.pages:
            yield page.file, self._page(page)
        yield "integrations.md", self._integrations()
        yield "index.md", self._index()

    def link(self, name: str) -> str:
        """Markdown that leads to a public name; a method's class is what is linked."""
        short = name.removeprefix("proxywhirl.").removesuffix("()")
        for path in (name, short, short.rpartition(".")[0], short.rpartition(".")[2]):
            place = self.places.get(path)
            if place is not None:
                return f"[`{short}`]({place})"
        return f"`{short}`"

    def _listed(self, module: str, name: str) -> str:
        return f"[`{name}`]({self.places[f'{module}.{name}']})"

    def _index(self) -> str:
        import proxywhirl

        rows = [f"| {self.link(name)} | {self._summary(getattr(proxywhirl, name))} |" for name in proxywhirl.__all__]
        listed = "\n".join(
            f"| [`{_title(page)}`]({page.file}) | {summary(page.modules[0].__doc__ or '', self.link)} |"
            for page in self.pages
        )
        return (
            "# API reference\n\nWritten from the docstrings, for every public name. What is not here may change "
            "without notice.\n\n"
            f"## Modules\n\n| Module | |\n|---|---|\n{listed}\n"
            "| [`proxywhirl.integrations`](integrations.md) | One module for each client. |\n\n"
            "## Names of `proxywhirl`\n\n| Name | |\n|---|---|\n" + "\n".join(rows) + "\n"
        )

    def _page(self, page: Page) -> str:
        first = page.modules[0]
        parts = [f"# {_title(page)}", markdown(first.__doc__ or "", self.link) if page.name else _PACKAGE_TEXT]
        others = [
            f"`{module.__name__}`: " + ", ".join(self._listed(module.__name__, name) for name in module.__all__)
            for module in page.modules
            if module.__name__.count(".") > 1 or not page.names
        ]
        if others and page.name:
            parts.append("Import paths besides:\n\n" + "\n".join(f"- {line}" for line in others))
        plain = [(name, thing) for name, thing in page.names if not callable(thing)]
        parts += [self._thing(name, thing, first.__name__) for name, thing in page.names if callable(thing)]
        if plain:
            parts.append("## Constants\n\n| Name | |\n|---|---|")
            rows = (f'| <span id="{name}"></span>`{name}` | {_value(thing)} |' for name, thing in plain)
            parts[-1] += "\n" + "\n".join(rows)
        return "\n\n".join(part for part in parts if part) + "\n"

    def _thing(self, name: str, thing: Any, module: str) -> str:
        home = _path_of(thing)
        head = f"## {name} {{ #{name} }}"
        if not inspect.isclass(thing):
            kind = "" if home is None else self._signature(home, name)
            return "\n\n".join(part for part in (head, kind, markdown(inspect.getdoc(thing) or "", self.link)) if part)
        parts = [head]
        if thing.__name__ != name:
            parts.append(f"Another name of `{thing.__name__}`.")
        if issubclass(thing, enum.Enum):
            parts.append(markdown(_own_doc(thing), self.link))
            parts.append("\n".join(f"- `{member.name}` = `{member.value!r}`" for member in thing))
            return "\n\n".join(parts)
        bases = [base for base in thing.__mro__[1:] if base.__module__.startswith("proxywhirl")]
        known = [self.link(base.__name__) for base in bases if base.__name__ in self.places]
        parts += [self._constructor(thing, name), f"Derived from {known[0]}." if known else ""]
        text = _own_doc(thing)
        parts.append(markdown(text, self.link))
        arguments = next((base for base in bases if "Args:" in (base.__doc__ or "")), None)
        if "Args:" not in text and arguments is not None and "Arguments are those of" in text:
            parts.append(markdown(inspect.cleandoc(arguments.__doc__ or "").partition("\n\n")[2], self.link))
        parts += self._members(thing, name)
        return "\n\n".join(part for part in parts if part)

    def _members(self, thing: type, name: str) -> Iterator[str]:
        attributes, methods = [], []
        for member in sorted(dir(thing)):
            owner = next((base for base in thing.__mro__ if member in vars(base)), None)
            if (
                member.startswith("_")
                or member == "model_validate_json"
                or owner is None
                or not owner.__module__.startswith("proxywhirl")
            ):
                continue
            value = inspect.getattr_static(thing, member)
            doc = inspect.getdoc(getattr(value, "__func__", value))
            if doc is None or (not _is_method(value) and not _describes(value)):
                continue
            if not _is_method(value):
                attributes.append(f"- `{member}`: {summary(doc, self.link)}")
                continue
            signature = self._signature(f"{owner.__module__}.{owner.__qualname__}.{member}", member)
            methods.append(f"### {member} {{ #{name}.{member} }}\n\n{signature}\n\n{markdown(doc, self.link)}")
        if attributes:
            yield "**Properties**\n\n" + "\n".join(attributes)
        yield from methods

    def _constructor(self, thing: type, name: str) -> str:
        for base in thing.__mro__:
            for maker in ("__init__", "__new__"):
                if maker in vars(base) and base.__module__.startswith("proxywhirl"):
                    shown = self._signature(f"{base.__module__}.{base.__qualname__}.{maker}", name)
                    if shown and "*args" not in shown:
                        return shown
        try:
            parameters = list(inspect.signature(thing).parameters.values())
        except (TypeError, ValueError):
            return ""
        return _fence(name, _wrapped(name, _shown(parameters)))

    def _signature(self, path: str, name: str) -> str:
        try:
            found = self.tree[path.partition(".")[2]]
            function = found.final_target if found.is_alias else found
            parameters = [item for item in function.parameters if item.name not in ("self", "cls")]
        except (KeyError, AttributeError, griffe.AliasResolutionError):
            return ""
        shown, marked = [], False
        for item in parameters:
            kind = item.kind
            if kind is griffe.ParameterKind.keyword_only and not marked:
                shown.append("*")
            marked = marked or kind in (griffe.ParameterKind.keyword_only, griffe.ParameterKind.var_positional)
            stars = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(kind, "")
            text = stars + item.name + (f": {item.annotation}" if item.annotation else "")
            if item.default is not None and not stars:
                text += f" = {item.default}" if item.annotation else f"={item.default}"
            shown.append(text)
        result = f" -> {function.returns}" if function.returns and name == path.rpartition(".")[2] else ""
        return _fence(name, _wrapped(name, shown, result))

    def _summary(self, thing: Any) -> str:
        return summary(_own_doc(thing), self.link) if callable(thing) else _value(thing)

    def _integrations(self) -> str:
        parts = [
            "# proxywhirl.integrations",
            "One module for each client, imported on demand. [Clients](../clients.md) says how each is used.",
        ]
        for name in integrations():
            short = name.removeprefix("proxywhirl.")
            module = self.tree[short]
            parts.append(f"## {short}\n\n{markdown(module.docstring.value if module.docstring else '', self.link)}")
            parts += [self._of_client(module, short, member) for member in exported(module)]
        return "\n\n".join(parts) + "\n"

    def _of_client(self, module: griffe.Module, short: str, name: str) -> str:
        item = module.members[name]
        item = item.final_target if item.is_alias else item
        text = markdown(item.docstring.value if item.docstring else "", self.link)
        parts = [f"### {name} {{ #{short}.{name} }}"]
        if item.is_function or item.is_class:
            maker = f"{item.path}.__init__" if item.is_class else item.path
            parts.append(self._signature(maker, name))
        parts.append(text)
        if item.is_class:
            methods = (member for key, member in item.members.items() if member.is_function and not key.startswith("_"))
            parts += [
                f"- `{member.name}`: {summary(member.docstring.value, self.link)}"
                for member in methods
                if member.docstring
            ]
        return "\n\n".join(part for part in parts if part)


def exported(module: griffe.Module) -> list[str]:
    """The names in the `__all__` of a module that is not imported."""
    return sorted(str(name).strip("'\"") for name in module.exports or ())


_PACKAGE_TEXT = "What lives in no module of its own. The [overview](index.md) lists every name that `proxywhirl` has."


def _title(page: Page) -> str:
    return f"proxywhirl.{page.name}" if page.name else "proxywhirl"


def _fence(name: str, arguments: str) -> str:
    return f"```python\n{name}{arguments}\n```"


def _wrapped(name: str, shown: list[str], result: str = "") -> str:
    line = f"({', '.join(shown)}){result}"
    if len(name) + len(line) <= _LONGEST:
        return line
    return "(\n" + "".join(f"    {item},\n" for item in shown) + f"){result}"


def _shown(parameters: list[inspect.Parameter]) -> list[str]:
    shown: list[str] = []
    for item in parameters:
        if item.kind is item.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        text = re.sub(r"(?:typing|proxywhirl(?:\.\w+)*|datetime|uuid)\.(?=\w)", "", str(item))
        # What pydantic checks a value by is said in words.
        shown.append(re.sub(r"Annotated\[((?:[^\[\],]|\[[^\]]*\])+), [^=]*\](?= = |$)", r"\1", text))
    return shown


def _is_method(value: Any) -> bool:
    return inspect.isroutine(value) or isinstance(value, (classmethod, staticmethod))


def _describes(value: Any) -> bool:
    """Whether a documentation string of it speaks of the attribute, and not of the class of its value."""
    return isinstance(value, property) or inspect.isdatadescriptor(value)


def _own_doc(thing: Any) -> str:
    """Its documentation, without what it would inherit from a class outside."""
    if not inspect.isclass(thing):
        return inspect.getdoc(thing) or ""
    return inspect.cleandoc(thing.__doc__ or "")


def _path_of(thing: Any) -> str | None:
    module = getattr(thing, "__module__", None)
    return f"{module}.{thing.__qualname__}" if module and hasattr(thing, "__qualname__") else None


def _value(thing: Any) -> str:
    url = getattr(thing, "url", None)
    if isinstance(url, str):
        return f"a list of proxies: `{url}`"
    if isinstance(thing, (str, int, float)):
        return f"`{thing!r}`"
    if isinstance(thing, (list, tuple)):
        return f"{len(thing)} lists of proxies" if thing and hasattr(thing[0], "url") else f"`{type(thing).__name__}`"
    return f"`{str(thing).replace('typing.', '')[:120]}`".replace("|", "\\|")
