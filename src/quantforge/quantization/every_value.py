"""Placement for float formats: every real number that an operator makes is rounded, and none share anything.

A float format has no scale, so there is nothing that values could share or that data would have to say. Rounding is
monotone and doing it twice is doing it once, which saves two kinds of steps without changing a number:

    round(relu(round(x))) = round(relu(x)), and so for relu6 and clip: the value before a fused one is not rounded;
    an operator that only moves numbers of the format makes numbers of the format.

Integer rules beside float ones hold for the operators that have a quantized form.

Source: user guide UG1414, Quantization Strategy Configuration (data types bfloat16 and float16).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from quantforge.graph import Graph, Op
from quantforge.numerics.formats import FloatFormat, Format
from quantforge.ops.channels import WEIGHTED
from quantforge.ops.registry import spec
from quantforge.quantization.places import FloatOp, SpecGroup
from quantforge.quantization.recipe import Recipe, TensorRule
from quantforge.quantization.rules import bias_rule, value_rule, weight_rule

EXACT_FUSED = ("relu", "relu6", "clip")
_MOVES = ("move", "join")


def groups_of_one(
    graph: Graph, ops: list[Op], recipe: Recipe, inner: Collection[str], floats: Mapping[str, FloatOp]
) -> list[SpecGroup]:
    """A group for each value that is rounded, in the order of the graph.

    Args:
        graph: Of which they are.
        ops: Operators that are not kept in float on purpose.
        recipe: Rules and overrides.
        inner: Values between an operator and the activation fused into it.
        floats: Operators without a quantized form, by name.
    """
    parameters = {name for op in ops for name in _parameter_names(graph, op)}
    groups: list[SpecGroup] = []
    formats: dict[str, Format] = {}

    def add(name: str, op: Op | None) -> None:
        if name not in formats and name not in inner and name not in parameters and _is_real(graph, name):
            rule = value_rule(graph, (name,), (name,), recipe, inner)
            if _applies(rule, op, floats) and not _moved(op, rule, formats):
                groups.append(SpecGroup((name,), (name,), rule))
            if not rule.keep_float:
                formats[name] = rule.format

    for name in graph.inputs:
        if recipe.inputs is not None:
            add(name, None)
    for op in ops:
        if op.kind != "opaque":
            for name in op.inputs:
                if name and graph.value(name).is_const:
                    add(name, op)
        for name in op.outputs:
            if name:
                add(name, op)
    return groups


def rounded_parameters(
    graph: Graph, ops: list[Op], recipe: Recipe, floats: Mapping[str, FloatOp]
) -> list[Op]:
    """The operators whose constants are weights and biases; those of normalizations in float formats only."""
    return [
        op
        for op in ops
        if len(op.inputs) > 1
        and graph.const(op, 1) is not None
        and (
            (op.kind in WEIGHTED and op.name not in floats)
            or (_has_parameters(op) and _all_float_formats(graph, op, recipe))
        )
    ]


def _all_float_formats(graph: Graph, op: Op, recipe: Recipe) -> bool:
    formats = [weight_rule(op, recipe).format]
    if graph.const(op, 2) is not None:
        formats.append(bias_rule(op, recipe).format)
    return all(isinstance(format, FloatFormat) for format in formats)


def _has_parameters(op: Op) -> bool:
    return op.kind in WEIGHTED or spec(op.kind).traits.role == "normalize"


def _parameter_names(graph: Graph, op: Op) -> list[str]:
    """Constants that are weights, biases or statistics of `op`; slopes of prelu keep their own numbers."""
    if not _has_parameters(op) and op.kind != "prelu":
        return []
    return [name for name in op.inputs[1:] if name and graph.value(name).is_const]


def _is_real(graph: Graph, name: str) -> bool:
    return graph.value(name).dtype == "float32"


def _applies(rule: TensorRule, op: Op | None, floats: Mapping[str, FloatOp]) -> bool:
    if rule.keep_float:
        return False
    return isinstance(rule.format, FloatFormat) or op is None or op.name not in floats


def _moved(op: Op | None, rule: TensorRule, formats: Mapping[str, Format]) -> bool:
    """Whether `op` only moves numbers of the same float format."""
    if op is None or not isinstance(rule.format, FloatFormat) or spec(op.kind).traits.role not in _MOVES:
        return False
    return all(formats.get(name) == rule.format for name in op.inputs if name)
