"""Options that speak of operators by their type, as overrides of a recipe.

UseUnsignedReLU                     outputs of ReLU, and of Clip from 0, get a range from 0 on
MatMulConstBOnly                    MatMul of two computed matrices stays in float
OpTypesToExcludeOutputQuantization  what these operator types compute stays in float, though they are quantized
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.graph import Graph, Op
from quantforge.quantization.recipe import Override, Part, Placement
from vai_q_onnx.selection import literal

EXCLUDED = "OpTypesToExcludeOutputQuantization"
BY_OPERATOR = ("UseUnsignedReLU", "MatMulConstBOnly", EXCLUDED)


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
        InputError: Q0702 for a list of types that is none, Q0706 for a type that the model does not have.
    """
    ops = [op for op in graph.ops if op.name in left]
    excluded = extra[EXCLUDED]
    _check_types(excluded, {native_type(op) for op in graph.ops})
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
    for name in given:
        if name not in types:
            near = difflib.get_close_matches(str(name), types, n=1, cutoff=0.3)
            fix = repr(near[0]) if near else ", ".join(sorted(types))
            raise InputError("Q0706", where, repr(name), "an operator type that the model has", fix)
