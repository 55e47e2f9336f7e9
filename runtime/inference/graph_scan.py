"""Read what an ONNX graph says of itself, and refuse what no bundle's graph has, before onnxruntime sees it.

A session made from bytes still follows a tensor's external data: a name in the working directory and, in
older releases, any absolute path. A graph from a stranger could so read a file of yours into its outputs. Nor
does a bundle need operators of other domains, functions or loops, tensors that announce more than the file
holds, or millions of nodes. The scan walks the protobuf messages that matter (onnx.proto), skips everything
else by length, and never looks into a weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from infogan_tool.runtime.errors import BundleError

__all__ = ["Scanned", "TensorInfo", "scan_graph"]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a graph says of one input or output."""

    shape: tuple[int | str | None, ...]
    """A number for each fixed axis; a name or None for a dynamic one."""
    dtype: str
    """numpy's name of the element type, such as ``"float32"``."""


@dataclass(slots=True)
class Scanned:
    """What a graph says of itself, as :class:`GraphSession` has it of onnxruntime."""

    inputs: dict[str, TensorInfo] = field(default_factory=dict)
    outputs: dict[str, TensorInfo] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


_CHILDREN: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 8: "opset", 14: "property", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "input", 12: "output", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "subgraph", 10: "tensor", 11: "subgraph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "opset": {},
    "property": {},
    "tensor": {},
    "input": {2: "type"},
    "output": {2: "type"},
    "type": {1: "tensor type"},
    "tensor type": {2: "shape"},
    "shape": {1: "axis"},
    "axis": {},
}
"""Field number and kind of each message that is looked into; no kind is within itself."""

_REFUSED: Final = {
    "training": "holds training steps",
    "function": "defines functions",
    "subgraph": "holds a graph within a graph, as loops do",
}
_DOMAINS: Final = (b"", b"ai.onnx")
_TYPES: Final = {
    1: "float32",
    2: "uint8",
    3: "int8",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
}

_EXTERNAL_DATA: Final = 13
_DATA_LOCATION: Final = 14
_MAX_PARTS: Final = 200_000
"""Messages in a graph, and fields in a message; of a bundle's graphs none has a thousand."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_Fields = list[tuple[int, "int | memoryview"]]


def scan_graph(content: bytes, name: str) -> Scanned:
    """Walk a serialized ModelProto.

    Raises:
        BundleError: It holds what no bundle's graph has, or the bytes are not a protobuf message.
    """
    scan = _Scan()
    try:
        scan.walk(memoryview(content), "model")
    except _RefusedError as error:
        raise BundleError(f"{name} {error}, which a bundle's graph may not") from error
    except (IndexError, ValueError) as error:
        raise BundleError(f"{name} is not an ONNX graph: {error}") from error
    return scan.found


class _RefusedError(Exception):
    pass


class _Scan:
    def __init__(self) -> None:
        self.found = Scanned()
        self._messages = 0

    def walk(self, message: memoryview, kind: str) -> _Fields:
        """Return the fields of a message, and see to those within it."""
        self._messages += 1
        if self._messages > _MAX_PARTS:
            raise ValueError("it has more parts than any")
        children = _CHILDREN[kind]
        fields: _Fields = []
        for number, value in _fields(message):
            child = children.get(number)
            if child in _REFUSED:
                raise _RefusedError(_REFUSED[child])
            if child is None or not isinstance(value, memoryview):
                fields.append((number, value))
                continue
            inner = self.walk(value, child)
            if kind in ("input", "output", "type", "tensor type", "shape"):
                fields.append((number, value))
            self._take(child, inner, value)
        if kind == "node" and bytes(_text(fields, 7)) not in _DOMAINS:
            raise _RefusedError("has operators of another domain")
        return fields

    def _take(self, kind: str, fields: _Fields, message: memoryview) -> None:
        if kind == "tensor":
            _check_tensor(fields, len(message))
        elif kind == "opset" and bytes(_text(fields, 1)) not in _DOMAINS:
            raise _RefusedError("has operators of another domain")
        elif kind == "property":
            self.found.metadata[_decoded(_text(fields, 1))] = _decoded(_text(fields, 2))
        elif kind in ("input", "output"):
            tensors = self.found.inputs if kind == "input" else self.found.outputs
            tensors[_decoded(_text(fields, 1))] = _info(_text(fields, 2))


def _check_tensor(fields: _Fields, size: int) -> None:
    elements = 1
    for number, value in fields:
        if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value):
            raise _RefusedError("keeps weights in another file")
        if number == 1:  # the sizes of its axes, one by one or packed
            elements *= math.prod(_packed(value)) if isinstance(value, memoryview) else value
    # Four bits are the least that an element takes.
    if elements > 2 * size:
        raise ValueError("a tensor announces more elements than the file holds")


def _info(type_proto: memoryview) -> TensorInfo:
    """Return what a TypeProto says; a type that is no tensor has no name."""
    tensor = list(_fields(_text(list(_fields(type_proto)), 1)))
    kind = next((value for number, value in tensor if number == 1 and isinstance(value, int)), 0)
    axes: list[int | str | None] = []
    for number, value in _fields(_text(tensor, 2)):
        if number == 1 and isinstance(value, memoryview):
            told = dict(_fields(value))
            size, axis = told.get(1), told.get(2)
            axes.append(
                size if isinstance(size, int) else _decoded(axis) if isinstance(axis, memoryview) else None
            )
    return TensorInfo(tuple(axes), _TYPES.get(kind, f"type {kind}"))


# --- protobuf ----------------------------------------------------------------------------------------------


def _text(fields: _Fields, wanted: int) -> memoryview:
    """Return the bytes of a field, the last where it comes several times, and none where it does not."""
    return next(
        (v for n, v in reversed(fields) if n == wanted and isinstance(v, memoryview)), memoryview(b"")
    )


def _decoded(text: memoryview) -> str:
    return bytes(text).decode("utf-8", "replace")


def _fields(message: memoryview) -> list[tuple[int, int | memoryview]]:
    found: _Fields = []
    place, end = 0, len(message)
    while place < end:
        key, place = _varint(message, place)
        wire = key & 7
        value: int | memoryview = 0
        if wire == _BYTES:
            size, place = _varint(message, place)
            if size > end - place:
                raise ValueError("it is cut short")
            value = message[place : place + size]
            place += size
        elif wire == _VARINT:
            value, place = _varint(message, place)
        elif wire in (_FIXED64, _FIXED32):
            place += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError("its protobuf is not valid")
        found.append((key >> 3, value))
        if len(found) > _MAX_PARTS:
            raise ValueError("it has more parts than any")
    if place != end:
        raise ValueError("it is cut short")
    return found


def _packed(values: memoryview) -> list[int]:
    found, place = [], 0
    while place < len(values):
        value, place = _varint(values, place)
        found.append(value)
    return found


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the top bit says that more follow
            return value, place
    raise ValueError("its protobuf is not valid")
