"""Which of httpx and its continuation httpx2 a request belongs to.

Both have the same interface; a client insists on responses and streams of its own package. What carries the bytes
(httpcore or httpcore2) is one choice for the whole process, whichever package the client is from.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

from proxywhirl._native.redact import shown

_NAMES = ("httpx", "httpx2")
_known: dict[str, HttpLibrary] = {}
_by_request_type: dict[type, HttpLibrary] = {}
_core: Any = None


class HttpLibrary:
    """The parts of httpx, or of httpx2, that the transports make responses with."""

    __slots__ = (
        *("AsyncByteStream", "ByteStream", "Response", "SyncByteStream"),
        *("decodes_to_bytes", "module", "name", "objects"),
    )

    def __init__(self, name: str) -> None:
        try:
            self.module: Any = importlib.import_module(name)
        except ImportError as error:
            raise ImportError(f"{name} is not installed: pip install {name}") from error
        self.name = name
        self.objects: Any = None
        """What fills its objects (:mod:`.objects`); ``False``: its constructors; ``None`` while that is not known."""
        self.Response = self.module.Response
        self.ByteStream = self.module.ByteStream
        self.SyncByteStream = self.module.SyncByteStream
        self.AsyncByteStream = self.module.AsyncByteStream
        made = self.Response(200)
        decoder = made._get_content_decoder() if hasattr(made, "_get_content_decoder") else None
        self.decodes_to_bytes: bool | None = None if decoder is None else isinstance(decoder.decode(b""), bytes)
        """Whether a decoder returns bytes, as that of httpx, or pieces, as that of httpx2; ``None`` if it has none."""

    def error(self, name: str, message: str) -> Exception:
        """Make an exception of this package."""
        made: Exception = getattr(self.module, name)(message)
        return made

    def raise_for_host(self, error: UnicodeError) -> None:
        """Raise this package's error for a URL whose host is no name; the package lets that of ``idna`` pass.

        Nothing is raised if ``idna`` has not raised it.

        Raises ``InvalidURL`` (the host is no domain name).
        """
        if type(error).__module__.partition(".")[0] == "idna":
            raise self.error("InvalidURL", f"Invalid IDNA hostname: {error}") from error


def flavour(name: str) -> HttpLibrary:
    """The package of this name, imported on first use.

    Raises ``ValueError`` (another name), ``ImportError`` (the package is not installed).
    """
    found = _known.get(name)
    if found is None:
        if name not in _NAMES:
            raise ValueError(f"http must be 'httpx' or 'httpx2', not {shown(name)}")
        found = _known[name] = HttpLibrary(name)
    return found


def flavour_of(request: Any) -> HttpLibrary:
    """The package that a request object belongs to."""
    kind = type(request)
    found = _by_request_type.get(kind)
    if found is None:
        # By base class: a user may have derived a request class of their own.
        for name in _NAMES:
            module = sys.modules.get(name)
            if module is not None and isinstance(request, module.Request):
                found = _by_request_type[kind] = flavour(name)
                return found
        raise TypeError(f"a request of httpx or httpx2 is needed, not {kind.__module__}.{kind.__qualname__}")
    return found


def default_name() -> str:
    """``"httpx"``, unless only httpx2 is installed."""
    for name in _NAMES:
        if name in sys.modules or importlib.util.find_spec(name) is not None:
            return name
    raise ImportError("neither httpx nor httpx2 is installed: pip install httpx")


def core() -> Any:
    """The package that opens connections and speaks HTTP: httpcore, or httpcore2 where only that is installed."""
    global _core
    if _core is None:
        name: str | None = next((name for name in ("httpcore", "httpcore2") if importlib.util.find_spec(name)), None)
        if name is None:
            raise ImportError("neither httpx nor httpx2 is installed: pip install httpx")
        _core = importlib.import_module(name)
    return _core
