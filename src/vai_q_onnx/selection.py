"""Which nodes are quantized: the arguments that name nodes or operator types, as overrides of a recipe.

A node is kept in float when an argument excludes it. `input_nodes` and `output_nodes` are read as what they say,
reachability: quantized is what lies behind a start node and before an end node, both included (the original went
by the position in the file). A name that matches nothing is an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Sequence

from onnx.defs import get_all_schemas

from quantforge.diagnostics import InputError
from quantforge.graph import Graph, Op
from quantforge.quantization.recipe import Override


def overrides_of(
    graph: Graph,
    native_type: Callable[[Op], str],
    left: Collection[str],
    *,
    op_types_to_quantize: Sequence[str] = (),
    nodes_to_quantize: Sequence[str] = (),
    nodes_to_exclude: Sequence[str] = (),
    input_nodes: Sequence[str] = (),
    output_nodes: Sequence[str] = (),
) -> tuple[Override, ...]:
    """Overrides that keep every node in float that the arguments leave out.

    Args:
        graph: As it was imported.
        native_type: The ONNX operator type of an op.
        left: Names of the ops that folding leaves over; the others need no override.
        op_types_to_quantize: Quantize only these ONNX operator types, and what merely moves data between them.
        nodes_to_quantize: Quantize only these nodes.
        nodes_to_exclude: Keep these nodes in float.
        input_nodes: Quantize only what can be reached from these nodes or tensors.
        output_nodes: Quantize only what these nodes or tensors need.

    Raises:
        InputError: Q0706 for a node name or an operator type that is not in the model.
    """
    names = {op.name for op in graph.ops} | {name for op in graph.ops for name in op.origin.names}
    for where, given in (("nodes_to_quantize", nodes_to_quantize), ("nodes_to_exclude", nodes_to_exclude)):
        _check(where, given, names)
    types = {native_type(op) for op in graph.ops}
    _check(
        "op_types_to_quantize",
        op_types_to_quantize,
        types | {schema.name for schema in get_all_schemas()},
        types,
    )
    ends = names | set(graph.inputs) | set(graph.outputs)
    _check("input_nodes", input_nodes, ends)
    _check("output_nodes", output_nodes, ends)
    kept = {op.name for op in graph.ops}
    if op_types_to_quantize:
        kept &= {op.name for op in graph.ops if native_type(op) in op_types_to_quantize or _moves_data(op)}
    if nodes_to_quantize:
        kept &= {op.name for op in graph.ops if _named(op, nodes_to_quantize)}
    if input_nodes:
        kept &= _reach(graph.ops, input_nodes, forward=True)
    if output_nodes:
        kept &= _reach(reversed(graph.ops), output_nodes, forward=False)
    kept -= {op.name for op in graph.ops if _named(op, nodes_to_exclude)}
    return tuple(
        Override(op=literal(op.name), keep_float=True)
        for op in graph.ops
        if op.name in left and op.name not in kept
    )


def _moves_data(op: Op) -> bool:
    return op.kind in ("reshape", "transpose", "squeeze", "unsqueeze", "flatten")


def _named(op: Op, names: Collection[str]) -> bool:
    return op.name in names or any(name in names for name in op.origin.names)


def _reach(ops: Iterable[Op], starts: Sequence[str], forward: bool) -> set[str]:
    """Names of the ops that can be reached from `starts` (nodes or tensors), in the order `ops` gives."""
    reached: set[str] = set()
    values = set(starts)
    for op in ops:
        near, far = (op.inputs, op.outputs) if forward else (op.outputs, op.inputs)
        if _named(op, starts) or values & {name for name in near if name}:
            reached.add(op.name)
            values.update(far)
    return reached


def _check(where: str, given: Sequence[str], known: Collection[str], near: Collection[str] = ()) -> None:
    """Refuse names that are not `known`; the nearest name is looked for in `near`, else in `known`."""
    for name in given:
        if name not in known:
            found = difflib.get_close_matches(name, near or known, n=1, cutoff=0.3)
            fix = repr(found[0]) if found else "`quantforge show MODEL` lists them"
            raise InputError("Q0706", where, repr(name), "a name that the model has", fix)


def literal(name: str) -> str:
    """A glob that matches `name` alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
