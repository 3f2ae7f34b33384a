"""Options that speak of operators by their type, as overrides of a recipe.

UseUnsignedReLU                     outputs of ReLU, and of Clip from 0, get a range from 0 on
MatMulConstBOnly                    MatMul of two computed matrices stays in float
OpTypesToExcludeOutputQuantization  what these operator types compute stays in float, though they are quantized
QDQOpTypePerChannelSupportToAxis    which axis of the weights has a scale for each slice: that of output channels
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.graph import Graph, Op
from quantforge.ops.channels import output_channel_axis
from quantforge.quantization.recipe import Override, Part, Placement
from vai_q_onnx.selection import literal

EXCLUDED = "OpTypesToExcludeOutputQuantization"
AXES = "QDQOpTypePerChannelSupportToAxis"
BY_OPERATOR = ("UseUnsignedReLU", "MatMulConstBOnly", EXCLUDED, AXES)


def operator_overrides(
    graph: Graph,
    native_type: Callable[[Op], str],
    left: Collection[str],
    extra: Mapping[str, Any],
    placement: Placement,
) -> tuple[Override, ...]:
    """The overrides that the options in `extra` ask for.

    Args:
        graph: As it was imported.
        native_type: The ONNX operator type of an op.
        left: Names of the ops that folding leaves over; the others need no override.
        extra: `extra_options`.
        placement: Which activations are fused into their producers.

    Raises:
        InputError: Q0702 for a list of types that is none, Q0706 for a type that the model does not have, Q0717 for
            an axis that is not the one of output channels.
    """
    ops = [op for op in graph.ops if op.name in left]
    excluded = extra[EXCLUDED]
    _check_types(excluded, {native_type(op) for op in graph.ops})
    _check_axes(graph, native_type, extra[AXES])
    found: list[Override] = []
    for op in ops:
        found += _of(graph, op, extra, native_type(op) in excluded, placement)
    return tuple(found)


def _of(
    graph: Graph, op: Op, extra: Mapping[str, Any], excluded: bool, placement: Placement
) -> Iterator[Override]:
    if extra["MatMulConstBOnly"] and op.kind == "matmul" and graph.const(op, 1) is None:
        yield Override(op=literal(op.name), keep_float=True)
    if excluded:
        if not _joins_its_reader(graph, op, placement):
            yield Override(op=literal(op.name), part=Part.ACTIVATIONS, keep_float=True)
    elif extra["UseUnsignedReLU"] and _from_zero(op):
        yield Override(op=literal(op.name), part=Part.ACTIVATIONS, symmetric=False)


def _from_zero(op: Op) -> bool:
    return op.kind in ("relu", "relu6") or (op.kind == "clip" and op.attrs.get("min") == 0.0)


def _joins_its_reader(graph: Graph, op: Op, placement: Placement) -> bool:
    """Whether an activation is fused into `op`, whose own output then carries no spec in any case."""
    readers = graph.consumers(op.outputs[0])
    alone = len(readers) == 1 and op.outputs[0] not in graph.outputs
    return alone and readers[0].kind in placement.fused


def _check_types(given: Any, types: Collection[str]) -> None:
    where = f"extra_options[{EXCLUDED!r}]"
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError("Q0702", where, repr(given), "a list of operator types", f"[{given!r}]")
    _check_known(where, given, types)


def _check_axes(graph: Graph, native_type: Callable[[Op], str], axes: Any) -> None:
    """Refuse axes other than those of output channels, where a sum of products would have many scales."""
    where = f"extra_options[{AXES!r}]"
    if not isinstance(axes, Mapping) or any(type(axis) is not int for axis in axes.values()):
        expected = "a dictionary of operator types and axes"
        raise InputError("Q0702", where, repr(axes), expected, "{'MatMul': 1}")
    weighted = [(op, native_type(op), output_channel_axis(op)) for op in graph.ops]
    own = [
        (op, kind, axis) for op, kind, axis in weighted if axis is not None and graph.const(op, 1) is not None
    ]
    _check_known(where, axes, {kind for _, kind, _ in own})
    for op, kind, axis in own:
        rank = len(graph.value(op.inputs[1]).shape or ())
        if kind in axes and axes[kind] not in (axis, axis - rank):
            found, expected = f"{{{kind!r}: {axes[kind]}}} for {op.name}", f"{axis}, its output channels"
            raise InputError("Q0717", where, found, expected, f"{{{kind!r}: {axis}}}, or leave it out")


def _check_known(where: str, names: Collection[str], types: Collection[str]) -> None:
    for name in names:
        if name not in types:
            near = difflib.get_close_matches(str(name), types, n=1, cutoff=0.3)
            fix = repr(near[0]) if near else ", ".join(sorted(types))
            raise InputError("Q0706", where, repr(name), "an operator type that the model has", fix)
