"""Refuse an ONNX graph that wants weights from another file, before onnxruntime sees it.

A session made from bytes still follows a tensor's external data: a name in the working directory and, in
older releases, any absolute path. A graph from a stranger could so read a file of yours into its outputs.
The scan walks the protobuf messages that can hold a tensor (onnx.proto) and skips everything else by length.
"""

from __future__ import annotations

from typing import Final

from infogan_tool.runtime.errors import BundleError

__all__ = ["refuse_external_data"]

_CHILDREN: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Field number and kind of each message in which a tensor can be found."""

_EXTERNAL_DATA: Final = 13
_DATA_LOCATION: Final = 14
_MAX_DEPTH: Final = 64

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def refuse_external_data(content: bytes, name: str) -> None:
    """Walk a serialized ModelProto.

    Raises:
        BundleError: A tensor keeps its data elsewhere, or the bytes are not a protobuf message.
    """
    try:
        _walk(memoryview(content), "model", 0)
    except _ExternalDataError as error:
        raise BundleError(f"{name} keeps weights in another file, which a bundle's graph may not") from error
    except (IndexError, ValueError) as error:
        raise BundleError(f"{name} is not an ONNX graph: {error}") from error


class _ExternalDataError(Exception):
    pass


def _walk(message: memoryview, kind: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError("its messages are nested too deep")
    children = _CHILDREN[kind]
    place, end = 0, len(message)
    while place < end:
        key, place = _varint(message, place)
        field, wire = key >> 3, key & 7
        if kind == "tensor" and field in (_EXTERNAL_DATA, _DATA_LOCATION):
            value, _ = _varint(message, place)
            if field == _EXTERNAL_DATA or value:
                raise _ExternalDataError
        if wire == _BYTES:
            size, place = _varint(message, place)
            if size > end - place:
                raise ValueError("it is cut short")
            if field in children:
                _walk(message[place : place + size], children[field], depth + 1)
            place += size
        else:
            place = _skip(message, place, wire)
    if place != end:
        raise ValueError("it is cut short")


def _skip(message: memoryview, place: int, wire: int) -> int:
    if wire == _VARINT:
        return _varint(message, place)[1]
    if wire == _FIXED64:
        return place + 8
    if wire == _FIXED32:
        return place + 4
    raise ValueError("its protobuf is not valid")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the top bit says that more follow
            return value, place
    raise ValueError("its protobuf is not valid")
