"""From config files, settings and other tables to a valid config: read TOML or JSON, merge, validate."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from pydantic import BaseModel, ValidationError

from infogan_tool.runtime.errors import ConfigError, UsageError
from infogan_tool.runtime.storage.atomic import read_limited
from infogan_tool.runtime.storage.json_fields import refuse_deep
from infogan_tool.train.config.schema import TrainConfig
from infogan_tool.train.config.tables import LENGTH_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

_MAX_BYTES: Final = 1_000_000
_MAX_DOTS: Final = 100
_MAX_ERRORS: Final = 20
"""Errors that one message lists."""
_BARE_WORD: Final = re.compile(r"[A-Za-z_][\w./:-]*")
"""Text that needs no quotes as the value of a setting."""


def read_config_file(path: Path) -> dict[str, Any]:
    """Read a TOML file or, by its suffix, a JSON file; of what ``train --dry-run`` prints, the config.

    Keys are not checked.

    Raises:
        ConfigError: The file cannot be read or parsed.
    """
    try:
        text = read_limited(path, _MAX_BYTES).decode("utf-8-sig")  # editors of Windows put a mark first
        values = json.loads(text) if path.suffix == ".json" else _parse_toml(text)
        refuse_deep(values)
    except RecursionError as error:
        raise ConfigError(f"config file {path} cannot be read: it is nested too deep") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"config file {path} cannot be read: {reason!s:.200}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"config file {path} must hold a table")
    plan = values.get("config")
    return plan if isinstance(plan, dict) else values


def _parse_toml(text: str) -> dict[str, Any]:
    # tomllib's memory grows with the square of the parts of a key: a megabyte of dots would exhaust it.
    if any(line.count(".") > _MAX_DOTS for line in text.splitlines()):
        raise ValueError(f"a line has more than {_MAX_DOTS} dots")
    return tomllib.loads(text)


def parse_values(text: str) -> list[Any]:
    """Return the TOML values of ``0.1,[10],"text"``; a bare word is text; ``none`` and ``null`` are None.

    Raises:
        ValueError: The text is not a list of TOML values.
    """
    try:
        return _parse_list(text)
    except ValueError:
        return [value for word in text.split(",") for value in _parse_word(word.strip())]


def _parse_word(text: str) -> list[Any]:
    if _BARE_WORD.fullmatch(text):
        return [None if text in ("none", "null") else text]
    return _parse_list(text) if text.strip() else []


def _parse_list(text: str) -> list[Any]:
    parsed = _parse_toml(f"values = [{text}]")
    refuse_deep(parsed)
    values: list[Any] = parsed.pop("values")
    if parsed:
        raise ValueError("the text has more than values")
    return values


def parse_settings(
    settings: Sequence[str], *, option: str = "--set", flags: Mapping[str, str] | None = None
) -> dict[str, list[Any]]:
    """Return the values of settings such as ``optimizer.g_lr=5e-4``, by dotted key. Keys are not checked.

    Args:
        settings: Each a dotted key and TOML values; a bare word is text; ``none`` and ``null`` are None.
        option: Name of the option that gives them, for errors.
        flags: Dotted keys that are set otherwise, each with the name of the option that does.

    Raises:
        UsageError: A setting is malformed, or a key is set twice.
    """
    found: dict[str, list[Any]] = {}
    taken = dict(flags or {})
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not re.fullmatch(r"[\w-]+([.:][\w-]+)*", key):
            raise UsageError(f"{option} takes KEY=VALUE, such as optimizer.g_lr=5e-4, not {setting!r:.60}")
        for other, source in taken.items():
            if f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}."):
                twice = f"{option} {key} is given twice" if source == f"{option} {key}" else None
                raise UsageError(twice or f"{option} {key} and {source} both set {max(key, other, key=len)}")
        taken[key] = f"{option} {key}"
        try:
            found[key] = parse_values(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"{option} {key}: {text!r:.60} is not a TOML value, such as 0.1, true, [10, 4] or text"
            ) from error
    return found


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested tables of values by dotted key; no key is part of another."""
    tables: dict[str, Any] = {}
    for key, value in values.items():
        *parents, name = key.split(".")
        table = tables
        for part in parents:
            table = table.setdefault(part, {})
        table[name] = value
    return tables


def deep_merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` updated with ``changes``, table by table. A length replaces that of ``base``."""
    merged = dict(base)
    if any(changes.get(key) is not None for key in LENGTH_KEYS):
        merged = {key: value for key, value in base.items() if key not in LENGTH_KEYS}
    for key, value in changes.items():
        below = merged.get(key)
        is_table = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = deep_merge(cast("dict[str, Any]", below), value) if is_table else value
    return merged


def validate_config(values: Mapping[str, Any]) -> TrainConfig:
    """Return the config of ``values``; keys that are left out have their defaults.

    Raises:
        ConfigError: Unknown keys, with the nearest valid ones, and impossible values, in one message.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        errors = error.errors()
        messages = [_describe(item) for item in errors[:_MAX_ERRORS]]
        if len(errors) > _MAX_ERRORS:
            messages.append(f"and {len(errors) - _MAX_ERRORS:,} more")
        raise ConfigError("config: " + "; ".join(messages)) from error


def _describe(item: ErrorDetails) -> str:
    path = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"unknown key '{path}'{_nearest_key(path)}"
    message = item["msg"].removeprefix("Value error, ")
    if not path:  # an impossible combination of keys
        return message
    if item["type"] in {"model_type", "dict_type"}:
        message = "input should be a table of keys"
    value = "" if item["type"] == "value_error" else f" (not {item['input']!r:.60})"
    return f"'{path}': {message[:1].lower()}{message[1:]}{value}"


def _nearest_key(path: str) -> str:
    """Return `` (did you mean 'table.key'?)``: a similar key of the same table, else of any table."""
    table, _, name = path.rpartition(".")
    paths = sorted(_key_paths(TrainConfig), key=lambda key: -key.count("."))
    for choices in ([key for key in paths if key.rpartition(".")[0] == table], paths):
        by_name = {key.rpartition(".")[2]: key for key in choices}
        near = difflib.get_close_matches(name, by_name, n=1)
        if near:
            return f" (did you mean '{by_name[near[0]]}'?)"
    return ""


def _key_paths(table: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in table.model_fields.items():
        yield prefix + name
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _key_paths(kind, f"{prefix}{name}.")
