"""From the records to the bytes of an .xmodel.

Both key and value of every map entry are written, and the chosen member of every attribute also when it is zero or
empty: readers require both. Attributes whose name begins with two underscores live in memory only and are left out.
The same model gives the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.xmodel import schema
from quantforge.xmodel.model import ATTR_KINDS, Attr, Attrs, Subgraph, Tensor, XModel, XOp
from quantforge.xmodel.wire import (
    bytes_field,
    double_field,
    float_field,
    integer_field,
    packed_field,
    packed_floats,
    text_field,
)

HIDDEN = "__"


def encode(model: XModel) -> bytes:
    """The file of `model`: name, operators in their order, the tree, the attributes.

    Raises:
        InputError: Q0913 for an attribute whose value its kind cannot hold.
    """
    ops = [bytes_field(schema.GRAPH_OP, _op(op)) for op in model.ops.values()]
    root = model.root
    if not root.children:
        root = Subgraph(root.name, list(model.ops), [], root.attrs)
    return b"".join(
        (
            text_field(schema.GRAPH_NAME, model.name),
            *ops,
            bytes_field(schema.GRAPH_ROOT, _subgraph(root)),
            *_attrs(schema.GRAPH_ATTR, model.attrs, model.name),
        )
    )


def _op(op: XOp) -> bytes:
    return b"".join(
        (
            text_field(schema.OP_NAME, op.name),
            text_field(schema.OP_KIND, op.kind),
            *_attrs(schema.OP_ATTR, op.attrs, op.name),
            *(bytes_field(schema.OP_ARG, _argument(*item)) for item in op.args.items()),
            bytes_field(schema.OP_TENSOR, _tensor(op.tensor)),
        )
    )


def _argument(name: str, producers: Iterable[str]) -> bytes:
    return text_field(schema.ARG_NAME, name) + b"".join(text_field(schema.ARG_OP, op) for op in producers)


def _tensor(tensor: Tensor) -> bytes:
    return b"".join(
        (
            text_field(schema.TENSOR_NAME, tensor.name),
            packed_field(schema.TENSOR_DIM, tensor.shape),
            integer_field(schema.TENSOR_TYPE, schema.LETTERS.index(tensor.dtype.letters)),
            integer_field(schema.TENSOR_BITS, tensor.dtype.bits),
            *_attrs(schema.TENSOR_ATTR, tensor.attrs, tensor.name),
        )
    )


def _subgraph(tree: Subgraph) -> bytes:
    return b"".join(
        (
            text_field(schema.SUBGRAPH_NAME, tree.name),
            *(text_field(schema.SUBGRAPH_OP, op) for op in tree.ops),
            *_attrs(schema.SUBGRAPH_ATTR, tree.attrs, tree.name),
            *(bytes_field(schema.SUBGRAPH_CHILD, _subgraph(child)) for child in tree.children),
        )
    )


def _attrs(number: int, attrs: Attrs, owner: str) -> list[bytes]:
    return [
        bytes_field(number, _entry(key, bytes_field(schema.ENTRY_VALUE, encode_attr(attr, f"{owner}.{key}"))))
        for key, attr in attrs.items()
        if not key.startswith(HIDDEN)
    ]


def _entry(key: str, value_field: bytes) -> bytes:
    return text_field(schema.ENTRY_KEY, key) + value_field


def encode_attr(attr: Attr, where: str) -> bytes:
    """The union AttrValue with one member.

    Raises:
        InputError: Q0913 when the value is none of its kind.
    """
    if attr.kind not in ATTR_KINDS:
        expected = f"one of {', '.join(ATTR_KINDS)}"
        raise InputError("Q0913", where, f"attribute kind {attr.kind!r}", expected, "use one of these kinds")
    try:
        return _member(schema.NUMBERS[attr.kind], attr.kind, attr.value)
    except (TypeError, ValueError, OverflowError, AttributeError, struct.error) as error:
        shown = repr(attr.value)
        found = f"{shown if len(shown) < 80 else shown[:80] + '…'} ({error})"
        fix = "set a value of this kind, or another kind"
        raise InputError("Q0913", where, found, f"a value of kind {attr.kind}", fix) from error


def _member(number: int, kind: str, value: Any) -> bytes:
    if kind.startswith("map_string_2_"):
        element = kind.removeprefix("map_string_2_")
        entries = (
            _entry(_text(key), _member(schema.ENTRY_VALUE, element, item)) for key, item in value.items()
        )
        return bytes_field(number, b"".join(bytes_field(schema.VALUE, entry) for entry in entries))
    if kind.endswith("_vec"):
        return bytes_field(number, _vector(kind.removesuffix("_vec"), value))
    if kind == "bytes":
        return bytes_field(number, bytes_field(schema.VALUE, _octets(value)))
    return _scalar(number, kind, value)


def _scalar(number: int, kind: str, value: Any) -> bytes:
    if kind == "string":
        return text_field(number, _text(value))
    if kind == "float":
        return float_field(number, value)
    if kind == "double":
        return double_field(number, value)
    return integer_field(number, _integer(kind, value))


def _vector(kind: str, values: Any) -> bytes:
    if kind == "string":
        return b"".join(text_field(schema.VALUE, _text(value)) for value in values)
    if kind == "bytes":
        return b"".join(bytes_field(schema.VALUE, _octets(value)) for value in values)
    if kind in ("float", "double"):
        return packed_floats(schema.VALUE, values, 4 if kind == "float" else 8)
    return packed_field(schema.VALUE, (_integer(kind, value) for value in values))


def _integer(kind: str, value: Any) -> int:
    if kind == "bool":
        lowest, highest = 0, 1
    elif kind in schema.SIGNED:
        highest = 2 ** (schema.SIGNED[kind] - 1) - 1
        lowest = -highest - 1
    else:
        lowest, highest = 0, 2 ** schema.UNSIGNED[kind] - 1
    number = value.__index__() if not isinstance(value, bool) else int(value)
    if not lowest <= number <= highest:
        raise ValueError(f"outside {lowest} to {highest}")
    return int(number)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _octets(value: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError("not bytes")
    return bytes(value)
