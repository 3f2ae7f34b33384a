"""From the bytes of an .xmodel to its records, with the byte where it goes wrong.

Fields that the format does not have are skipped, as protobuf does; the operator definitions a file may carry (field
101) are among them, because the built-in ones win.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.xmodel import schema
from quantforge.xmodel.model import Attr, Attrs, DataType, Subgraph, Tensor, XModel, XOp
from quantforge.xmodel.wire import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    Field,
    Source,
    Span,
    fields,
    packed_fixed,
    packed_varints,
    signed,
)


def decode(source: Source) -> XModel:
    """The model in `source`. Its operators are in file order; a flat model's root lists them all.

    Raises:
        InputError: Q0901 for bytes that are no xmodel, Q0904 for a second operator of a name, Q0909 for a subgraph
            that is nested too deep, Q0911 for an attribute without a value.
    """
    model = XModel("")
    root: Subgraph | None = None
    for field in fields(Span(source, 0, len(source.data))):
        if field.number == schema.GRAPH_NAME:
            model.name = field.span(source).text()
        elif field.number == schema.GRAPH_OP:
            op = _op(field.span(source))
            if op.name in model.ops:
                raise repeated(f"{source.name}, byte {field.position}", "operator", op.name)
            model.ops[op.name] = op
        elif field.number == schema.GRAPH_ROOT:
            root = _once(root, source, field, "subgraph tree", lambda span: _subgraph(span, 0))
        elif field.number == schema.GRAPH_ATTR:
            _entry(model.attrs, field.span(source))
    if root is None and not model.ops:
        raise source.corrupt(0, "neither operators nor a subgraph tree", "an xmodel (serial_v2.Graph)")
    model.root = root or Subgraph("root")
    return model


def repeated(where: str, what: str, name: str) -> InputError:
    """The error Q0904 for a name that is there twice."""
    return InputError("Q0904", where, f"a second {what} named {name!r}", "unique names", "rename one of them")


def _op(span: Span) -> XOp:
    source = span.source
    name = kind = ""
    tensor: Tensor | None = None
    args: dict[str, tuple[str, ...]] = {}
    attrs: Attrs = {}
    for field in fields(span):
        if field.number == schema.OP_NAME:
            name = field.span(source).text()
        elif field.number == schema.OP_KIND:
            kind = field.span(source).text()
        elif field.number == schema.OP_ATTR:
            _entry(attrs, field.span(source))
        elif field.number == schema.OP_ARG:
            argument, producers = _argument(field.span(source))
            args[argument] = args.get(argument, ()) + producers
        elif field.number == schema.OP_TENSOR:
            tensor = _once(tensor, source, field, "output tensor", _tensor)
    if tensor is None or not name or not kind:
        lacking = "a name" if not name else "a type" if not kind else "an output tensor"
        raise source.corrupt(span.start, f"an operator without {lacking}", "name, type and output tensor")
    return XOp(name, kind, tensor, args, attrs)


def _argument(span: Span) -> tuple[str, tuple[str, ...]]:
    name, producers = "", []
    for field in fields(span):
        if field.number == schema.ARG_NAME:
            name = field.span(span.source).text()
        elif field.number == schema.ARG_OP:
            producers.append(field.span(span.source).text())
    return name, tuple(producers)


def _tensor(span: Span) -> Tensor:
    source = span.source
    name, letters, bits = "", 0, 0
    shape: list[int] = []
    attrs: Attrs = {}
    for field in fields(span):
        if field.number == schema.TENSOR_NAME:
            name = field.span(source).text()
        elif field.number == schema.TENSOR_DIM:
            shape += (value & 0xFFFFFFFF for value in _varints(field, source))
        elif field.number == schema.TENSOR_TYPE:
            letters = field.unsigned(source)
            if letters >= len(schema.LETTERS):
                raise source.corrupt(field.position, f"data type {letters}", "a number from 0 to 6")
        elif field.number == schema.TENSOR_BITS:
            bits = signed(field.unsigned(source), 32)
            if not 0 <= bits <= 64:
                raise source.corrupt(field.position, f"elements of {bits} bits", "1 to 64 bits")
        elif field.number == schema.TENSOR_ATTR:
            _entry(attrs, field.span(source))
    return Tensor(name, tuple(shape), DataType(schema.LETTERS[letters], bits), attrs)


def _subgraph(span: Span, depth: int) -> Subgraph:
    source = span.source
    if depth > schema.MAX_DEPTH:
        expected, fix = f"at most {schema.MAX_DEPTH} levels", "write a flatter tree of subgraphs"
        raise InputError("Q0909", f"{source.name}, byte {span.start}", "a deeper subgraph", expected, fix)
    tree = Subgraph("")
    for field in fields(span):
        if field.number == schema.SUBGRAPH_NAME:
            tree.name = field.span(source).text()
        elif field.number == schema.SUBGRAPH_OP:
            tree.ops.append(field.span(source).text())
        elif field.number == schema.SUBGRAPH_ATTR:
            _entry(tree.attrs, field.span(source))
        elif field.number == schema.SUBGRAPH_CHILD:
            tree.children.append(_subgraph(field.span(source), depth + 1))
    return tree


def _once(before: Any, source: Source, field: Field, what: str, read: Callable[[Span], Any]) -> Any:
    if before is not None:
        raise source.corrupt(field.position, f"a second {what}", "one")
    return read(field.span(source))


def _entry(attrs: Attrs, span: Span) -> None:
    """Put one entry of a map of attributes into `attrs`; a later one of the same key wins, as in protobuf."""
    key, value = _key_and_value(span)
    attr = None if value is None else _attr(value.span(span.source))
    if attr is None:
        where = f"{span.source.name}, byte {span.start}"
        fix = "write the attribute with one of the value fields, or leave it out"
        raise InputError("Q0911", where, f"attribute {key!r} without a value", "one value", fix)
    attrs[key] = attr


def _key_and_value(span: Span) -> tuple[str, Field | None]:
    key, value = "", None
    for field in fields(span):
        if field.number == schema.ENTRY_KEY:
            key = field.span(span.source).text()
        elif field.number == schema.ENTRY_VALUE:
            value = field
    return key, value


def _attr(span: Span) -> Attr | None:
    """The attribute; None when no member of the union is set. A later member wins over an earlier one."""
    found: tuple[str, Field] | None = None
    for field in fields(span):
        if field.number in schema.KINDS:
            found = schema.KINDS[field.number], field
    if found is None:
        return None
    kind, field = found
    return Attr(kind, _value(kind, field, span.source))


def _value(kind: str, field: Field, source: Source) -> Any:
    if kind.startswith("map_string_2_"):
        return _map(kind.removeprefix("map_string_2_"), field.span(source))
    if kind.endswith("_vec"):
        return tuple(_elements(kind.removesuffix("_vec"), field.span(source)))
    if kind == "bytes":
        return b"".join(_repeated_bytes(field.span(source))[-1:])
    return _scalar(kind, field, source)


def _scalar(kind: str, field: Field, source: Source) -> bool | int | float | str | bytes:
    if kind == "string":
        return field.span(source).text()
    if kind == "bytes":
        return field.span(source).bytes()
    if kind == "float":
        return _unpacked("<f", field.unsigned(source, FIXED32))
    if kind == "double":
        return _unpacked("<d", field.unsigned(source, FIXED64))
    return _integer(kind, field.unsigned(source))


def _unpacked(form: str, value: int) -> float:
    """The float whose bits `value` has; `form` says how wide it is."""
    number: float = struct.unpack(form, value.to_bytes(struct.calcsize(form), "little"))[0]
    return number


def _integer(kind: str, value: int) -> bool | int:
    if kind == "bool":
        return value != 0
    if kind in schema.SIGNED:
        return signed(value, schema.SIGNED[kind])
    return value & ((1 << schema.UNSIGNED[kind]) - 1)


def _elements(kind: str, span: Span) -> Iterator[bool | int | float | str | bytes]:
    """The numbers of a vector, packed or not; texts and bytes are never packed."""
    source = span.source
    for field in fields(span):
        if field.number != schema.VALUE:
            continue
        if field.wire != LENGTH or kind in ("string", "bytes"):
            yield _scalar(kind, field, source)
        elif kind in ("float", "double"):
            yield from packed_fixed(field.span(source), 4 if kind == "float" else 8)
        else:
            yield from (_integer(kind, value) for value in packed_varints(field.span(source)))


def _varints(field: Field, source: Source) -> Iterator[int]:
    if field.wire == VARINT:
        yield field.unsigned(source)
    else:
        yield from packed_varints(field.span(source))


def _repeated_bytes(span: Span) -> list[bytes]:
    return [field.span(span.source).bytes() for field in fields(span) if field.number == schema.VALUE]


_EMPTY: dict[str, Any] = {"string": "", "bytes": b""}


def _map(kind: str, span: Span) -> dict[str, Any]:
    """A map with text keys; a value that is left out is the empty one of its kind, as in protobuf."""
    result: dict[str, Any] = {}
    for field in fields(span):
        if field.number != schema.VALUE:
            continue
        key, value = _key_and_value(field.span(span.source))
        if value is not None:
            result[key] = _value(kind, value, span.source)
        else:
            result[key] = () if kind.endswith("_vec") else _EMPTY.get(kind, 0)
    return result
