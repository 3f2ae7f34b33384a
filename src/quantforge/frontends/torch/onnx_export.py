"""A quantized torch graph as ONNX that stock ONNX Runtime runs.

The shared emitter writes QuantizeLinear and DequantizeLinear, whose only rounding is ties to even. Where a value is
rounded otherwise, a model-local function rounds it in front: what it returns lies on the grid already, so that
QuantizeLinear has nothing left to round.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from onnx import helper, parser

from quantforge.files import write_atomic
from quantforge.frontends.onnx.emit import to_proto
from quantforge.frontends.torch.onnx_native import with_onnx_nodes
from quantforge.graph import Graph
from quantforge.numerics.rounding import Rounding

DOMAIN = "quantforge"
_LEAST_IR = 8  # functions in a model exist from here on
_HALF_UP = "d = Add({x}, {x}) f = Floor(d) h = Mul(f, half) {y} = Ceil(h)"
_HALF_BELOW = "d = Add({x}, {x}) f = Ceil(d) h = Mul(f, half) {y} = Floor(h)"
_BODIES = {
    Rounding.HALF_UP: _HALF_UP.format(x="r", y="n"),
    Rounding.HALF_AWAY: f"m = Abs(r) s = Sign(r) {_HALF_UP.format(x='m', y='k')} n = Mul(k, s)",
    Rounding.HALF_DOWN: f"m = Abs(r) s = Sign(r) {_HALF_BELOW.format(x='m', y='k')} n = Mul(k, s)",
    Rounding.FLOOR: "n = Floor(r)",
    Rounding.CEIL: "n = Ceil(r)",
    Rounding.TOWARD_ZERO: "m = Abs(r) s = Sign(r) k = Floor(m) n = Mul(k, s)",
    Rounding.DPU_MIXED: (
        "zero = Constant <value_float: float = 0.0> () q = Max(r, zero) e = Round(q) g = Min(r, zero) "
        f"{_HALF_UP.format(x='g', y='k')} n = Add(e, k)"
    ),
}


def to_onnx(graph: Graph, recipe: str = "", batch: int | None = None) -> Any:
    """`graph` as a ModelProto.

    Args:
        graph: A quantized graph.
        recipe: Name of the recipe, recorded in the model.
        batch: Size of the first axis of inputs and outputs; None leaves it open.

    Raises:
        UnsupportedError: Q0602 to Q0605 when ONNX cannot express something in the graph.
    """
    even = with_onnx_nodes(graph)
    modes: dict[str, Rounding] = {}
    for value in graph.values:
        if value.quant is not None and not value.is_const and value.quant.rounding is not Rounding.HALF_EVEN:
            modes[value.name] = value.quant.rounding
            even.set_value(replace(value, quant=replace(value.quant, rounding=Rounding.HALF_EVEN)))
    model = to_proto(even, recipe)
    _round_first(model, modes)
    if batch is not None:
        _fix_batch(model, batch)
    return model


def export_onnx(graph: Graph, path: Path, recipe: str = "", batch: int | None = None) -> Path:
    """Write `to_onnx` to `path`, whole or not at all."""
    return write_atomic(path, to_onnx(graph, recipe, batch).SerializeToString())


def _round_first(model: Any, modes: dict[str, Rounding]) -> None:
    """Put the rounding function in front of the nodes that store each value."""
    if not modes:
        return
    stores = {node.name: node for node in model.graph.node}
    nodes: list[Any] = []
    first: dict[str, tuple[str, Any]] = {}
    for name in modes:
        quantize = stores.get(f"{name}_QuantizeLinear")
        if quantize is not None:
            first[stores.get(f"{name}_Clip", quantize).name] = (name, quantize)
    for node in model.graph.node:
        if node.name in first:
            name, quantize = first[node.name]
            rounded = f"{name}_Rounded"
            inputs = [node.input[0], quantize.input[1]]
            nodes.append(
                helper.make_node(_function_name(modes[name]), inputs, [rounded], rounded, domain=DOMAIN)
            )
            node.input[0] = rounded
        nodes.append(node)
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    model.functions.extend(_function(mode, opset) for mode in dict.fromkeys(modes.values()))
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    model.ir_version = max(model.ir_version, _LEAST_IR)


def _function_name(mode: Rounding) -> str:
    return "Round" + "".join(word.title() for word in mode.value.split("-"))


def _function(mode: Rounding, opset: int) -> Any:
    """x and scale to round(x / scale) * scale."""
    half = "half = Constant <value_float: float = 0.5> ()" if "half" in _BODIES[mode] else ""
    text = (
        f'<domain: "{DOMAIN}", opset_import: ["" : {opset}]> {_function_name(mode)} (x, scale) => (y) '
        f"{{ r = Div(x, scale) {half} {_BODIES[mode]} y = Mul(n, scale) }}"
    )
    return parser.parse_function(text)


def _fix_batch(model: Any, batch: int) -> None:
    for info in (*model.graph.input, *model.graph.output):
        dims = info.type.tensor_type.shape.dim
        if dims and dims[0].HasField("dim_param"):
            dims[0].ClearField("dim_param")
            dims[0].dim_value = batch
