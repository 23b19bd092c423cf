"""Reading settings from files; the suffix gives the format."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxywhirl._base.files import local_path
from proxywhirl._native.redact import shown_path
from proxywhirl.config._defaults import ENV_PREFIX

_ENV_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)\Z", re.DOTALL)
_ENV_QUOTED = re.compile(r"""(['"])(.*)\1\s*(?:#[^'"]*)?\Z""")


def load_config_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a file of settings.

    Known are ``.yaml`` and ``.yml`` (extra ``yaml``), ``.toml`` (``pyproject.toml``: its table
    ``tool.proxywhirl``), ``.json`` and ``.env``. In a ``.env`` file only names that begin with ``PROXYWHIRL_`` count:
    the file is usually shared with other programs.

    Args:
        path: The file.

    Returns:
        The settings by lower-case name, with ``_`` for ``-``. ``proxies``, when present, is a list whose items are
        URLs or mappings with ``url`` and perhaps ``username`` and ``password``. Nothing else is checked here.

    Raises:
        OSError: The file cannot be read.
        ValueError: The suffix is unknown or the file is malformed; its contents are not shown, they may be secret.
        ImportError: Reading the format needs an extra that is not installed.
    """
    file = local_path(path)
    kind = file.suffix.casefold() or (file.name.casefold() if file.name.startswith(".") else "")
    if file.name.casefold().startswith(".env"):
        kind = ".env"  # also .env.local and the like
    readers = {".yaml": _yaml, ".yml": _yaml, ".toml": _toml, ".json": _json, ".env": _env}
    reader = readers.get(kind)
    if reader is None:
        raise ValueError(f"cannot tell the format of {shown_path(file)}: use one of {', '.join(readers)}")
    data = reader(file, file.read_text(encoding="utf-8-sig"))
    if data is None:
        return {}  # an empty YAML file
    if not isinstance(data, Mapping):
        raise ValueError(f"{shown_path(file)} must hold a mapping of settings, not a {type(data).__name__}")  # noqa: TRY004
    settings = {str(name).strip().casefold().replace("-", "_"): value for name, value in data.items()}
    if "proxies" in settings:
        settings["proxies"] = _proxy_list(file, settings["proxies"])
    return settings


def _proxy_list(file: Path, value: Any) -> list[Any]:
    if value is None:
        return []
    items = [value] if isinstance(value, (str, Mapping)) else value
    if not isinstance(items, list):
        raise ValueError(f"'proxies' in {shown_path(file)} must be a list, not a {type(value).__name__}")  # noqa: TRY004
    for position, item in enumerate(items):
        if not (isinstance(item, str) or (isinstance(item, Mapping) and isinstance(item.get("url"), str))):
            place = f"'proxies' item {position} in {shown_path(file)}"
            raise ValueError(f"{place} must be a URL or a mapping with 'url'")  # noqa: TRY004
    return [item if isinstance(item, str) else dict(item) for item in items]


def _json(file: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", "?")
        raise ValueError(f"{shown_path(file)} is not valid JSON (line {line})") from None


def _yaml(file: Path, text: str) -> Any:
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise ImportError("reading YAML needs an extra: pip install 'proxywhirl-rs[yaml]'") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "?" if mark is None else mark.line + 1
        # "from None": the original error quotes the offending line, which may hold a password.
        raise ValueError(f"{shown_path(file)} is not valid YAML (line {line})") from None


def _toml(file: Path, text: str) -> Any:
    toml = _toml_module()
    try:
        data: Any = toml.loads(text)
    except ValueError as error:
        found = re.search(r"line (\d+)", str(error))
        raise ValueError(f"{shown_path(file)} is not valid TOML (line {found[1] if found else '?'})") from None
    if file.name == "pyproject.toml":
        return data.get("tool", {}).get("proxywhirl", {})
    return data


def _toml_module() -> Any:
    try:
        import tomllib  # type: ignore[import-not-found, unused-ignore]  # since Python 3.11
    except ImportError:
        try:
            import tomli  # type: ignore[import-not-found, unused-ignore]
        except ImportError as error:
            raise ImportError(
                "reading TOML before Python 3.11 needs an extra: pip install 'proxywhirl-rs[toml]'"
            ) from error
        return tomli
    return tomllib


def _env(file: Path, text: str) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        found = _ENV_LINE.match(stripped)
        if found is None:
            raise ValueError(f"{shown_path(file)} is not a valid .env file (line {number})")
        name, value = found[1], _env_value(found[2])
        if name.upper().startswith(ENV_PREFIX) and value:
            settings[name[len(ENV_PREFIX) :]] = value
    proxies = next((name for name in settings if name.casefold() == "proxies"), None)
    if proxies is not None:
        settings[proxies] = _env_list(file, settings[proxies])
    return settings


def _env_value(raw: str) -> str:
    value = raw.strip()
    quoted = _ENV_QUOTED.match(value)
    return quoted[2] if quoted else re.split(r"\s+#", value, maxsplit=1)[0]


def _env_list(file: Path, value: str) -> Any:
    if value.lstrip().startswith("["):
        return _json(file, value)
    return [item.strip() for item in value.split(",") if item.strip()]
