"""Replace a split by one slice for each part that something reads.

    split(x, sizes s, axis a)[i] = x[begin_i : begin_i + s_i] along a,   begin_i = s_0 + ... + s_(i-1)

Nothing is computed either way. A DPU has strided slices and no split. Slices are named after what they make and their
place, as `ConvertSplitToSlice` of the ONNX quantizer of Vitis AI does.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, pairwise

from quantforge.graph import Graph, Op, Origin
from quantforge.ops.attributes import integer, ints
from quantforge.passes.result import Note, PassResult

NAME = "split-to-slices"


def split_to_slices(graph: Graph, keep: Callable[[Op], bool] = lambda op: False) -> PassResult:
    """Changed: every split, but for what `keep` says."""
    graph = graph.copy()
    changed, notes = [], []
    for op in graph.ops:
        if op.kind != "split" or keep(op):
            continue
        axis, sizes = integer(op, "axis"), ints(op, "sizes")
        ends = list(accumulate(sizes))
        after = next((b.name for a, b in pairwise(graph.ops) if a.name == op.name), None)
        graph.remove_op(op.name)
        for index, name in enumerate(op.outputs):
            if not (graph.consumers(name) or name in graph.outputs):
                continue
            attrs = {
                "begin": (ends[index] - sizes[index],), "end": (ends[index],), "strides": (1,), "axes": (axis,),
            }  # fmt: skip
            origin = Origin(op.origin.names, NAME)
            title = graph.fresh_name(f"{name}_{index}")
            graph.add_op(Op("strided-slice", title, op.inputs[:1], (name,), attrs, origin), before=after)
        changed.append(op.name)
        notes.append(Note(NAME, op.name, True, f"made slices of {', '.join(map(str, sizes))}"))
    graph.prune()
    return PassResult(graph, tuple(changed), tuple(notes))
