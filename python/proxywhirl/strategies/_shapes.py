"""What a strategy written in Python can be called with, read from its signatures once."""

from __future__ import annotations

import collections.abc
import inspect
import re
import typing
from typing import TYPE_CHECKING, Any

from proxywhirl.exceptions import ProxyPoolEmptyError
from proxywhirl.strategies._metadata import PoolMetadata
from proxywhirl.strategies._protocol import RotationStrategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from proxywhirl._core import Proxy, ProxyPool, SelectionContext

# First parameters that want the list of proxies instead of the pool.
_LIST_NAMES = frozenset({"candidates", "proxies", "proxy_list", "seq", "sequence"})
_LIST_TYPES = (
    list,
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Collection,
    collections.abc.Iterable,
)
_LIST_ANNOTATION = re.compile(r"^(?:\w+\.)*(?:[Ll]ist|Sequence|MutableSequence|Collection|Iterable)\b")

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def describe(what: Any) -> str:
    """A name for logs and messages: the class of an object, the name of a function."""
    if inspect.isclass(what) or inspect.isroutine(what):
        return what.__name__
    return type(what).__name__


class _Signature:
    """What a callable can be given: its parameters without ``self``, counted and named once."""

    __slots__ = ("by_name", "is_open", "keywords", "names", "required", "takes_any_keyword", "wants_list")

    def __init__(self, function: Callable[..., Any], owner: Any, what: str) -> None:
        if any(inspect.iscoroutinefunction(form) for form in (function, method(type(function), "__call__"))):
            raise TypeError(f"{describe(owner)}: {what} must not be a coroutine; selection never waits")
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except ValueError:
            # Some callables made in C do not say. One argument is what the smallest shape takes.
            parameters = [inspect.Parameter("pool", inspect.Parameter.POSITIONAL_ONLY)]
        except TypeError as error:
            raise TypeError(f"{describe(owner)}: {what} cannot be called: {error}") from error
        positional = [p for p in parameters if p.kind in _POSITIONAL]
        self.names = [p.name for p in positional]
        self.by_name = [p.name for p in positional if p.kind is p.POSITIONAL_OR_KEYWORD]
        self.required = sum(p.default is p.empty for p in positional)
        self.is_open = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.takes_any_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.keywords = {p.name: p.default is p.empty for p in parameters if p.kind is p.KEYWORD_ONLY}
        self.wants_list = bool(positional) and _asks_for_list(positional[0])

    def takes(self, count: int) -> bool:
        """Whether ``count`` positional arguments fit."""
        return self.required <= count and (self.is_open or count <= len(self.names))

    def has_room_for_context(self, index: int) -> bool:
        """Whether the positional argument at ``index`` is one for the context.

        A parameter with a default and another name is the author's own: ``lambda pool, weights=weights: ...``.
        """
        if index >= len(self.names):
            return self.is_open
        if index < self.required:
            return True
        name = self.names[index]
        return "context" in name or name.startswith(("ctx", "_"))

    def missing_keywords(self, given: Iterable[str]) -> list[str]:
        return sorted(name for name, required in self.keywords.items() if required and name not in given)


class SelectCall:
    """Calls ``select`` with what its signature asks for."""

    __slots__ = ("_context_by_name", "_function", "_metadata_by_name", "_positional", "_wants_list", "wants_metadata")

    def __init__(self, function: Callable[..., Any], owner: Any, *, wants_list: bool = False) -> None:
        signature = _Signature(function, owner, "the method that selects")
        self._function = function
        self._wants_list = wants_list or signature.wants_list
        names = signature.names
        second_is_metadata = len(names) > 1 and names[1] == "metadata"
        self._metadata_by_name = "metadata" in signature.keywords
        as_plan = second_is_metadata or signature.required >= 3
        self.wants_metadata = as_plan or self._metadata_by_name
        self._context_by_name = "context" in signature.keywords

        wanted = 3 if as_plan else 2
        if self._context_by_name or not signature.has_room_for_context(wanted - 1):
            wanted -= 1
        if not signature.is_open:
            wanted = min(wanted, len(names))
        if wanted < 2 and not self._context_by_name and signature.takes_any_keyword and not signature.is_open:
            self._context_by_name = True
        self._positional = wanted
        keywords = [name for name in ("metadata", "context") if name in signature.keywords]
        missing = signature.missing_keywords(keywords)
        if wanted < 1 or not signature.takes(wanted) or missing:
            raise TypeError(
                f"{describe(owner)} cannot be used as a strategy: it selects with {_signature_text(function)}, "
                "which is none of select(pool), select(pool, context), select(pool, metadata, context) and "
                "select_proxy(proxies)"
            )

    @property
    def takes_context(self) -> bool:
        """Whether the strategy can see what the request excludes: by the context, or because its list lacks that."""
        given = 3 if self.wants_metadata and not self._metadata_by_name else 2
        return self._wants_list or self._context_by_name or self._positional >= given

    def __call__(self, pool: ProxyPool, context: SelectionContext | None) -> Any:
        source: Any = _offered(pool, context) if self._wants_list else pool
        if self.wants_metadata:
            return self._with_metadata(source, pool, context)
        if self._context_by_name:
            return self._function(source, context=context)
        if self._positional == 2:
            return self._function(source, context)
        return self._function(source)

    def _with_metadata(self, source: Any, pool: ProxyPool, context: SelectionContext | None) -> Any:
        metadata = PoolMetadata(pool)
        keywords: dict[str, Any] = {"context": context} if self._context_by_name else {}
        if self._metadata_by_name:
            keywords["metadata"] = metadata
            return self._function(*(source, context)[: self._positional], **keywords)
        return self._function(*(source, metadata, context)[: self._positional], **keywords)


