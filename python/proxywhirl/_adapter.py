"""Strategies written in Python, brought into the one form the core calls.

A strategy is looked at once, when it is handed over. What it is called with afterwards follows from its signatures,
so that any of the documented shapes costs one Python call per selection and one per result.

Whatever the strategy does, the proxy it chose has exactly one start and one completion, and an exception of its own
never reaches the request: it is logged, and another strategy serves instead.
"""

from __future__ import annotations

import collections.abc
import inspect
import logging
import re
import traceback
import typing
from typing import TYPE_CHECKING, Any, Union

from proxywhirl import _core
from proxywhirl._metadata import PoolMetadata
from proxywhirl._protocol import RotationStrategy
from proxywhirl._redact import scrub_text
from proxywhirl.exceptions import ProxyPoolEmptyError, StrategyMetadataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from proxywhirl._core import Proxy, ProxyPool, SelectionContext

__all__ = ["Adapter", "adapt", "check", "describe"]

_log = logging.getLogger("proxywhirl.strategies")

# What a built-in strategy calls on itself without asking Python: a subclass that overrides one of these is Python.
_OVERRIDABLE = ("select", "record_result", "filter", "configure", "validate_metadata")

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


def adapt(obj: Any, *, warm_up: bool = False) -> _core.Strategy | Adapter:
    """Bring a strategy into the form the core calls.

    Args:
        obj: A built-in strategy, an adapter, or an object, class or callable of one of the documented shapes.
        warm_up: Serve requests round-robin while the strategy misses metadata that it requires, as long as nobody
            has configured a fallback. For rotators; a strategy used on its own says what is missing.

    Returns:
        ``obj`` itself when the core can use it as it is, else an :class:`Adapter` around it.

    Raises:
        TypeError: It has none of the shapes.
    """
    if isinstance(obj, Adapter):
        obj.warm_up = obj.warm_up or warm_up
        return obj
    if inspect.isclass(obj):
        obj = _instantiated(obj)
    if isinstance(obj, _core.Strategy) and not _is_overridden(obj):
        return obj
    return Adapter(obj, warm_up=warm_up)


def check(what: Any) -> None:
    """See whether something can be registered as a strategy, without making an instance.

    Args:
        what: A class, an instance or a callable.

    Raises:
        TypeError: It is none, or one of the two methods that belong together is missing.
    """
    if isinstance(what, Adapter) or _method(what, "select_proxy") is not None:
        return
    present = {name: _method(what, name) is not None for name in ("select", "record_result")}
    if all(present.values()):
        return
    # Every class is callable, so for a class it is the calling of its instances that counts.
    as_callable = _method(what, "__call__") is not None if inspect.isclass(what) else callable(what)
    if as_callable and not any(present.values()):
        return
    raise _missing(what, [name for name, there in present.items() if not there])


def describe(what: Any) -> str:
    """A name for logs and messages: the class of an object, the name of a function."""
    if isinstance(what, Adapter):
        return what.name
    if inspect.isclass(what) or inspect.isroutine(what):
        return what.__name__
    return type(what).__name__


