"""The text form of a graph: one line per value or op, read back by `parse_graph` without loss.

    graph "net"
    input %x: float32[batch,3,8,8] @int8(position=5)
    const %w: float32[16,3,3,3] @int8(position=7) = sha256:9f86d081884c7d65
    const %b: float32[2] = [0.5, -1.0]
    %y: float32[batch,16,8,8] = conv2d(%x, %w, %b) kernel=(3, 3)  # "Conv_1" by "some-pass"
    output %y

Names with other characters than letters, digits and ``_ . / - :`` stand in JSON quotes: ``%"a b"``. An absent
input or output is ``_``, an unknown size ``?``; an unknown shape has no brackets. Behind ``#`` comes the name of
the op, then ``from`` its native nodes, unless that is one node of the same name, and ``by`` the pass that made
it. Constants of up to 16 elements stand in place; larger ones by digest, with their data in `large_constants`.
Native records (`Origin.native`, `Graph.native`) are not part of the text, nor is the order of values.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.graph.graph import Array, Attr, Dim, Graph, Op, Origin, Shape, Value
from quantforge.graph.spec import QuantSpec
from quantforge.graph.tokens import BARE_NAME, INTEGER, LineReader
from quantforge.numerics.formats import parse_format
from quantforge.numerics.rounding import Rounding

INLINE_ELEMENTS = 16
DIGEST_DIGITS = 16

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def print_graph(graph: Graph) -> str:
    """The text of a well-formed graph (`verify`)."""
    lines = [f"graph {_quote(graph.name)}"]
    lines += [f"input {_declare(graph.value(name))}" for name in graph.inputs]
    computed = {name for op in graph.ops for name in op.outputs}
    for value in graph.values:
        if value.name not in graph.inputs and value.name not in computed:
            lines.append(f"{'const' if value.is_const else 'value'} {_declare(value)}")
    lines += [_print_op(graph, op) for op in graph.ops]
    lines.append("output " + ", ".join(_name(name) for name in graph.outputs))
    return "\n".join(lines) + "\n"


def large_constants(graph: Graph) -> dict[str, Array]:
    """The constants that `print_graph` names by digest, by that digest."""
    found = (value.const for value in graph.values if value.const is not None)
    return {_digest(const): const for const in found if _inline(const) is None}


def parse_graph(text: str, constants: Mapping[str, Array] | None = None) -> Graph:
    """The graph that `text` describes; `constants` holds the large ones by digest.

    >>> graph = parse_graph('graph "g"\\ninput %x: float32[1,2]\\n%y: float32[1,2] = relu(%x)  # "r"\\noutput %y\\n')
    >>> graph.producer("y").kind
    'relu'

    Raises:
        InputError: Q0407 for a line out of form, Q0408 for a constant that is missing or another one.
    """
    graph = Graph("")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            _parse_line(graph, LineReader(line, number), constants or {})
    return graph


# printing


def _print_op(graph: Graph, op: Op) -> str:
    outputs = ", ".join(_declare(graph.value(name)) if name else "_" for name in op.outputs)
    inputs = ", ".join(_name(name) if name else "_" for name in op.inputs)
    attrs = "".join(f" {_word(name)}={_attr(value)}" for name, value in op.attrs.items())
    origin = "" if op.origin.names == (op.name,) else " from " + (_quotes(op.origin.names) or "nothing")
    made_by = "" if op.origin.made_by is None else f" by {_quote(op.origin.made_by)}"
    return f"{outputs} = {_word(op.kind)}({inputs}){attrs}  # {_quote(op.name)}{origin}{made_by}"


def _declare(value: Value) -> str:
    spec = "" if value.quant is None else f" @{_spec(value.quant)}"
    text = f"{_name(value.name)}: {_type(value.dtype, value.shape)}{spec}"
    if value.const is None:
        return text
    inline = _inline(value.const)
    if inline is None:
        return f"{text} = {_digest(value.const)}"
    same = str(value.const.dtype) == value.dtype and value.const.shape == value.shape
    own = "" if same else _type(str(value.const.dtype), value.const.shape) + " "
    return f"{text} = {own}{inline}"


def _type(dtype: str, shape: Shape | None) -> str:
    return _word(dtype) + ("" if shape is None else f"[{','.join(_dim(dim) for dim in shape)}]")


def _dim(dim: Dim) -> str:
    return "?" if dim is None else _word(dim) if isinstance(dim, str) else str(dim)


def _spec(spec: QuantSpec) -> str:
    """``int8(position=5)`` or ``uint8(scale=0.02, zero_point=128, axis=0, rounding=half-up)``."""
    fields: dict[str, str] = {}
    position = spec.position
    if position is not None and spec == QuantSpec.power_of_two(spec.format, position, spec.rounding):
        fields["position"] = str(position)
    else:
        if spec.scale != (1.0,):
            fields["scale"] = _one_or_list(spec.scale)
        if spec.zero_point != (0,) * len(spec.scale):
            fields["zero_point"] = _one_or_list(spec.zero_point)
    if spec.axis is not None:
        fields["axis"] = str(spec.axis)
    if spec.rounding is not Rounding.HALF_EVEN:
        fields["rounding"] = str(spec.rounding)
    listed = ", ".join(f"{name}={value}" for name, value in fields.items())
    return f"{spec.format}({listed})" if listed else str(spec.format)


def _one_or_list(numbers: tuple[float, ...] | tuple[int, ...]) -> str:
    return repr(numbers[0]) if len(numbers) == 1 else f"[{', '.join(map(repr, numbers))}]"


def _attr(value: Attr) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quote(value)
    if not isinstance(value, tuple):
        return repr(value)
    return f"({', '.join(_attr(item) for item in value)}{',' if len(value) == 1 else ''})"


def _inline(const: Array) -> str | None:
    """The elements in a list, when they are few and read back to the same bytes."""
    if const.size > INLINE_ELEMENTS or const.dtype.kind not in "biuf":
        return None
    items = [_element(item) for item in const.reshape(-1)]
    back = _elements(items, const.dtype)
    return f"[{', '.join(items)}]" if back.tobytes() == np.ascontiguousarray(const).tobytes() else None


def _element(item: np.generic) -> str:
    if isinstance(item, np.bool_):
        return "true" if item else "false"
    short = str(item)
    return (
        short if not isinstance(item, np.floating) or type(item)(float(short)) == item else repr(float(item))
    )


def _elements(items: Iterable[str], dtype: np.dtype[np.generic]) -> Array:
    numbers: list[int | float] = []
    for item in items:
        if dtype.kind == "b":
            numbers.append(item == "true")
        else:
            numbers.append(float(item) if dtype.kind == "f" else int(item))
    return np.array(numbers, dtype)


def _digest(const: Array) -> str:
    """Digest of dtype, shape and data."""
    state = hashlib.sha256(f"{const.dtype.str}{const.shape}".encode())
    if const.dtype.kind == "O":
        state.update(repr(const.tolist()).encode())
    else:
        state.update(np.ascontiguousarray(const).tobytes())
    return f"sha256:{state.hexdigest()[:DIGEST_DIGITS]}"


def _name(name: str) -> str:
    return "%" + (name if re.fullmatch(BARE_NAME, name) else _quote(name))


def _word(word: str) -> str:
    return word if _WORD.fullmatch(word) else _quote(word)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _quotes(texts: tuple[str, ...]) -> str:
    return ", ".join(_quote(text) for text in texts)


# parsing


def _parse_line(graph: Graph, line: LineReader, constants: Mapping[str, Array]) -> None:
    if line.accept("graph"):
        graph.name = line.string()
    elif line.accept("input"):
        graph.inputs = (*graph.inputs, _parse_constant(graph, line, constants))
    elif line.accept("const") or line.accept("value"):
        _parse_constant(graph, line, constants)
    elif line.accept("output"):
        while line.next:
            graph.outputs = (*graph.outputs, line.name())
            if not line.accept(","):
                break
    else:
        _parse_op(graph, line)
    if line.next:
        line.refuse("the end of the line")


def _parse_op(graph: Graph, line: LineReader) -> None:
    outputs = [_parse_declaration(graph, line)]
    while line.accept(","):
        outputs.append(_parse_declaration(graph, line))
    line.expect("=")
    kind = line.word()
    inputs = line.listed("(", ")", line.name)
    attrs: dict[str, Attr] = {}
    while line.next != "#":
        name = line.word()
        line.expect("=")
        attrs[name] = _parse_attr(line)
    line.expect("#")
    op_name = line.string()
    names: tuple[str, ...] = (op_name,)
    if line.accept("from"):
        names = () if line.accept("nothing") else (line.string(),)
        while line.accept(","):
            names = (*names, line.string())
    made_by = line.string() if line.accept("by") else None
    graph.add_op(Op(kind, op_name, tuple(inputs), tuple(outputs), attrs, Origin(names, made_by)))


def _parse_declaration(graph: Graph, line: LineReader) -> str:
    name = line.name()
    if name:
        line.expect(":")
        dtype, shape = _parse_type(line)
        quant = _parse_spec(line) if line.accept("@") else None
        graph.set_value(Value(name, shape, dtype, None, quant))
    return name


def _parse_constant(graph: Graph, line: LineReader, constants: Mapping[str, Array]) -> str:
    """A declaration, with data behind an equals sign."""
    name = _parse_declaration(graph, line)
    if line.accept("="):
        value = graph.value(name)
        const = _parse_data(line, value, constants)
        graph.set_value(Value(name, value.shape, value.dtype, const, value.quant))
    return name


def _parse_data(line: LineReader, value: Value, constants: Mapping[str, Array]) -> Array:
    if line.accept("sha256"):
        line.expect(":")
        digest = f"sha256:{line.word()}"
        const = constants.get(digest)
        if const is None or _digest(const) != digest:
            found = f"{digest}, which is not among the {len(constants)} constants given"
            raise InputError(
                "Q0408", f"constant {value.name}", found, "its data", "pass large_constants(graph)"
            )
        return const
    dtype, shape = (value.dtype, value.shape) if line.next == "[" else _parse_type(line)
    items = line.listed("[", "]", line.word)
    sizes = [dim for dim in shape or () if isinstance(dim, int)]
    try:
        return _elements(items, np.dtype(dtype)).reshape(sizes)
    except (ValueError, TypeError, OverflowError):
        line.refuse(f"the elements of {_type(dtype, shape)}")


def _parse_type(line: LineReader) -> tuple[str, Shape | None]:
    dtype = line.word()
    return dtype, tuple(line.listed("[", "]", lambda: _parse_dim(line))) if line.next == "[" else None


def _parse_dim(line: LineReader) -> Dim:
    if line.accept("?"):
        return None
    return line.integer() if INTEGER.fullmatch(line.next) else line.word()


def _parse_spec(line: LineReader) -> QuantSpec:
    format_ = parse_format(line.word())
    fields: dict[str, tuple[float, ...]] = {}
    rounding = Rounding.HALF_EVEN
    if line.next == "(":
        listed = line.listed("(", ")", lambda: _parse_spec_field(line))
        rounding = next((mode for _, mode in listed if isinstance(mode, Rounding)), rounding)
        fields = {key: numbers for key, numbers in listed if isinstance(numbers, tuple)}
    if "position" in fields:
        return QuantSpec.power_of_two(format_, int(fields["position"][0]), rounding)
    scale = fields.get("scale", (1.0,))
    zero_point = tuple(int(z) for z in fields.get("zero_point", (0,) * len(scale)))
    axis = int(fields["axis"][0]) if "axis" in fields else None
    return QuantSpec(format_, scale, zero_point, axis, rounding)


def _parse_spec_field(line: LineReader) -> tuple[str, Rounding | tuple[float, ...]]:
    key = line.word()
    line.expect("=")
    if key == "rounding":
        return key, Rounding(line.word()) if line.next in list(Rounding) else line.refuse("a rounding mode")
    if key not in ("position", "axis", "scale", "zero_point"):
        line.refuse("position, scale, zero_point, axis or rounding")
    read: Callable[[], float] = line.number if key == "scale" else line.integer
    return key, tuple(line.listed("[", "]", read)) if line.next == "[" else (read(),)


def _parse_attr(line: LineReader) -> Attr:
    if line.next == "(":
        return tuple(line.listed("(", ")", lambda: _parse_scalar(line)))  # type: ignore[return-value]
    return _parse_scalar(line)


def _parse_scalar(line: LineReader) -> int | float | str | bool:
    if line.next.startswith('"'):
        return line.string()
    if line.next in ("true", "false"):
        return line.take() == "true"
    return line.integer() if INTEGER.fullmatch(line.next) else line.number()
