"""QuantizeLinear and DequantizeLinear of domain ``vai``: the original's own operators, for any width and rounding.

    q = round(clip(x / scale, valmin - zero_point, valmax - zero_point)) + zero_point
    y = (q - zero_point) * scale

Inputs are the original's: x, valmin and valmax (int32), scale, zero_point, method and axis (int8). method is its
number of the rounding; axis -1 means one scale for the whole tensor, and scales along an axis have a shape that
broadcasts to x. Both operators are functions inside the model, so that runtimes without the domain run it too.
Parameters stay float32 and are quantized when the model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import helper, parser

from quantforge.diagnostics import UnsupportedError
from quantforge.frontends.onnx.native import NativeNode
from quantforge.frontends.torch.onnx_rounding import rounding_text
from quantforge.graph import Array, Graph, Op, Origin, QuantSpec, Value
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.rounding import Rounding

DOMAIN = "vai"
MADE_BY = "quantize"
METHODS = {
    Rounding.HALF_UP: 2,
    Rounding.HALF_AWAY: 3,
    Rounding.FLOOR: 4,
    Rounding.DPU_MIXED: 5,
    Rounding.HALF_DOWN: 6,
    Rounding.CEIL: 7,
    Rounding.HALF_EVEN: 8,
    Rounding.TOWARD_ZERO: 9,  # a number of our own: the original has none
}
_FLOAT32_BITS = 24


def vai_functions(opset: int) -> tuple[Any, Any]:
    """The two functions, importing `opset`."""
    head = f'<domain: "{DOMAIN}", opset_import: ["" : {opset}]>'
    choice, rounded = _choice(list(METHODS))
    zero = "zero = Cast <to: int = 1> (zero_point)"
    quantize = parser.parse_function(
        f"{head} QuantizeLinear (x, valmin, valmax, scale, zero_point, method, axis) => (q) {{ {zero} "
        "ratio = Div (x, scale) bottom = Cast <to: int = 1> (valmin) top = Cast <to: int = 1> (valmax) "
        "low = Sub (bottom, zero) high = Sub (top, zero) above = Max (ratio, low) r = Min (above, high) "
        f"{choice} q = Add ({rounded}, zero) }}"
    )
    dequantize = parser.parse_function(
        f"{head} DequantizeLinear (x, scale, zero_point, axis) => (y) "
        f"{{ {zero} centred = Sub (x, zero) y = Mul (centred, scale) }}"
    )
    return quantize, dequantize


def _choice(modes: Sequence[Rounding]) -> tuple[str, str]:
    """Nodes that round `r` as `method` says, and the result's name; a runtime chooses once, for `method` is known."""
    mode, *others = modes
    number = METHODS[mode]
    body, rounded = rounding_text(mode, f"_{number}"), f"n_{number}"
    if not others:
        return body, rounded
    rest, otherwise = _choice(others)
    return (
        f"m{number} = Constant <value: tensor = int8 {{{number}}}> () is{number} = Equal (method, m{number}) "
        f"r_{number} = If (is{number}) <then_branch = by{number} () => (float[] {rounded}) {{ {body} }}, "
        f"else_branch = not{number} () => (float[] {otherwise}) {{ {rest} }}>"
    ), f"r_{number}"


def with_vai_nodes(graph: Graph) -> Graph:
    """A copy of `graph` in which operators of domain ``vai`` stand for the integer specs of values.

    Raises:
        UnsupportedError: Q0602 for activations of more than 24 bits.
    """
    written = Graph(graph.name, graph.values, (), graph.inputs, graph.outputs, graph.native)
    stored = {value.name: value for value in graph.quantized() if _has_integers(value)}
    read: dict[str, str] = {}
    for name in graph.inputs:
        if name in stored:
            read[name] = _pair(written, stored[name], name, written.fresh_name(f"{name}_DequantizeLinear"))
    for op in graph.ops:
        for name in dict.fromkeys(op.inputs):
            if name in stored and name not in read and stored[name].is_const:
                read[name] = _constant(written, stored[name])
        made = {name: written.fresh_name(f"{name}_Float") for name in op.outputs if name in stored}
        for name, fresh in made.items():
            written.set_value(replace(stored[name], name=fresh, quant=None))
        inputs = tuple(read.get(name, name) for name in op.inputs)
        outputs = tuple(made.get(name, name) for name in op.outputs)
        written.add_op(replace(op, inputs=inputs, outputs=outputs))
        for name, fresh in made.items():
            read[name] = _pair(written, stored[name], fresh, name)
    return written