class Adapter:
    """A strategy written in Python, as the core sees it.

    Attributes:
        user: The strategy as it was handed over.
        name: What logs and messages call it.
        fallback: Serves when the strategy misses metadata it requires; ``None`` to say so instead.
        warm_up: As in :func:`adapt`.
        config: What :meth:`configure` was given last.
        failures: How many times the strategy raised, or could not choose for want of metadata. The first is logged,
            then every count that is a power of two, so that a strategy that always fails does not flood the log.

    Args:
        user: An object or callable of one of the documented shapes.
        warm_up: As in :func:`adapt`.

    Raises:
        TypeError: It has none of the shapes.
    """

    __slots__ = (
        "_alpha",
        "_call_filter",
        "_call_record",
        "_call_select",
        "_enable_fallback",
        "_requires",
        "_rescue",
        "_validate_requirements",
        "config",
        "failures",
        "fallback",
        "name",
        "user",
        "warm_up",
        "__weakref__",
    )

    def __init__(self, user: Any, *, warm_up: bool = False) -> None:
        self.user = user
        self.name = describe(user)
        self.warm_up = warm_up
        self.config: Any = None
        self.failures = 0
        self.fallback: _core.Strategy | Adapter | None = None
        self._alpha: float | None = None
        self._enable_fallback = True
        # Serves when the strategy fails. Its own, so that it goes round evenly.
        self._rescue = _core.RoundRobinStrategy()

        select = _method(user, "select")
        select_proxy = _method(user, "select_proxy")
        if select is not None:
            self._call_select = _SelectCall(select, user)
        elif select_proxy is not None:
            self._call_select = _SelectCall(select_proxy, user, wants_list=True)
        elif callable(user):
            self._call_select = _SelectCall(user, user)
        else:
            raise _missing(
                user, ["select"] if _method(user, "record_result") is not None else ["select", "record_result"]
            )

        record = _method(user, "record_result")
        self._call_record = None if record is None else _RecordCall(record, user)
        self._call_filter = _filter_call(user)
        # Only the shape that is given the metadata declares what it needs of it: in the built-in classes, which users
        # derive from, the same names mean something that select() itself looks after.
        plan = self._call_select.wants_metadata
        self._requires = plan and hasattr(user, "requires_metadata")
        self._validate_requirements = _method(user, "validate_requirements") if plan else None

    def __repr__(self) -> str:
        return f"<adapter of {self.name}>"

    # What the core calls.

    def select(self, pool: ProxyPool, context: SelectionContext | None = None) -> Proxy:
        """Let the strategy choose.

        Args:
            pool: Where to choose from.
            context: What is known about the request.

        Returns:
            An eligible proxy of the pool that the context does not exclude, with one start counted.

        Raises:
            ProxyPoolEmptyError: There is nothing to choose from, or the strategy said so.
            StrategyMetadataError: The strategy misses metadata and there is no fallback, or it returned something
                that is not in the pool.
        """
        with _core.Journal() as journal:
            try:
                proxy = self._chosen(pool, context)
                if proxy is not None:
                    journal.settle_start(proxy)
                    return proxy
                journal.rollback()
            except StrategyMetadataError as error:
                journal.rollback()
                substitute = self._for_missing_metadata()
                if substitute is None:
                    raise
                if self._is_reported():
                    _log.warning(
                        "strategy %s misses metadata, %s serves this request: %s",
                        self.name,
                        describe(substitute),
                        error,
                        extra={
                            "strategy": self.name,
                            "fallback": describe(substitute),
                            "missing_fields": error.missing_fields,
                        },
                    )
            except ProxyPoolEmptyError:
                journal.rollback()
                raise
            except Exception:
                journal.rollback()
                substitute = self._for_failure()
                self._report(f"to choose, {describe(substitute)} serves this request", fallback=describe(substitute))
            except BaseException:
                # Interrupted in the middle: nothing was chosen, so nothing stands.
                journal.rollback()
                raise
            else:
                substitute = self._for_failure()
                _log.debug(
                    "strategy %s chose a proxy that may not serve this request, %s chooses instead",
                    self.name,
                    describe(substitute),
                    extra={"strategy": self.name, "fallback": describe(substitute)},
                )
        return substitute.select(pool, context)

    def record_result(self, proxy: Proxy, success: bool, response_time_ms: float) -> None:
        """Let the strategy hear how a request went, and complete it on the proxy.

        Args:
            proxy: The proxy that served.
            success: Whether the request was answered as it should be.
            response_time_ms: How long it took, in milliseconds.
        """
        with _core.Journal() as journal:
            try:
                if self._call_record is not None:
                    self._call_record(proxy, success, response_time_ms)
            except Exception:
                self._report("to record a result; the proxy's own counters have it")
            finally:
                # Interrupted or not, the request is over.
                journal.settle_completion(proxy, success, response_time_ms, self._alpha)

    def filter(self, candidates: list[Proxy], context: SelectionContext | None = None) -> list[Proxy]:
        """Act as a filter inside a composite; counts nothing.

        A strategy without a method ``filter`` chooses among the candidates, and those in the country of its choice
        remain, or all when that proxy has none.

        Args:
            candidates: The proxies that are left.
            context: What is known about the request.

        Returns:
            Those of the candidates that may stay, in their order. All of them when the strategy fails.

        Raises:
            StrategyMetadataError: The strategy misses metadata that it requires.
        """
        if not candidates:
            return []
        with _core.Journal() as journal:
            try:
                if self._call_filter is not None:
                    kept = {proxy.id for proxy in self._call_filter(candidates, context)}
                    return [proxy for proxy in candidates if proxy.id in kept]
                return self._in_country_of_choice(candidates, context)
            except StrategyMetadataError:
                raise
            except ProxyPoolEmptyError:
                return []
            except Exception:
                self._report("as a filter and is passed over")
                return list(candidates)
            finally:
                journal.rollback()

    def configure(self, config: Any) -> None:
        """Apply a configuration: the strategy's own ``configure`` gets it, fallback and alpha are taken from it.

        Args:
            config: A ``StrategyConfig``, a mapping, or an object with such attributes.

        Raises:
            ValueError: The configuration names an unknown fallback strategy.
        """
        # What can be refused comes first, so that a refusal leaves everything as it was.
        named = _setting(config, "fallback_strategy")
        fallback = self.fallback
        if named is not None:
            from proxywhirl._registry import resolve

            fallback = resolve(named)
        configure = _method(self.user, "configure")
        if configure is not None:
            configure(config)
        self.fallback = fallback
        self._enable_fallback = _setting(config, "enable_fallback") is not False
        if _is_explicit(config, "ema_alpha"):
            self._alpha = _setting(config, "ema_alpha")
        self.config = config

    def validate_metadata(self, pool: ProxyPool) -> bool:
        """Whether the pool has the data that the strategy needs.

        Args:
            pool: The pool.

        Returns:
            What the strategy itself says; ``True`` for one that says nothing.
        """
        if self._missing_fields(pool, None) or self._refuses(pool):
            return False
        own = _method(self.user, "validate_metadata")
        return True if own is None else bool(own(pool))

    # How a choice is made and judged.

    def _chosen(self, pool: ProxyPool, context: SelectionContext | None) -> Proxy | None:
        """The strategy's choice; ``None`` when that proxy may not serve this request."""
        missing = self._missing_fields(pool, context)
        if missing or self._refuses(pool):
            raise self._metadata_error(missing)
        choice = self._call_select(pool, context)
        if isinstance(choice, _core.Proxy) and pool.get_proxy_by_id(choice.id) is None:
            # Perhaps it has just been removed by somebody else: a strategy that looks again does not return it twice.
            choice = self._call_select(pool, context)
        if choice is None:
            raise ProxyPoolEmptyError(f"No healthy proxies available: strategy {self.name} returned None")
        if not isinstance(choice, _core.Proxy):
            raise StrategyMetadataError(
                f"strategy {self.name} returned {type(choice).__name__} instead of a Proxy", strategy=self.name
            )
        stored = pool.get_proxy_by_id(choice.id)
        if stored is None:
            raise StrategyMetadataError(
                f"strategy {self.name} returned a proxy that is not in the pool", strategy=self.name
            )
        return stored if _may_serve(stored, context) else None

    def _in_country_of_choice(self, candidates: list[Proxy], context: SelectionContext | None) -> list[Proxy]:
        pool = _core.ProxyPool(name="candidates", proxies=candidates)
        missing = self._missing_fields(pool, context)
        if missing or self._refuses(pool):
            raise self._metadata_error(missing)
        choice = self._call_select(pool, context)
        if choice is None:
            return []
        country = choice.country_code
        if country is None:
            return list(candidates)
        wanted = country.casefold()
        return [proxy for proxy in candidates if (proxy.country_code or "").casefold() == wanted]

    # What the strategy says it needs.

    def _missing_fields(self, pool: ProxyPool, context: SelectionContext | None) -> list[str]:
        """The required fields that no candidate has."""
        if not self._requires:
            return []
        required = self.user.requires_metadata
        if callable(required):
            required = required()
        if isinstance(required, str):
            required = (required,)
        if not isinstance(required, (set, frozenset, list, tuple)) or not required:
            return []
        candidates = _candidates(pool, context)
        return sorted(field for field in required if not any(_has(proxy, field) for proxy in candidates))

    def _refuses(self, pool: ProxyPool) -> bool:
        validate = self._validate_requirements
        return validate is not None and validate(pool, PoolMetadata(pool)) is False

    def _metadata_error(self, missing: list[str]) -> StrategyMetadataError:
        what = f"no proxy has {', '.join(missing)}" if missing else "its requirements are not met by this pool"
        return StrategyMetadataError(
            f"strategy {self.name} cannot choose: {what}", missing_fields=missing, strategy=self.name
        )

    def _report(self, what: str, **extra: str) -> None:
        """Log the exception being handled."""
        if self._is_reported():
            # As text, with credentials hidden: the message of the user's exception may well quote a proxy's URL.
            details = scrub_text(traceback.format_exc())
            _log.error("strategy %s failed %s\n%s", self.name, what, details, extra={"strategy": self.name, **extra})

    def _is_reported(self) -> bool:
        """Count a failure; whether this one goes to the log. Threads may lose a count, which costs nothing."""
        self.failures += 1
        return self.failures & (self.failures - 1) == 0

    # Who serves instead.

    def _for_missing_metadata(self) -> _core.Strategy | Adapter | None:
        if not self._enable_fallback:
            return None
        if self.fallback is not None:
            return self.fallback
        return self._rescue if self.warm_up and self.config is None else None

    def _for_failure(self) -> _core.Strategy | Adapter:
        return self._rescue if self.fallback is None else self.fallback


