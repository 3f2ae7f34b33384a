"""Recognise an instance normalization that was written as several operators.

    y = (x - mean) / sqrt(var + eps) * gamma + beta,   mean and var over the axes behind the channels

Found are the usual ways to write it: var as the mean of (x - mean)**2 or of (x - mean) * (x - mean); a division by
sqrt or a product with its reciprocal; gamma and beta absent, or constants with one number for each channel; and the
form that is expanded as  x k + (beta - mean k),  k = gamma / sqrt(var + eps). Operands of sums and products may
come in either order. Everything in between must be read by nothing else.

One operator instead of nine has one result to quantize, where x - mean, its square and k each need bits of their own.
Source: FuseInstanceNorm of the ONNX quantizer of Vitis AI (the expanded form).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from quantforge.graph import Array, Graph, Op, Value
from quantforge.passes.matching import (
    beside_constant,
    between,
    image_mean,
    is_closed,
    maker,
    operands,
    scalar,
    squared,
)
from quantforge.passes.result import Note, PassResult

NAME = "fuse-instance-norm"


@dataclass(frozen=True)
class _Norm:
    """An instance normalization: what it reads, its constants (None for 1 and 0) and epsilon."""

    source: str
    epsilon: float
    gamma: Array | None = None
    beta: Array | None = None


def fuse_instance_norms(graph: Graph, keep: Callable[[Op], bool] = lambda op: False) -> PassResult:
    """Changed: the last operators of instance normalizations written out, of which no part is kept by `keep`."""
    graph = graph.copy()
    changed, notes = [], []
    for op in reversed(graph.ops):
        if not graph.has_op(op.name):
            continue
        found = _expanded(graph, op) or _plain(graph, op)
        if found is None:
            continue
        names = between(graph, op.outputs[0], found.source)
        if not is_closed(graph, names, op.outputs[0]) or any(keep(graph.op(name)) for name in names):
            continue
        parameters = [_per_channel(graph, found.source, data) for data in (found.gamma, found.beta)]
        if any(data is None for data in parameters):
            notes.append(Note(NAME, op.name, False, "its parameters are not one number for each channel"))
            continue
        _fuse(graph, op, found, names, parameters)
        graph.prune()  # or the parts would be found once more
        changed.append(op.name)
        notes.append(Note(NAME, op.name, True, f"{len(names)} operators made one instance normalization"))
    return PassResult(graph, tuple(changed), tuple(notes))


def _plain(graph: Graph, op: Op) -> _Norm | None:
    """(x - mean) / sqrt(var + eps), times gamma, plus beta, of which both may be absent."""
    beta = gamma = None
    if op.kind == "eltwise-add" and (found := beside_constant(graph, op)) is not None:
        source = maker(graph, found[0], "eltwise-mul", "eltwise-div")
        beta, op = found[1], op if source is None else source
    if op.kind == "eltwise-mul" and (found := beside_constant(graph, op)) is not None:
        source = maker(graph, found[0], "eltwise-mul", "eltwise-div")
        gamma, op = found[1], op if source is None else source
    if op.kind not in ("eltwise-mul", "eltwise-div"):
        return None
    for centered, scale in operands(op):
        epsilon = _deviation(graph, scale, centered, inverse=op.kind == "eltwise-mul")
        difference = maker(graph, centered, "eltwise-sub")
        if epsilon is not None and difference is not None and len(difference.inputs) == 2:
            source_name, mean = difference.inputs
            if image_mean(graph, mean) == source_name:
                return _Norm(source_name, epsilon, gamma, beta)
    return None


def _expanded(graph: Graph, op: Op) -> _Norm | None:
    """x k + (beta - mean k)."""
    if op.kind != "eltwise-add":
        return None
    for left, right in operands(op):
        product, rest = maker(graph, left, "eltwise-mul"), maker(graph, right, "eltwise-sub")
        beta = None if rest is None else graph.value(rest.inputs[0]).const
        shift = None if rest is None else maker(graph, rest.inputs[1], "eltwise-mul")
        if product is None or shift is None or beta is None:
            continue
        for source, factor in operands(product):
            means = [mean for mean, other in operands(shift) if other == factor]
            if any(image_mean(graph, mean) == source for mean in means):
                found = _factor(graph, factor, source)
                if found is not None:
                    return replace(found, beta=beta)
    return None


def _factor(graph: Graph, name: str, source: str) -> _Norm | None:
    """gamma / sqrt(var + eps), of a `source` whose mean is taken once more."""
    op, gamma = maker(graph, name, "eltwise-mul"), None
    if op is not None:
        found = beside_constant(graph, op)
        if found is None:
            return None
        name, gamma = found
    root = maker(graph, name, "reciprocal")
    root = None if root is None else maker(graph, root.inputs[0], "sqrt")
    total = None if root is None else maker(graph, root.inputs[0], "eltwise-add")
    variance = None if total is None else _variance(graph, total)
    if variance is None:
        return None
    difference = maker(graph, variance[0], "eltwise-sub")
    if difference is None or difference.inputs[0] != source:
        return None
    same = image_mean(graph, difference.inputs[1]) == source
    return _Norm(source, variance[1], gamma) if same else None


def _deviation(graph: Graph, name: str, centered: str, inverse: bool) -> float | None:
    """Epsilon where `name` is sqrt(mean(centered**2) + epsilon), or one over it; else None."""
    if inverse:
        op = maker(graph, name, "reciprocal", "eltwise-div")
        if op is None or (op.kind == "eltwise-div" and scalar(graph, op.inputs[0]) != 1.0):
            return None
        name = op.inputs[-1]
    root = maker(graph, name, "sqrt", "eltwise-pow")
    if root is None or (root.kind == "eltwise-pow" and scalar(graph, root.inputs[1]) != 0.5):
        return None
    total = maker(graph, root.inputs[0], "eltwise-add")
    found = None if total is None else _variance(graph, total)
    return found[1] if found is not None and found[0] == centered else None


def _variance(graph: Graph, total: Op) -> tuple[str, float] | None:
    """(x, epsilon) where `total` is mean(x * x) + epsilon."""
    for variance, rest in operands(total):
        epsilon, mean = scalar(graph, rest), image_mean(graph, variance)
        source = None if mean is None else squared(graph, mean)
        if epsilon is not None and source is not None:
            return source, epsilon
    return None


def _per_channel(graph: Graph, source: str, data: Array | None) -> Array | None:
    """[channels] of a constant that broadcasts along the channels only; an empty array for an absent one."""
    shape = graph.value(source).shape
    channels = shape[1] if shape is not None and len(shape) > 2 else None
    if not isinstance(channels, int) or shape is None:
        return None
    if data is None:
        return np.zeros(0, np.float32)
    padded = data.reshape((1,) * (len(shape) - data.ndim) + data.shape)
    if padded.ndim != len(shape) or any(n != 1 for axis, n in enumerate(padded.shape) if axis != 1):
        return None
    return np.broadcast_to(padded.reshape(-1), (channels,)) if padded.shape[1] in (1, channels) else None


def _fuse(graph: Graph, op: Op, found: _Norm, names: tuple[str, ...], parameters: list[Array | None]) -> None:
    channels = int(str((graph.value(found.source).shape or ())[1]))
    inputs = [found.source]
    for stem, data, fill in zip(("scale", "bias"), parameters, (1.0, 0.0), strict=True):
        array = np.full(channels, fill, np.float32)
        if data is not None and data.size:
            array = np.ascontiguousarray(data, np.float32)
        name = graph.fresh_name(f"{op.outputs[0]}_{stem}")
        inputs.append(graph.set_value(Value(name, array.shape, "float32", array)).name)
    made = op.changed(NAME, kind="instancenorm", inputs=tuple(inputs), attrs={"epsilon": found.epsilon})
    origins = tuple(name for other in names for name in graph.op(other).origin.names)
    graph.replace_op(replace(made, origin=replace(made.origin, names=origins)))
