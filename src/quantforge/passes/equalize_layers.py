"""Cross-layer equalization: give the channels between layers equal weight ranges.

What: for a set of values that share their channels (a convolution's output, what relu, pooling and add make of
it), channel c may be multiplied by any s_c > 0 in the layers that write it and divided by s_c in those that read
it, because the ops between are positively homogeneous: f(s x) = s f(x). We choose
    s_c = sqrt(tail_c / head_c),
head_c = max over writers of max|W[c, :]| and tail_c = max over readers of max|W[:, c]|, which makes the ranges of
channel c equal on both sides (each sqrt(head_c tail_c)).

Why: with one scale per tensor, a channel a hundred times smaller than its neighbours has no bits left.
Cost: a few passes over the weights, no data. When it hurts: activations grow where weights shrink.
Reference: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019 (CLE).
Unlike the paper and the original tool, which walk chains of single consumers, this follows whole channel groups,
so residual adds and values with several readers are equalized too, and every refusal names the op that caused it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Graph, Op, Value
from quantforge.ops.channels import WEIGHTED, input_channel_axis, is_depthwise, output_channel_axis
from quantforge.passes.result import Note, PassResult

NAME = "equalize-layers"
HOMOGENEOUS = frozenset(
    {"relu", "leaky-relu", "identity", "maxpool1d", "maxpool2d", "avgpool1d", "avgpool2d", "dropout"}
)
Channels = NDArray[np.float64]


@dataclass(frozen=True)
class ChannelGroup:
    """Values that share channels, the ops that write them (`heads`) and read them (`tails`), by name."""

    values: tuple[str, ...]
    heads: tuple[str, ...]
    tails: tuple[str, ...]


def equalize_layers(
    graph: Graph, sweeps: int = 1, tolerance: float = 1e-3, include_bias: bool = False
) -> PassResult:
    """Equalize every channel group, `sweeps` times or until no scale moves by more than `tolerance`.

    Changed: the weighted ops whose constants were scaled.
    """
    graph = graph.copy()
    groups, notes = channel_groups(graph)
    changed: dict[str, None] = {}
    moved: dict[str, float] = {}
    for _ in range(sweeps):
        largest = 0.0
        for group in groups:
            scale = _balance(graph, group, include_bias)
            largest = max(largest, float(np.abs(np.log(scale)).max(initial=0.0)))
            moved[group.heads[0]] = max(
                moved.get(group.heads[0], 0.0), float(np.abs(np.log2(scale)).max(initial=0.0))
            )
            _apply(graph, group, scale)
            changed.update(dict.fromkeys((*group.heads, *group.tails)))
        if largest <= tolerance:
            break
    done = [Note(NAME, name, True, f"channels scaled by up to 2^{log2:.1f}") for name, log2 in moved.items()]
    return PassResult(graph, tuple(changed), (*done, *notes))


def channel_groups(graph: Graph) -> tuple[list[ChannelGroup], list[Note]]:
    """Every group of values whose channels may be scaled, in topological order of the first head, and refusals."""
    groups, notes, seen = [], [], set()
    for op in graph.ops:
        if op.kind not in WEIGHTED or op.outputs[0] in seen:
            continue
        values, refusal = _closure(graph, op.outputs[0])
        seen.update(values)
        heads = tuple(h.name for v in values if (h := graph.producer(v)) is not None and h.kind in WEIGHTED)
        tails = tuple(dict.fromkeys(c.name for v in values for c in graph.consumers(v) if c.kind in WEIGHTED))
        if refusal is None:
            groups.append(ChannelGroup(tuple(values), heads, tails))
        else:
            notes.append(Note(NAME, op.name, False, refusal))
    return groups, notes


def _closure(graph: Graph, start: str) -> tuple[list[str], str | None]:
    """All values tied to the channels of `start`, and the first reason why they cannot be scaled."""
    pending, values, refusal = [start], [], None
    while pending:
        name = pending.pop()
        if name in values:
            continue
        values.append(name)
        if name in graph.outputs:
            refusal = refusal or f"{name} is a graph output"
        producer = graph.producer(name)
        for op, neighbours in _neighbours(graph, name, producer):
            if neighbours is None:
                refusal = refusal or f"{op.kind} {op.name} does not commute with a scale per channel"
            else:
                pending.extend(neighbours)
        if producer is None:
            refusal = refusal or f"{name} is a graph input or a constant"
    return values, refusal


def _neighbours(graph: Graph, name: str, producer: Op | None) -> Iterator[tuple[Op, tuple[str, ...] | None]]:
    """For the producer and each consumer: the values it ties to `name`, or None when it forbids scaling."""
    if producer is not None:
        if producer.kind in WEIGHTED:
            yield producer, () if _scalable(graph, producer, output_channel_axis(producer)) else None
        else:
            yield producer, _tied(graph, producer)
    for op in graph.consumers(name):
        if op.kind in WEIGHTED and name == op.inputs[0] and name not in op.inputs[1:]:
            yield op, () if _scalable(graph, op, input_channel_axis(op)) else None
        else:
            yield op, _tied(graph, op)


def _tied(graph: Graph, op: Op) -> tuple[str, ...] | None:
    if op.kind in HOMOGENEOUS:
        return (op.inputs[0], op.outputs[0])
    if op.kind == "eltwise-add":
        shapes = {graph.value(name).shape for name in (*op.inputs, *op.outputs)}
        consts = any(graph.value(name).is_const for name in op.inputs)
        return (*op.inputs, *op.outputs) if len(shapes) == 1 and None not in shapes and not consts else None
    if (
        op.kind == "reduction-mean"
        and op.attrs.get("axes") in ((2, 3), (-2, -1))
        and op.attrs.get("keepdims", True)
    ):
        return (op.inputs[0], op.outputs[0])
    if op.kind in ("flatten", "reshape", "reduction-mean", "squeeze"):
        before, after = graph.value(op.inputs[0]).shape, graph.value(op.outputs[0]).shape
        pooled = op.kind == "reduction-mean" and op.attrs.get("axes") in ((2, 3), (-2, -1))
        flat = before is not None and len(before) == 4 and (before[2:] == (1, 1) or pooled)
        if flat and before is not None and after is not None and len(after) == 2 and after[1] == before[1]:
            return (op.inputs[0], op.outputs[0])
    return None


def _scalable(graph: Graph, op: Op, axis: int | None) -> bool:
    """Constant weights of its own, one group or depthwise with multiplier 1, constant bias of its own."""
    weights = graph.const(op, 1)
    if axis is None or weights is None or weights.dtype != np.float32:
        return False
    if is_depthwise(op):
        if op.attrs.get("group") != weights.shape[axis]:
            return False
    elif op.attrs.get("group", 1) != 1:
        return False
    for name in op.inputs[1:]:
        if name and (graph.value(name).const is None or len(graph.consumers(name)) > 1):
            return False
    return True


def _balance(graph: Graph, group: ChannelGroup, include_bias: bool) -> Channels:
    head: Channels = np.max(
        [_ranges(graph, name, output_channel_axis, include_bias) for name in group.heads], axis=0
    )
    tail: Channels = np.max([_ranges(graph, name, input_channel_axis, False) for name in group.tails], axis=0)
    usable = (head > 0) & (tail > 0)
    scale: Channels = np.ones_like(head)
    scale[usable] = np.sqrt(tail[usable] / head[usable])
    return scale


def _ranges(graph: Graph, name: str, axis_of: Callable[[Op], int | None], include_bias: bool) -> Channels:
    op = graph.op(name)
    axis = axis_of(op)
    weights = graph.const(op, 1)
    assert weights is not None  # noqa: S101
    other = tuple(i for i in range(weights.ndim) if i != axis)
    ranges: Channels = np.abs(weights).max(axis=other).astype(np.float64)
    bias = graph.const(op, 2)
    if include_bias and bias is not None:
        ranges = np.maximum(ranges, np.abs(bias))
    return ranges


def _apply(graph: Graph, group: ChannelGroup, scale: Channels) -> None:
    for name in group.heads:
        op = graph.op(name)
        _scale_const(graph, op.inputs[1], output_channel_axis(op), scale)
        if len(op.inputs) > 2 and op.inputs[2]:
            _scale_const(graph, op.inputs[2], 0, scale)
    for name in group.tails:
        op = graph.op(name)
        _scale_const(graph, op.inputs[1], input_channel_axis(op), 1.0 / scale)


def _scale_const(graph: Graph, name: str, axis: int | None, scale: Channels) -> None:
    value = graph.value(name)
    assert value.const is not None and axis is not None  # noqa: S101
    shape = [1] * value.const.ndim
    shape[axis] = -1
    data = (value.const * scale.reshape(shape)).astype(np.float32)
    graph.set_value(Value(name, data.shape, "float32", data))