class _Signature:
    """What a callable can be given: its parameters without ``self``, counted and named once."""

    __slots__ = ("by_name", "is_open", "keywords", "names", "required", "takes_any_keyword", "wants_list")

    def __init__(self, function: Callable[..., Any], owner: Any, what: str) -> None:
        for form in (function, getattr(function, "__call__", None)):
            if inspect.iscoroutinefunction(form) or inspect.isasyncgenfunction(form):
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


class _SelectCall:
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
                f"{describe(owner)} cannot be used as a strategy: it selects with {_signature_text(function)}, which is "
                "none of select(pool), select(pool, context), select(pool, metadata, context), select_proxy(proxies)"
            )

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


class _RecordCall:
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


def _filter_call(user: Any) -> Callable[[list[Proxy], SelectionContext | None], Any] | None:
    """The strategy's own ``filter``, made to take the context whether or not it does.

    A method of this name with any other signature is the author's own affair.
    """
    function = _method(user, "filter")
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
    if annotation is parameter.empty:
        return parameter.name in _LIST_NAMES
    if isinstance(annotation, str):
        return _LIST_ANNOTATION.match(annotation.strip("\"' ")) is not None
    if typing.get_origin(annotation) is Union:
        return False
    return (typing.get_origin(annotation) or annotation) in _LIST_TYPES


