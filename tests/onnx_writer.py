"""Write ONNX graphs that no exporter would, without the onnx package."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FLOAT, INT64 = 1, 7
Shape = tuple["int | str", ...]


def number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def block(field: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def tensor(
    name: str, dims: Sequence[int], raw: bytes, *, kind: int = FLOAT, external: str | None = None
) -> bytes:
    """Return a TensorProto, its data in place or in the file ``external``."""
    message = b"".join(number(1, dim) for dim in dims) + number(2, kind) + block(8, name)
    if external is None:
        return message + block(9, raw)
    entry = block(1, "location") + block(2, external)
    return message + block(13, entry) + number(14, 1)


def value_info(name: str, shape: Shape, kind: int = FLOAT) -> bytes:
    dims = b"".join(block(1, number(1, d) if isinstance(d, int) else block(2, d)) for d in shape)
    return block(1, name) + block(2, block(1, number(1, kind) + block(2, dims)))


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Sequence[bytes] = ()) -> bytes:
    names = [block(1, name) for name in inputs] + [block(2, name) for name in outputs]
    return b"".join(names) + block(4, kind) + b"".join(block(5, attribute) for attribute in attributes)


def int_attribute(name: str, value: int) -> bytes:
    return block(1, name) + number(3, value) + number(20, 2)


def tensor_attribute(name: str, value: bytes) -> bytes:
    return block(1, name) + block(5, value) + number(20, 4)


def model(
    nodes: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    *,
    initializers: Sequence[bytes] = (),
    props: Mapping[str, str] | None = None,
) -> bytes:
    graph = b"".join(block(1, item) for item in nodes) + block(2, "graph")
    graph += b"".join(block(5, item) for item in initializers)
    graph += b"".join(block(11, item) for item in inputs) + b"".join(block(12, item) for item in outputs)
    message = number(1, 10) + block(7, graph) + block(8, number(2, 20))
    for key, value in (props or {}).items():
        message += block(14, block(1, key) + block(2, value))
    return message
