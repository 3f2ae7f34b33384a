"""Cross-layer equalization: give the channels between layers comparable ranges.

What: for a set of values that share their channels (a convolution's output, what relu, pooling and add make of
it), channel c may be multiplied by any s_c > 0 in the layers that write it and divided by s_c in those that read
it, because the ops between are positively homogeneous: f(s x) = s f(x). We choose
    s_c = sqrt(tail_c / head_c),    divided by its geometric mean over the channels,
tail_c = max over readers of max|W[:, c]|, head_c = max over writers of max|W[c, :]|; where the largest |x_c| of
the values themselves is known from data, head_c is the geometric mean of the two. All tensors that channel c
touches then give it a similar share of their range.

Why: with one scale per tensor, a channel a hundred times smaller than its neighbours has no bits left.
Cost: a few passes over the weights; for the ranges of values, a few samples.
When it hurts: without data, activations may grow uneven where weights become even.
Reference: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019 (CLE, the
form without data). Unlike the paper and the original tool, which walk chains of single consumers, this follows
whole channel groups, so residual adds and values with several readers are equalized too, and every refusal names
the op that caused it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from math import prod

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Graph, Op, Value
from quantforge.memory import drop_pages
from quantforge.numerics.compiled import compiled
from quantforge.ops.channels import WEIGHTED, input_channel_axis, is_depthwise, output_channel_axis
from quantforge.passes.result import Note, PassResult

NAME = "equalize-layers"
HOMOGENEOUS = frozenset(
    {"relu", "leaky-relu", "identity", "maxpool1d", "maxpool2d", "avgpool1d", "avgpool2d", "dropout"}
)
Channels = NDArray[np.float64]
_SLAB = 1 << 22  # bytes of weights that are scaled at a time
_NOTHING = 1e-8  # ranges below it belong to dead channels


@dataclass(frozen=True)
class ChannelGroup:
    """Values that share channels, the ops that write them (`heads`) and read them (`tails`), by name."""

    values: tuple[str, ...]
    heads: tuple[str, ...]
    tails: tuple[str, ...]


def equalize_layers(
    graph: Graph,
    sweeps: int = 1,
    tolerance: float = 1e-3,
    include_bias: bool = False,
    ranges: Mapping[str, Channels] | None = None,
    least_change: float | None = None,
) -> PassResult:
    """Equalize every channel group, `sweeps` times or until no scale moves by more than `tolerance`.

    Args:
        graph: With batch normalizations folded.
        sweeps: How often all groups are visited; neighbours influence each other.
        tolerance: Largest |log s| that counts as settled.
        include_bias: Count a bias among the writer's weights (without `ranges`).
        ranges: Largest |x| per channel of the values that `grouped_values` lists, float64 [channels].
        least_change: Stop instead when a sweep changes the weights by no more: the sum over layers of mean|W' - W|.

    Changed: the weighted ops whose constants were scaled.
    """
    graph = graph.copy()
    groups, notes = channel_groups(graph)
    names = list(dict.fromkeys(name for g in groups for name in (*g.heads, *g.tails)))
    with ThreadPoolExecutor() as pool:  # passes over the weights run outside Python
        rows = pool.map(lambda name: _layer(graph, name, include_bias), names)
        layers = dict(zip(names, rows, strict=True))
    reach = {g.values[0]: found for g in groups if (found := _value_ranges(g, ranges or {})) is not None}
    means = {} if least_change is None else {name: _means(graph, layers[name].op) for name in layers}
    for _ in range(sweeps):
        before = {name: layers[name].factors for name in means}
        largest = max((_balance(group, layers, reach) for group in groups), default=0.0)
        changes = (np.mean(means[name] * np.abs(layers[name].factors - before[name])) for name in means)
        if largest <= tolerance if least_change is None else sum(changes) <= least_change:
            break
    with ThreadPoolExecutor() as pool:
        scaled = pool.map(lambda layer: list(_scaled(graph, layer)), layers.values())
        for value in chain.from_iterable(scaled):
            graph.set_value(value)
    done = [
        Note(
            NAME,
            name,
            True,
            f"channels scaled by up to 2^{np.abs(np.log2(layers[name].out_scale)).max():.1f}",
        )
        for name in (group.heads[0] for group in groups)
    ]
    return PassResult(graph, tuple(layers), (*done, *notes))


def grouped_values(graph: Graph) -> tuple[str, ...]:
    """The values whose channels `equalize_layers` may scale: those whose ranges it can use."""
    return tuple(name for group in channel_groups(graph)[0] for name in group.values)


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


@dataclass
class _Layer:
    """What balancing needs of a weighted op: max|W| over kernel taps, and the scales found so far.

    `reach` is [out, in], or [channels, 1] where each output channel reads one input channel. With one tap it is W
    itself, with its signs: no second copy of a large matrix is made.
    """

    op: Op
    reach: NDArray[np.float32]
    bias: Channels
    out_scale: Channels
    in_scale: Channels

    @property
    def heads(self) -> Channels:
        """Range of what writes each output channel, as scaled so far."""
        columns = self._columns.astype(np.float32)
        each = columns.ndim > 1  # a scale for each row
        rows = [(np.abs(self.reach[s]) * (columns[s] if each else columns)).max(axis=1) for s in self._slabs]
        return np.asarray(np.maximum(np.concatenate(rows), self.bias) * self.out_scale)

    @property
    def tails(self) -> Channels:
        """Range of what reads each input channel, as scaled so far."""
        if is_depthwise(self.op):
            return np.asarray(np.abs(self.reach[:, 0]) * self.out_scale * self.in_scale)
        scales = self.out_scale[:, None].astype(np.float32)
        rows = [(np.abs(self.reach[s]) * scales[s]).max(axis=0) for s in self._slabs]
        return np.asarray(np.max(rows, axis=0) * self.in_scale)

    @property
    def factors(self) -> Channels:
        """What the weights are multiplied by, shaped as `reach`."""
        return np.asarray(self.out_scale[:, None] * self._columns)

    @property
    def _slabs(self) -> list[slice]:
        rows = max(_SLAB // max(self.reach[:1].nbytes, 1), 1)
        return [slice(start, start + rows) for start in range(0, len(self.reach), rows)]

    @property
    def _columns(self) -> Channels:
        return self.in_scale[:, None] if is_depthwise(self.op) else self.in_scale


def _layer(graph: Graph, name: str, include_bias: bool) -> _Layer:
    op = graph.op(name)
    reach, tied = _by_channels(graph, op)
    bias = graph.const(op, 2)
    counted = np.abs(bias, dtype=np.float64) if include_bias and bias is not None else np.zeros(len(reach))
    inputs = len(reach) if tied else reach.shape[1]
    return _Layer(op, reach, counted, np.ones(len(reach)), np.ones(inputs))


def _largest(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    largest = np.empty(len(rows), np.float32)
    largest_magnitudes(rows, largest)
    return largest


def _means(graph: Graph, op: Op) -> NDArray[np.float32]:
    """mean|W| over kernel taps, shaped as `_Layer.reach`."""
    return _by_channels(graph, op, lambda rows: np.asarray(np.abs(rows).mean(axis=1), np.float32))[0]


def _by_channels(
    graph: Graph, op: Op, of_rows: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None
) -> tuple[NDArray[np.float32], bool]:
    """A number for the taps of each pair of channels: [out, in], or [channels, 1] and True where they are tied.

    `of_rows` makes [n] of [n, taps].
    """
    weights, out, into = graph.const(op, 1), output_channel_axis(op), input_channel_axis(op)
    assert weights is not None and out is not None and into is not None  # noqa: S101  _scalable saw it
    axes = sorted({out, into})
    taps = [axis for axis in range(weights.ndim) if axis not in axes]
    sizes = [weights.shape[axis] for axis in axes]
    if of_rows is None and math.prod(sizes) == weights.size:
        found = weights.transpose(*axes, *taps).reshape(sizes[0], -1)  # as it lies there
    else:
        rows = np.ascontiguousarray(weights.transpose(*axes, *taps)).reshape(math.prod(sizes), -1)
        found = (of_rows or _largest)(rows).reshape(sizes[0], -1)
    return (found.T if out > into else found), out == into


def largest_magnitudes_reference(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """max|x| of each row of [n, k], in NumPy: float32 [n]."""
    return np.asarray(np.abs(rows).max(axis=1, initial=0.0))


@compiled("float32[2] const", "float32[1]")
def largest_magnitudes(rows: NDArray[np.float32], largest: NDArray[np.float32]) -> None:
    """`largest_magnitudes_reference` into `largest` [n], fast on short rows."""
    for n in range(rows.shape[0]):
        top = np.float32(0.0)
        for k in range(rows.shape[1]):
            x = abs(rows[n, k])
            top = x if x > top else top
        largest[n] = top


def _balance(group: ChannelGroup, layers: Mapping[str, _Layer], reach: dict[str, Channels]) -> float:
    """Scale the channels of one group; returns the largest |log s|. Channels without range keep theirs."""
    head: Channels = np.max([layers[name].heads for name in group.heads], axis=0)
    tail: Channels = np.max([layers[name].tails for name in group.tails], axis=0)
    usable = (head > _NOTHING) & (tail > _NOTHING)
    values = reach.get(group.values[0])
    if values is not None:
        usable &= np.isfinite(values)
        head = np.where(values > _NOTHING, np.sqrt(head * values), head)
    scale: Channels = np.ones_like(tail)
    if usable.any():
        scale[usable] = np.sqrt(tail[usable] / head[usable])
        scale[usable] /= np.exp(np.log(scale[usable]).mean())
    if values is not None:
        reach[group.values[0]] = values * scale
    for name in group.heads:
        layers[name].out_scale = layers[name].out_scale * scale
    for name in group.tails:
        layers[name].in_scale = layers[name].in_scale / scale
    return float(np.abs(np.log(scale)).max(initial=0.0))


def _value_ranges(group: ChannelGroup, ranges: Mapping[str, Channels]) -> Channels | None:
    """Largest |x| per channel among the values of a group whose ranges are known; None when none is."""
    known = [ranges[name] for name in group.values if name in ranges]
    return np.asarray(np.max(known, axis=0), np.float64) if known else None


def _scaled(graph: Graph, layer: _Layer) -> Iterator[Value]:
    """The constants of a layer that change: they are its own (`_scalable`), so that layers do not meet."""
    op = layer.op
    out, into = output_channel_axis(op), input_channel_axis(op)
    yield from _scaled_const(
        graph.value(op.inputs[1]),
        {out: layer.out_scale, into: layer.in_scale}
        if out != into
        else {out: layer.out_scale * layer.in_scale},
    )
    if len(op.inputs) > 2 and op.inputs[2]:
        yield from _scaled_const(graph.value(op.inputs[2]), {0: layer.out_scale})


def _scaled_const(value: Value, scales: Mapping[int | None, Channels]) -> Iterator[Value]:
    if value.const is None:
        return
    factors = []
    for axis, scale in scales.items():
        if axis is not None:
            shape = [1] * value.const.ndim
            shape[axis] = -1
            factors.append(scale.astype(np.float32).reshape(shape))
    if not any(np.any(factor != 1.0) for factor in factors):
        return
    scaled = np.empty(value.const.shape, np.result_type(value.const, np.float32))
    rows = max(_SLAB // max(scaled[:1].nbytes, 1), 1)  # no factor as large as the weights
    for start in range(0, len(scaled), rows):
        slab = slice(start, start + rows)
        parts = [factor if len(factor) == 1 else factor[slab] for factor in factors]
        np.multiply(value.const[slab], prod(parts, start=np.float32(1.0)), out=scaled[slab])
        drop_pages(value.const[slab])  # a file's weights are not read again
    yield replace(value, const=scaled)
