"""Write a clip from 0 as a ReLU, where the stored result ends somewhere anyway.

    clip(x, 0, max) stored in b bits = min(relu(x), largest stored number)

A DPU has ReLU and ReLU6. Scales are known here, and were chosen from what the clip let through, so that the largest
number a tensor can hold is near `max`; how far values reach beyond it is noted. (The original drops the maximum of
any clip whose minimum is 0 or above, also where nothing is stored behind it, and counts a positive minimum as 0.)

Source: ConvertClipToRelu of the ONNX quantizer of Vitis AI.
"""

from __future__ import annotations

import math
from collections.abc import Container

from quantforge.graph import Graph, Op
from quantforge.numerics.formats import IntFormat
from quantforge.ops.activation import limits
from quantforge.passes.result import Note, PassResult

NAME = "dpu-clip"


def dpu_clips(graph: Graph, float_ops: Container[str] = ()) -> PassResult:
    """Changed: clips from 0 whose result is stored in integers, except `float_ops`; others are noted."""
    graph = graph.copy()
    changed, notes = [], []
    for op in graph.ops:
        if op.kind not in ("clip", "relu6") or op.name in float_ops:
            continue
        largest, (low, high) = _largest(graph, op), limits(op)
        if low != 0.0:
            notes.append(Note(NAME, op.name, False, f"it begins at {low:g}, and a ReLU at 0"))
        elif largest is None and math.isfinite(high):
            notes.append(
                Note(NAME, op.name, False, f"nothing is stored behind it that would end at {high:g}")
            )
        else:
            graph.replace_op(op.changed(NAME, kind="relu", inputs=op.inputs[:1], attrs={}))
            changed.append(op.name)
            ends = (
                "" if largest is None else f": what is stored ends at {largest:g}, the clip did at {high:g}"
            )
            notes.append(Note(NAME, op.name, True, f"made a ReLU{ends}"))
    return PassResult(graph, tuple(changed), tuple(notes))


def _largest(graph: Graph, op: Op) -> float | None:
    """The largest number that the stored result of `op` holds; None when it is not stored in integers."""
    spec = graph.value(op.outputs[0]).quant
    if spec is None or not isinstance(spec.format, IntFormat):
        return None
    return (spec.format.qmax - spec.zero_point[0]) * spec.scale[0]
