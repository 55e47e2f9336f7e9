"""Write the generated parts of docs/reference: the options of each command, and every config key.

python docs/generate_reference.py            # `make reference`
python docs/generate_reference.py --check    # exit code 1 where a page is not up to date

A page is written by hand but for blocks between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``. A block
of cli.md has the name of a command, one of config.md that of a table of the training config.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel

from infogan_tool.cli.app import app
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.config.presets import PRESETS, resolve_config
from infogan_tool.train.config.schema import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE: Final = Path(__file__).resolve().parent / "reference"
_BASE: Final = "paper"
_ABSENT: Final = object()
_BOUNDS: Final = {"ge": ">= {}", "gt": "> {}", "le": "<= {}", "lt": "< {}"}
_LATENT_TYPES: Final = {
    "noise": ("integer", ">= 0"),
    "noise_prior": ("`uniform`, `normal`", ""),
    "categorical": ("list of integers", "each >= 2"),
    "continuous": ("integer", ">= 0"),
    "periodic": ("list of text", ""),
}
"""The latent spec is a dataclass of the runtime, without bounds in its annotations."""


# --- the config ----------------------------------------------------------------------------------------


def _inner(annotation: object) -> list[object]:
    """Return the members of a union, or the annotation alone."""
    return list(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else [annotation]


def _sub_table(annotation: object) -> type[BaseModel] | None:
    tables = [one for one in _inner(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
    return tables[0] if tables else None


def _type_of(annotation: object) -> str:
    names = {int: "integer", float: "number", bool: "true or false", str: "text", type(None): "null"}
    types = []
    for one in _inner(annotation):
        if get_origin(one) is Literal:
            types.append(", ".join(f"`{value}`" for value in get_args(one)))
        elif get_origin(one) is tuple:
            parts = get_args(one)
            any_length = parts[-1] is Ellipsis
            types.append(f"list of {_type_of(parts[0])}" if any_length else f"list of {len(parts)} numbers")
        else:
            types.append(names.get(one, "table") if isinstance(one, type) else "table")
    return " or ".join(types)


def _range_of(metadata: list[Any]) -> str:
    bounds = []
    for item in metadata:
        bounds += [form.format(getattr(item, name)) for name, form in _BOUNDS.items() if hasattr(item, name)]
    return ", ".join(bounds)


def _latent_docs() -> dict[str, str]:
    """Return the docstring of each field of the latent spec."""
    body = ast.parse(textwrap.dedent(inspect.getsource(LatentSpec))).body[0]
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(text.value, ast.Constant)
            docs[field.target.id] = str(text.value.value)
    return docs


def _value_at(config: dict[str, Any], key: str) -> object:
    """Return the value of a dotted key, or _ABSENT where a table above it is null."""
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, dict):
            return _ABSENT
        value = value[part]
    return _ABSENT if isinstance(value, dict) else value


def _shown(value: object) -> str:
    if value is _ABSENT:
        return "-"
    text = {None: "null", True: "true", False: "false"}.get(value) if isinstance(value, bool | None) else None
    if isinstance(value, float):
        text = f"{value:g}"
    return f"`{text or value}`"


def _cell(text: str) -> str:
    text = re.sub(r"\bNone\b", "`null`", text)
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def _key_row(key: str, kind: str, bounds: str, meaning: str, configs: dict[str, dict[str, Any]]) -> str:
    base = _shown(_value_at(configs[_BASE], key))
    others: dict[str, list[str]] = {}
    for name, config in configs.items():
        value = _shown(_value_at(config, key))
        if value not in (base, "-"):
            others.setdefault(value, []).append(name)
    differ = "; ".join(f"{', '.join(names)}: {value}" for value, names in others.items())
    type_and_range = f"{kind}, {bounds}" if bounds else kind
    return f"| `{key}` | {type_and_range} | {base} | {differ} | {_cell(meaning)} |"


def _table_rows(model: type[BaseModel], prefix: str, configs: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        table = _sub_table(field.annotation)
        if table is not None:
            yield from _table_rows(table, f"{prefix}{name}.", configs)
        else:
            bounds = _range_of(field.metadata)
            meaning = field.description or ""
            yield _key_row(f"{prefix}{name}", _type_of(field.annotation), bounds, meaning, configs)


def config_blocks() -> dict[str, str]:
    """Return the generated block of each table of the config; ``top`` has the keys outside any table."""
    configs = {name: resolve_config(preset=name).to_dict() for name in PRESETS}
    head = "| key | type | default | presets that differ | meaning |\n|---|---|---|---|---|\n"
    blocks = {"top": head}
    for name, field in TrainConfig.model_fields.items():
        table = _sub_table(field.annotation)
        if name == "latent":
            docs = _latent_docs()
            rows = [
                _key_row(f"latent.{key}", *kind, docs[key], configs) for key, kind in _LATENT_TYPES.items()
            ]
        elif table is not None:
            rows = list(_table_rows(table, f"{name}.", configs))
        elif name == "preset":
            blocks["top"] += (
                f"| `preset` | text | `{_BASE}` | each has its own | {_cell(field.description or '')} |\n"
            )
            continue
        else:
            bounds = _range_of(field.metadata)
            row = _key_row(name, _type_of(field.annotation), bounds, field.description or "", configs)
            blocks["top"] += row + "\n"
            continue
        blocks[name] = f"{_cell(field.description or '')}\n\n{head}" + "\n".join(rows) + "\n"
    return blocks


# --- the command line ----------------------------------------------------------------------------------


def _markdown(text: str) -> str:
    """Return a docstring as Markdown: indented lines become one block of commands."""
    prose, commands = [], []
    for line in textwrap.dedent(text).strip().splitlines():
        if line.startswith(" "):
            commands.append(f"    {line.strip()}")
        elif line.strip() not in ("Example:", "Examples:"):
            prose.append(line)
    paragraphs = re.sub(r"\n{3,}", "\n\n", "\n".join(prose)).strip()
    return paragraphs + ("\n\n" + "\n".join(commands) if commands else "")


def _usage_of(record: str) -> str:
    """Return ``--steps N`` for Typer's ``--steps <int range>``; choices stay, types of arguments go."""
    option = record.startswith("-")
    record = re.sub(r" <(?:int range|int|float|list\[int\])>", " N" if option else "", record)
    return re.sub(r" <(?:path|str|list\[\w+\])>", "", record)


