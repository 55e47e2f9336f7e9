"""Objects that a config names: those of the package, and those of users, which are registered in the process.

A config may come from an untrusted run folder, so a name never imports anything. ``"module:attribute"`` is
found only in modules that the user has named to :func:`import_module`, which ``--import`` calls.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from infogan_tool.runtime.errors import InfoganError, UsageError, did_you_mean
from infogan_tool.train.config.tables import NAME_PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


_imported: set[str] = set()


class Registry(Generic[T]):
    """Named objects of one kind.

    Args:
        kind: What they are, for errors.
        builtin: Those of the package, which cannot be replaced.
        registered_by: Function that registers those of users, where ``"module:attribute"`` names none.
    """

    def __init__(self, kind: str, builtin: Mapping[str, T], *, registered_by: str | None = None) -> None:
        self.kind, self._registered_by = kind, registered_by
        self._builtin, self._own = dict(builtin), dict[str, T]()

    @property
    def names(self) -> list[str]:
        """The registered names."""
        return [*self._builtin, *self._own]

    def register(self, name: str, item: T) -> None:
        """Register an object, in place of an earlier one of that name.

        Raises:
            UsageError: The name is one of the package's, or not a name.
        """
        if name in self._builtin:
            raise UsageError(f"{self.kind} '{name}' is part of infogan-tool: register yours by another name")
        if ":" in name or not re.match(NAME_PATTERN, name):
            raise UsageError(f"{self.kind} cannot be named {name!r:.60}: use letters, digits, _, - and .")
        self._own[name] = item

    def get(self, name: str) -> T:
        """Return the object that a config names; nothing is imported.

        Raises:
            UsageError: Nothing of that name is registered, or its module was not named by the user.
        """
        for items in (self._builtin, self._own):
            if name in items:
                return items[name]
        module, colon, attribute = name.partition(":")
        if colon and self._registered_by:
            raise UsageError(
                f"there is no {self.kind} '{name}': register yours by {self._registered_by}, under a name "
                "without a colon, and name the module that does: --import MODULE"
            )
        if not colon:
            raise UsageError(
                f"there is no {self.kind} '{name}'{did_you_mean(name, self.names)}; "
                "if it is your own, name the module that registers it: --import MODULE"
            )
        if module not in _imported:
            raise UsageError(
                f"{self.kind} '{name}' is code outside of infogan-tool, imported only if you name it: "
                f"if you trust it, add --import {module}, or in Python import_module({module!r})"
            )
        # Only what the module defines, not what it imports from others.
        defined = {
            key: value
            for key, value in vars(sys.modules[module]).items()
            if getattr(value, "__module__", None) == module
        }
        if attribute not in defined:
            hint = did_you_mean(attribute, [key for key in defined if not key.startswith("_")])
            raise UsageError(f"module {module} does not define '{attribute}'{hint}")
        item: T = defined[attribute]
        return item


def import_module(name: str) -> None:
    """Import a module that the user trusts, from the installed packages or the current folder.

    It may register objects, and configs may then name its attributes.

    Raises:
        UsageError: There is no such module, or it cannot be imported.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name) or name.endswith(".py"):
        stem = re.sub(r"[/\\]", ".", name.removesuffix(".py")).lstrip(".")
        raise UsageError(
            f"--import takes the name of a module, such as my_nets, not {name!r:.60}: try {stem:.60}"
        )
    folder = str(Path.cwd())
    if folder not in sys.path:  # the console script does not search the current folder
        sys.path.append(folder)
    try:
        importlib.import_module(name)
    except InfoganError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(
                f"--import {name}: there is no such module in {folder} or among the installed packages"
            ) from error
        raise UsageError(f"--import {name}: {describe_error(error)}") from error
    _imported.add(name)


def describe_error(error: BaseException) -> str:
    """Return type and message of an exception of foreign code on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text:.300}" if text else type(error).__name__
