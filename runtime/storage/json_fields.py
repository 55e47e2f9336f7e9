"""Typed access to untrusted JSON; every error names the key."""

from __future__ import annotations

import json
from typing import Any, Final

from infogan_tool.runtime.errors import BundleError

_MAX_TEXT: Final = 500
_MAX_NUMBER: Final = 1e6
_MAX_DEPTH: Final = 64
_TOO_DEEP: Final = "it is nested too deep"


class Fields:
    """A table of the metadata; every method raises BundleError, which names the key, for an invalid value."""

    def __init__(self, data: object, path: str) -> None:
        if not isinstance(data, dict):
            raise BundleError(f"metadata {path or 'file'} is not a table")
        self._data = data
        self._path = path

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def _get(self, key: str) -> object:
        if key not in self._data:
            raise BundleError(f"metadata has no '{self.name(key)}'")
        return self._data[key]

    def name(self, key: str) -> str:
        """Return the full name of ``key``, for messages."""
        return f"{self._path}.{key}" if self._path else key

    def integer(self, key: str, low: int, high: int) -> int:
        """Return an integer from ``low`` to ``high``."""
        value = self._get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise BundleError(f"metadata '{self.name(key)}' must be a whole number from {low} to {high}")
        return value

    def number(self, key: str, low: float = -_MAX_NUMBER, high: float = _MAX_NUMBER) -> float:
        """Return a number from ``low`` to ``high``."""
        value = self._get(key)
        # NaN compares as False and is refused too.
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            limits = "" if (low, high) == (-_MAX_NUMBER, _MAX_NUMBER) else f" from {low:g} to {high:g}"
            raise BundleError(f"metadata '{self.name(key)}' must be a number{limits}")
        return float(value)

    def text(self, key: str) -> str:
        """Return a short printable string."""
        return checked_text(self._get(key), self.name(key))

    def choice(self, key: str, known: tuple[str, ...]) -> str:
        """Return one of the strings of ``known``."""
        value = self.text(key)
        if value not in known:
            raise BundleError(f"metadata '{self.name(key)}' is '{value}', not one of {', '.join(known)}")
        return value

    def table(self, key: str) -> dict[str, Any]:
        """Return a table."""
        value = self._get(key)
        if not isinstance(value, dict):
            raise BundleError(f"metadata '{self.name(key)}' must be a table")
        return value


def parse_json(content: bytes) -> object:
    """Parse JSON.

    Raises:
        ValueError: It is not JSON, is nested too deep, or has NaN, an infinity (also as 1e999) or half a
        surrogate pair, which Python's parser accepts.
    """
    try:
        data: object = json.loads(content)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    refuse_deep(data)
    json.dumps(data, ensure_ascii=False, allow_nan=False).encode()  # fails for what JSON in UTF-8 cannot hold
    return data


def refuse_deep(data: object) -> None:
    """Check that tables and lists are nested at most 64 levels deep.

    Raises:
        ValueError: They are nested deeper.
    """
    level = [data]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def checked_text(value: object, name: str) -> str:
    """Return ``value`` if it is a short printable string.

    Raises:
        BundleError: It is not; control characters could manipulate the terminal.
    """
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise BundleError(f"metadata '{name}' must be a short printable text")
    return value