def _method(obj: Any, name: str) -> Any | None:
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


def _instantiated(cls: type) -> Any:
    if _method(cls, "select") is None and _method(cls, "select_proxy") is None and _method(cls, "__call__") is None:
        raise _missing(cls, [name for name in ("select", "record_result") if _method(cls, name) is None])
    try:
        return cls()
    except TypeError as error:
        raise TypeError(
            f"{cls.__name__} cannot be made without arguments ({error}); hand over an instance instead"
        ) from error


def _missing(what: Any, names: list[str]) -> TypeError:
    return TypeError(f"{describe(what)} cannot be used as a strategy: missing required methods: {', '.join(names)}")


def _is_overridden(strategy: _core.Strategy) -> bool:
    """Whether Python code took the place of something that the core does without asking Python."""
    own = getattr(strategy, "__dict__", {})
    for name in _OVERRIDABLE:
        if name in own:
            return True
        holder = next(base for base in type(strategy).__mro__ if name in vars(base))
        if not _is_native(holder):
            return True
    return False


def _is_native(cls: type) -> bool:
    # Not by module name: a subclass can claim any. Not by hashing the class either: it is a handful of comparisons.
    return any(cls is known for known in _NATIVE)


_NATIVE = [value for value in vars(_core).values() if inspect.isclass(value) and issubclass(value, _core.Strategy)]


# A tuple, because a member of a string enum equals its value but has another hash.
_SERVING = ("healthy", "unknown", "degraded")


def _excluded(context: SelectionContext | None) -> set[str]:
    if context is None:
        return set()
    return {str(proxy_id) for proxy_id in (*context.failed_proxy_ids, *context.exclude_proxy_ids)}


def _may_serve(proxy: Proxy, context: SelectionContext | None) -> bool:
    if proxy.is_expired or proxy.health_status not in _SERVING:
        return False
    return context is None or str(proxy.id) not in _excluded(context)


def _candidates(pool: ProxyPool, context: SelectionContext | None) -> list[Proxy]:
    excluded = _excluded(context)
    healthy = pool.get_healthy_proxies()
    return [proxy for proxy in healthy if str(proxy.id) not in excluded] if excluded else healthy


def _offered(pool: ProxyPool, context: SelectionContext | None) -> list[Proxy]:
    """The list for a strategy that takes one; it never gets to see an empty one."""
    healthy = pool.get_healthy_proxies()
    if not healthy:
        raise ProxyPoolEmptyError("No healthy proxies available")
    excluded = _excluded(context)
    if not excluded:
        return healthy
    left = [proxy for proxy in healthy if str(proxy.id) not in excluded]
    if not left:
        raise ProxyPoolEmptyError("No healthy proxies available after failed proxies were filtered out")
    return left


def _has(proxy: Proxy, field: str) -> bool:
    """Whether something is known under this name: in the metadata, on the proxy, or in what the user attached."""
    for value in (
        getattr(proxy._metadata(), field, None),
        getattr(proxy, field, None),
        proxy.metadata.get(field),
    ):
        if value is not None and value != "" and value != set():
            return True
    return False


def _setting(config: Any, name: str) -> Any:
    return config.get(name) if isinstance(config, collections.abc.Mapping) else getattr(config, name, None)


def _is_explicit(config: Any, name: str) -> bool:
    """Whether a setting was given, rather than left at its default."""
    if isinstance(config, collections.abc.Mapping):
        return config.get(name) is not None
    given = getattr(config, "model_fields_set", None)
    if given is not None:
        return name in given
    return getattr(config, name, None) is not None
