"""Write a mean over height and width as a global average pool.

    mean(x, axes 2 and 3, both kept) = global-average-pool(x)

The numbers are the same; a DPU's compiler looks for the pool. Source: ConvertReduceMeanToGlobalAvgPool of the ONNX
quantizer of Vitis AI, which knows the axes as [2, 3] only; negative ones are found here too.
"""

from __future__ import annotations

from collections.abc import Callable

from quantforge.graph import Graph, Op
from quantforge.ops.attributes import flag, ints
from quantforge.passes.result import Note, PassResult

NAME = "means-to-pools"


def means_to_pools(graph: Graph, keep: Callable[[Op], bool] = lambda op: False) -> PassResult:
    """Changed: means over the height and width of images that keep both axes, but for what `keep` says."""
    graph = graph.copy()
    changed, notes = [], []
    for op in graph.ops:
        if op.kind != "reduction-mean" or keep(op) or "dpu_factor" in op.attrs:
            continue
        shape = graph.value(op.inputs[0]).shape
        if shape is None or len(shape) != 4 or not flag(op, "keepdims", True):
            continue
        if sorted(axis % 4 for axis in ints(op, "axes", ())) != [2, 3]:
            continue
        sizes = tuple(size for size in shape[2:] if isinstance(size, int))
        attrs = {
            "kernel": sizes if len(sizes) == 2 else (), "stride": (1, 1), "dilation": (1, 1), "pads": (0, 0, 0, 0),
            "ceil_mode": False, "global": True, "layout": "NCHW", "count_include_pad": False,
        }  # fmt: skip
        graph.replace_op(op.changed(NAME, kind="avgpool2d", inputs=op.inputs[:1], attrs=attrs))
        changed.append(op.name)
        notes.append(Note(NAME, op.name, True, "mean over height and width made a global average pool"))
    return PassResult(graph, tuple(changed), tuple(notes))
