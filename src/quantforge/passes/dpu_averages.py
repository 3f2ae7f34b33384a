"""Make averages as a DPU does: the sum times N / 2**M, padding counted as zeros.

    average pool   N / 2**M of its window: 7/64 for 3x3, 10/256 for 5x5, 7/256 for 6x6, 21/1024 for 7x7, ...
    mean           over height and width: as an average pool with one window

Powers of two stay exact; a 3x3 average comes out 1.6 % smaller. The factor is the attribute `dpu_factor` of the
operator, which every kernel, the ONNX writer and the compiler read. An average that leaves its padding out, or whose
last windows reach beyond the image, is another function on a DPU and stays as it is, with a note; so does a mean over
other axes, which no DPU computes.
Source: `quantforge.numerics.law.average_pool_factor`; user guide UG1414, operators supported by DPUs.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from quantforge.graph import Dim, Graph, Op
from quantforge.numerics.law import Dyadic, average_pool_factor
from quantforge.ops.attributes import flag, ints
from quantforge.ops.dims import window_count
from quantforge.passes.result import Note, PassResult

NAME = "dpu-averages"
POOLS = ("avgpool1d", "avgpool2d")
MEANS = ("reduction-mean",)


def dpu_averages(
    graph: Graph, float_ops: Container[str] = (), kinds: Container[str] = (*POOLS, *MEANS)
) -> PassResult:
    """Changed: average pools of one and two dimensions and means over height and width, except `float_ops`.

    Only operators of these `kinds` are looked at.
    """
    graph = graph.copy()
    changed, notes = [], []
    for op in graph.ops:
        if op.kind not in (*POOLS, *MEANS) or op.kind not in kinds or op.name in float_ops:
            continue
        if "dpu_factor" in op.attrs:
            continue
        found = _window(graph, op)
        if isinstance(found, str):
            notes.append(Note(NAME, op.name, False, found))
            continue
        factor = average_pool_factor(found if len(found) == 2 else (1, *found))
        attrs = {name: value for name, value in op.attrs.items() if name != "ceil_mode"}  # it adds no window
        graph.replace_op(op.changed(NAME, attrs={**attrs, "dpu_factor": tuple(factor)}))
        changed.append(op.name)
        notes.append(Note(NAME, op.name, True, _said(factor, found)))
    return PassResult(graph, tuple(changed), tuple(notes))


def _said(factor: Dyadic, window: Sequence[int]) -> str:
    size = "x".join(map(str, window))
    return f"sums of {size} times {factor.numerator}/{1 << factor.shift}, as on a DPU"


def _window(graph: Graph, op: Op) -> tuple[int, ...] | str:
    """The sizes it averages over, or why a DPU would not compute the same."""
    shape = graph.value(op.inputs[0]).shape
    space = None if shape is None else shape[2:]
    if op.kind == "reduction-mean":
        axes = sorted(axis % len(shape) for axis in ints(op, "axes", ())) if shape is not None else []
        if space is None or len(space) != 2 or axes != [2, 3]:
            return "a DPU averages over height and width of images only"
        return _known(space)
    if flag(op, "global"):
        return "its input has an unknown shape" if space is None else _known(space)
    return _pooled(op, space)


def _known(space: Sequence[Dim]) -> tuple[int, ...] | str:
    sizes = tuple(size for size in space if isinstance(size, int))
    return sizes if len(sizes) == len(space) else "its input has an open size"


def _pooled(op: Op, space: Sequence[Dim] | None) -> tuple[int, ...] | str:
    kernel = ints(op, "kernel")
    rank = len(kernel)
    pads, ones = ints(op, "pads", (0,) * 2 * rank), (1,) * rank
    if any(pads) and not flag(op, "count_include_pad"):
        return "it leaves padding out, and a DPU counts it"
    if not flag(op, "ceil_mode"):
        return kernel
    stride, dilation = ints(op, "stride", ones), ints(op, "dilation", ones)
    for axis, size in enumerate(() if space is None else space):
        pair = (pads[axis], pads[rank + axis])
        row = (size, kernel[axis], stride[axis], dilation[axis], pair)
        if not isinstance(size, int) or window_count(*row, True) != window_count(*row, False):
            return "its last windows reach beyond the image"
    return kernel if space is not None else "its input has an unknown shape"
