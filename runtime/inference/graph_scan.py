"""Scan an untrusted ONNX graph before onnxruntime opens it: read its interface, refuse unsafe parts.

A session made from bytes still follows a tensor's external data: a file in the working directory and, in
older releases, at any absolute path, so an untrusted graph could copy a private file into its outputs.
Refused too are operators of other domains, functions and loops, tensors larger than the file, and millions of
nodes.

The scan walks the protobuf messages that matter (onnx.proto), skips everything else by its length, and never
reads a weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from infogan_tool.runtime.errors import BundleError


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output of a graph."""

    shape: tuple[int | str | None, ...]
    """A number for each fixed axis; a name or None for a dynamic one."""
    dtype: str
    """numpy's name of the element type, such as ``"float32"``."""


@dataclass(slots=True)
class GraphInterface:
    """A graph's interface and metadata_props, with the attributes of :class:`GraphSession`."""

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
    "input": {},
    "output": {},
}
"""Field number and kind of the messages to walk within a message of each kind."""

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
"""Most messages of a graph, and most fields of a message; a bundle's graphs have fewer than a thousand."""
_MAX_AXES: Final = 64

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_Fields = list[tuple[int, "int | memoryview"]]


def scan_graph(content: bytes, name: str) -> GraphInterface:
    """Walk a serialized ModelProto and return its interface.

    Raises:
        BundleError: It has a part that no bundle's graph has, or the bytes are not a protobuf message.
    """
    scan = _Scan()
    try:
        scan.walk(memoryview(content), "model")
    except _RefusedError as error:
        raise BundleError(f"{name} {error}, which is not allowed in a bundle") from error
    except (IndexError, ValueError) as error:
        raise BundleError(f"{name} is not an ONNX graph: {error}") from error
    return scan.scanned


class _RefusedError(Exception):
    pass


class _Scan:
    def __init__(self) -> None:
        self.scanned = GraphInterface()
        self._messages = 0

    def walk(self, message: memoryview, kind: str) -> _Fields:
        """Check a message and those within it, and return its fields."""
        self._messages += 1
        if self._messages > _MAX_PARTS:
            raise ValueError("it has too many parts")
        children = _CHILDREN[kind]
        fields: _Fields = []
        for number, value in _fields(message):
            child = children.get(number)
            if child in _REFUSED:
                raise _RefusedError(_REFUSED[child])
            if child is not None and isinstance(value, memoryview):
                self._collect(child, self.walk(value, child), value)
            else:
                fields.append((number, value))
        if kind == "node" and bytes(_bytes_field(fields, 7)) not in _DOMAINS:
            raise _RefusedError("has operators of another domain")
        return fields

    def _collect(self, kind: str, fields: _Fields, message: memoryview) -> None:
        if kind == "tensor":
            _check_tensor(fields, len(message))
        elif kind == "opset" and bytes(_bytes_field(fields, 1)) not in _DOMAINS:
            raise _RefusedError("has operators of another domain")
        elif kind == "property":
            self.scanned.metadata[_decoded(_bytes_field(fields, 1))] = _decoded(_bytes_field(fields, 2))
        elif kind in ("input", "output"):
            tensors = self.scanned.inputs if kind == "input" else self.scanned.outputs
            tensors[_decoded(_bytes_field(fields, 1))] = _tensor_info(_bytes_field(fields, 2))


def _check_tensor(fields: _Fields, size: int) -> None:
    axes: list[int] = []
    for number, value in fields:
        if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value):
            raise _RefusedError("keeps weights in another file")
        if number == 1:  # the sizes of its axes, one by one or packed
            axes += _packed(value) if isinstance(value, memoryview) else [value]
    # The smallest element type has four bits. More axes would take long to multiply.
    if len(axes) > _MAX_AXES or math.prod(axes) > 2 * size:
        raise ValueError("a tensor has more elements than the file can hold")


def _tensor_info(type_proto: memoryview) -> TensorInfo:
    """Return shape and type of a TypeProto; the type of anything but a tensor reads ``type 0``."""
    tensor = list(_fields(_bytes_field(list(_fields(type_proto)), 1)))
    kind = next((value for number, value in tensor if number == 1 and isinstance(value, int)), 0)
    axes: list[int | str | None] = []
    for number, value in _fields(_bytes_field(tensor, 2)):
        if number == 1 and isinstance(value, memoryview):
            dimension = dict(_fields(value))
            size, name = dimension.get(1), dimension.get(2)
            axes.append(
                size if isinstance(size, int) else _decoded(name) if isinstance(name, memoryview) else None
            )
    return TensorInfo(tuple(axes), _TYPES.get(kind, f"type {kind}"))


# --- protobuf ----------------------------------------------------------------------------------------------


def _bytes_field(fields: _Fields, wanted: int) -> memoryview:
    """Return the bytes of a field, the last one if it is repeated; empty if it is missing."""
    return next(
        (v for n, v in reversed(fields) if n == wanted and isinstance(v, memoryview)), memoryview(b"")
    )


def _decoded(text: memoryview) -> str:
    return bytes(text).decode("utf-8", "replace")


def _fields(message: memoryview) -> list[tuple[int, int | memoryview]]:
    fields: _Fields = []
    offset, end = 0, len(message)
    while offset < end:
        key, offset = _varint(message, offset)
        wire = key & 7
        value: int | memoryview = 0
        if wire == _BYTES:
            size, offset = _varint(message, offset)
            if size > end - offset:
                raise ValueError("it is truncated")
            value = message[offset : offset + size]
            offset += size
        elif wire == _VARINT:
            value, offset = _varint(message, offset)
        elif wire in (_FIXED64, _FIXED32):
            offset += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError("its protobuf is not valid")
        fields.append((key >> 3, value))
        if len(fields) > _MAX_PARTS:
            raise ValueError("it has too many parts")
    if offset != end:
        raise ValueError("it is truncated")
    return fields


def _packed(values: memoryview) -> list[int]:
    """Return the numbers, those after too many axes left out."""
    numbers: list[int] = []
    offset = 0
    while offset < len(values) and len(numbers) <= _MAX_AXES:
        value, offset = _varint(values, offset)
        numbers.append(value)
    return numbers


def _varint(message: memoryview, offset: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the top bit marks that another byte follows
            return value, offset
    raise ValueError("its protobuf is not valid")
