"""Give leaky ReLUs the one slope that a DPU has.

    x or 26/256 x,  26/256 = 0.1015625

A slope near 0.1 is replaced: the network hardly notices. Any other slope stays as it is, with a note, and the
compiler leaves the operator to the CPU: 0.1 for the 0.01 that torch has by default would make all negative values ten
times as large. (The PyTorch quantizer of Vitis AI replaces every slope; its TensorFlow one only 0.1.) The ONNX
quantizer rounds every slope to 256ths (0.2 to 51/256), which `every_slope` asks for.
Source: message QUANTIZER_TORCH_LEAKYRELU; user guide UG1414, operators supported by DPUs.
"""

from __future__ import annotations

from collections.abc import Container

from quantforge.graph import Graph
from quantforge.numerics.law import LEAKY_RELU_SLOPE
from quantforge.ops.attributes import number
from quantforge.passes.result import Note, PassResult

NAME = "dpu-leaky-relu"
NEAR = (0.095, 0.107)  # 0.1 and 26/256, and what float16 makes of them
_PARTS = 256


def dpu_leaky_relus(graph: Graph, float_ops: Container[str] = (), every_slope: bool = False) -> PassResult:
    """Changed: leaky ReLUs of slope 0.1, or with `every_slope` of any, except `float_ops`."""
    graph = graph.copy()
    changed, notes, wanted = [], [], LEAKY_RELU_SLOPE.value
    for op in graph.ops:
        if op.kind != "leaky-relu" or op.name in float_ops:
            continue
        slope = number(op, "alpha", 0.01)
        if slope == wanted:
            continue
        done = every_slope or NEAR[0] <= slope <= NEAR[1]
        if done:
            rounded = wanted if NEAR[0] <= slope <= NEAR[1] else round(slope * _PARTS) / _PARTS
            graph.replace_op(op.changed(NAME, attrs={**op.attrs, "alpha": rounded}))
            changed.append(op.name)
            more = "the one a DPU has" if rounded == wanted else "not the 26/256 of a DPU: a CPU computes it"
            text = f"slope {slope:g} made {round(rounded * _PARTS)}/{_PARTS}, {more}"
        else:
            text = f"its slope {slope:g} is far from 26/256, the one a DPU has, so a CPU has to compute it"
        notes.append(Note(NAME, op.name, done, text))
    return PassResult(graph, tuple(changed), tuple(notes))