def _has_integers(value: Value) -> bool:
    form = None if value.quant is None else value.quant.format
    if isinstance(form, IntFormat) and form.bits > _FLOAT32_BITS and not value.is_const:
        raise UnsupportedError(
            "Q0602", f"tensor {value.name!r}", f"format {form}", f"up to {_FLOAT32_BITS} bits",
            "choose fewer bits for activations",
        )  # fmt: skip
    return isinstance(form, IntFormat)


def _constant(graph: Graph, value: Value) -> str:
    """What stands for a constant: a pair behind its float data, or what it stands for where float32 is too narrow."""
    spec = _spec(value)
    if isinstance(spec.format, IntFormat) and spec.format.bits > _FLOAT32_BITS:
        data = fake_quantize_value(np.asarray(value.const), spec, value.name)
        graph.set_value(replace(value, const=data, quant=None))
        return value.name
    return _pair(graph, value, value.name, graph.fresh_name(f"{value.name}_DequantizeLinear"))


def _pair(graph: Graph, value: Value, source: str, target: str) -> str:
    """Add both nodes from tensor `source` to tensor `target`."""
    spec, name = _spec(value), value.name
    form = spec.format
    bounds = (form.qmin, form.qmax) if isinstance(form, IntFormat) else (0, 0)

    def constant(part: str, data: Any, dtype: str) -> str:
        array: Array = np.asarray(data, dtype)
        made = graph.fresh_name(f"{name}_{part}")
        graph.set_value(Value(made, array.shape, dtype, array))
        return made

    low, high = (constant(p, b, "int32") for p, b in zip(("valmin", "valmax"), bounds, strict=True))
    scale = constant("scale", _beside(value, spec.scale), "float32")
    zero_type = "int8" if all(-128 <= zero <= 127 for zero in spec.zero_point) else "int32"
    zero = constant("zero_point", _beside(value, spec.zero_point), zero_type)
    method, axis = constant("method", METHODS[spec.rounding], "int8"), constant("axis", _axis(value), "int8")
    integers = graph.fresh_name(f"{name}_QuantizeLinear_Output")
    graph.set_value(replace(value, name=source, quant=None))
    for made in (integers, target):
        graph.set_value(Value(made, value.shape, value.dtype))
    _node(graph, f"{name}_QuantizeLinear", (source, low, high, scale, zero, method, axis), integers)
    _node(graph, f"{name}_DequantizeLinear", (integers, scale, zero, axis), target)
    return target


def _node(graph: Graph, name: str, inputs: tuple[str, ...], output: str) -> None:
    kind = name.rpartition("_")[2]
    make: Callable[..., Any] = helper.make_node
    record = NativeNode(make(kind, list(inputs), [output], name, domain=DOMAIN), tuple(range(len(inputs))))
    said = {"type": kind, "domain": DOMAIN}
    fresh = graph.fresh_name(f"{name}_Node")
    graph.add_op(Op("opaque", fresh, inputs, (output,), said, Origin((name,), MADE_BY, record)))


def _spec(value: Value) -> QuantSpec:
    return value.quant or QuantSpec(IntFormat(8))


def _beside(value: Value, numbers: Sequence[float]) -> Array:
    """One number, or numbers in a shape that stands along the axis of the value."""
    rank, axis = len(value.shape or ()), _axis(value)
    array = np.asarray(numbers)
    return array.reshape([-1 if dim == axis else 1 for dim in range(rank)] if axis >= 0 else ())


def _axis(value: Value) -> int:
    spec, rank = _spec(value), len(value.shape or ())
    return -1 if spec.axis is None else spec.axis % max(rank, 1)