def _meaning_of(record: str) -> str:
    """Return the help text with Typer's bounds, such as ``[default: 64; x>=1]``, in words."""
    record = re.sub(r"\bx>=(\S+?)(?=[];])", r"at least \1", record)
    record = re.sub(r"(\d+)<=x<=(\d+)", r"\1 to \2", record)
    return re.sub(r"\[((?:default|required|at least|\d+ to).*?)\]$", r"(\1)", record)


def cli_blocks() -> dict[str, str]:
    """Return the generated block of each command: its help, arguments and options."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    root = group.make_context("infogan-tool", [], resilient_parsing=True)
    blocks = {}
    for name in group.list_commands(root):
        command = group.commands[name]
        context = command.make_context(name, [], parent=root, resilient_parsing=True)
        lines = [_markdown(command.help or ""), "", "| argument or option | meaning |", "|---|---|"]
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record and "--help" not in record[0]:
                lines.append(f"| `{_cell(_usage_of(record[0]))}` | {_cell(_meaning_of(record[1]))} |")
        blocks[name] = "\n".join(lines) + "\n"
    return blocks


# --- pages ---------------------------------------------------------------------------------------------


def render(page: Path, blocks: dict[str, str]) -> str:
    """Return the text of a page with its blocks replaced.

    Raises:
        ValueError: The page lacks a block, or has one of another name.
    """
    text = page.read_text("utf-8")
    names = re.findall(r"<!-- begin (\S+) -->", text)
    if sorted(names) != sorted(blocks):
        raise ValueError(f"{page.name} has the blocks {sorted(names)}; it needs {sorted(blocks)}")
    for name, block in blocks.items():
        before, begin, rest = text.partition(f"<!-- begin {name} -->\n")
        _, end, after = rest.partition(f"<!-- end {name} -->")
        text = before + begin + block + end + after
    return text


def pages() -> dict[Path, str]:
    """Return the text that each generated page should have."""
    return {
        REFERENCE / "cli.md": render(REFERENCE / "cli.md", cli_blocks()),
        REFERENCE / "config.md": render(REFERENCE / "config.md", config_blocks()),
    }


def main() -> None:
    """Write the pages, or with ``--check`` compare them."""
    stale = [page for page, text in pages().items() if page.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        for page in stale:
            print(f"{page.name} is not up to date: run `make reference`", file=sys.stderr)
        sys.exit(1 if stale else 0)
    for page, text in pages().items():
        page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
