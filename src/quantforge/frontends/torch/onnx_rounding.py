"""Roundings that QuantizeLinear does not have, as functions inside an ONNX model.

QuantizeLinear rounds ties to even. Where a value is rounded otherwise, a function rounds it in front: what it returns
lies on the grid already, so that QuantizeLinear has nothing left to round.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from onnx import helper, parser

from quantforge.frontends.onnx.block_functions import DOMAIN
from quantforge.frontends.onnx.native import opset_version
from quantforge.graph import Graph
from quantforge.numerics.rounding import Rounding

_LEAST_IR = 8  # functions in a model exist from here on
_HALF_UP = "d = Add({x}, {x}) f = Floor(d) h = Mul(f, half) {y} = Ceil(h)"
_HALF_BELOW = "d = Add({x}, {x}) f = Ceil(d) h = Mul(f, half) {y} = Floor(h)"
_BODIES = {
    Rounding.HALF_EVEN: "n = Round(r)",
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
_NAMES = re.compile(r"\b([nmskdfhqeg]|zero|half)\b")


def rounding_text(mode: Rounding, suffix: str = "") -> str:
    """Nodes from tensor `r` to the integers `n`, as ONNX text; every name but `r` ends in `suffix`."""
    half = "half = Constant <value_float: float = 0.5> () " if "half" in _BODIES[mode] else ""
    return _NAMES.sub(rf"\1{suffix}", half + _BODIES[mode])


def rounded_to_even(graph: Graph) -> dict[str, Rounding]:
    """Change the roundings of computed values to ties to even; returns what they were, by name."""
    modes: dict[str, Rounding] = {}
    for value in graph.values:
        if value.quant is not None and not value.is_const and value.quant.rounding is not Rounding.HALF_EVEN:
            modes[value.name] = value.quant.rounding
            graph.set_value(replace(value, quant=replace(value.quant, rounding=Rounding.HALF_EVEN)))
    return modes


def round_first(model: Any, modes: Mapping[str, Rounding]) -> None:
    """Put the rounding function in front of the nodes that store each value."""
    stores = {node.name: node for node in model.graph.node}
    nodes: list[Any] = []
    first: dict[str, tuple[str, Any]] = {}
    for name in modes:
        quantize = stores.get(f"{name}_QuantizeLinear")
        if quantize is not None:
            first[stores.get(f"{name}_Clip", quantize).name] = (name, quantize)
    if not first:
        return
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
    opset = opset_version(model)
    used = dict.fromkeys(modes[name] for name, _ in first.values())
    import_functions(model, [_function(mode, opset) for mode in used])


def import_functions(model: Any, functions: Iterable[Any]) -> None:
    """Put functions into `model` and import their domains."""
    for function in functions:
        model.functions.append(function)
        if all(entry.domain != function.domain for entry in model.opset_import):
            model.opset_import.append(helper.make_opsetid(function.domain, 1))
        model.ir_version = max(model.ir_version, _LEAST_IR)


def _function_name(mode: Rounding) -> str:
    return "Round" + "".join(word.title() for word in mode.value.split("-"))


def _function(mode: Rounding, opset: int) -> Any:
    """x and scale to round(x / scale) * scale."""
    text = (
        f'<domain: "{DOMAIN}", opset_import: ["" : {opset}]> {_function_name(mode)} (x, scale) => (y) '
        f"{{ r = Div(x, scale) {rounding_text(mode)} y = Mul(n, scale) }}"
    )
    return parser.parse_function(text)