class RecordCall:
    """Calls ``record_result`` with what its signature asks for."""

    __slots__ = ("_by_name", "_function", "_metadata")

    def __init__(self, function: Callable[..., Any], owner: Any) -> None:
        signature = _Signature(function, owner, "record_result")
        self._function = function
        names = signature.names
        self._metadata = (len(names) > 1 and names[1] == "metadata") or signature.required >= 4
        # By name where the names are the documented ones: then their order, and whether they are keyword-only, is the
        # author's choice.
        known = {*signature.keywords, *signature.by_name}
        needed = {"success", "response_time_ms", "metadata"} if self._metadata else {"success", "response_time_ms"}
        self._by_name = needed <= known or (
            signature.takes_any_keyword and not signature.is_open and not self._metadata and len(names) < 3
        )
        if self._by_name:
            others = [name for name in names[: signature.required] if name not in needed]
            fits = not signature.missing_keywords(needed) and len(others) <= 1 and bool(names)
        else:
            fits = signature.takes(4 if self._metadata else 3)
        if not fits:
            raise TypeError(
                f"{describe(owner)} cannot be used as a strategy: record_result{_signature_text(function)} is neither "
                "record_result(proxy, success, response_time_ms) nor "
                "record_result(proxy, metadata, success, response_time_ms)"
            )

    def __call__(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
        if self._by_name:
            keywords = {"metadata": proxy._metadata()} if self._metadata else {}
            self._function(proxy, success=success, response_time_ms=response_time_ms, **keywords)
        elif self._metadata:
            self._function(proxy, proxy._metadata(), success, response_time_ms)
        else:
            self._function(proxy, success, response_time_ms)


def filter_call(user: Any) -> Callable[[list[Proxy], SelectionContext | None], Any] | None:
    """The strategy's own ``filter``, made to take the context whether or not it does.

    A method of this name with any other signature is the author's own affair.
    """
    function = method(user, "filter")
    if function is None:
        return None
    try:
        signature = _Signature(function, user, "filter")
    except TypeError:
        return None
    # Copies are handed over: what the strategy does to its list is not to change the composite's.
    if signature.takes(2):
        return lambda candidates, context: function(list(candidates), context)
    if signature.takes(1):
        return lambda candidates, context: function(list(candidates))
    return None


def _signature_text(function: Callable[..., Any]) -> str:
    """The signature of a callable as it was written."""
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return "(...)"


def _asks_for_list(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    text = annotation.strip("\"' ") if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    if isinstance(annotation, str):
        annotated = _LIST_ANNOTATION.match(text) is not None
    else:
        annotated = (typing.get_origin(annotation) or annotation) in _LIST_TYPES
    # An annotation that says pool is believed more than the name.
    return annotated or (parameter.name in _LIST_NAMES and not text.endswith("Pool"))


def method(obj: Any, name: str) -> Any | None:
    """The callable attribute, unless it is the one that is only inherited from the protocol as a stand-in."""
    holder = obj if inspect.isclass(obj) else type(obj)
    if name == "__call__":
        # Asked of classes alone, whose own `__call__` makes instances.
        return next((vars(base)[name] for base in holder.__mro__ if name in vars(base)), None)
    found = getattr(obj, name, None)
    if not callable(found):
        return None
    if getattr(found, "__func__", found) is getattr(RotationStrategy, name, None):
        return None
    return found


def _excluded(context: SelectionContext | None) -> set[str]:
    if context is None:
        return set()
    # By getattr: a context of the user's own has what it has.
    failed, excluded = getattr(context, "failed_proxy_ids", ()), getattr(context, "exclude_proxy_ids", ())
    return {str(proxy_id) for proxy_id in (*failed, *excluded)}


def excludes(context: SelectionContext | None) -> bool:
    """Whether a context excludes any proxy."""
    return bool(_excluded(context))


def may_serve(proxy: Proxy, context: SelectionContext | None) -> bool:
    return proxy._is_usable and str(proxy.id) not in _excluded(context)


def candidates_of(pool: ProxyPool, context: SelectionContext | None) -> list[Proxy]:
    excluded = _excluded(context)
    healthy = pool.get_healthy_proxies()
    return [proxy for proxy in healthy if str(proxy.id) not in excluded] if excluded else healthy


def _offered(pool: ProxyPool, context: SelectionContext | None) -> list[Proxy]:
    """The list for a strategy that takes one; it never gets to see an empty one."""
    offered = candidates_of(pool, context)
    if not offered:
        filtered = " after failed proxies were filtered out" if pool.get_healthy_proxies() else ""
        raise ProxyPoolEmptyError(f"No healthy proxies available{filtered}")
    return offered
