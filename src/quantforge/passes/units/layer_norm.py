"""Recognise layer normalization, and that by the root mean square, where a model writes it as several operators.

    layer norm  y = (x - mean x) / sqrt(mean (x - mean x)^2 + epsilon) * gamma + beta
    rms norm    y = x / sqrt(mean x^2 + epsilon) * gamma,     means over the last axis

Why: the squares have twice the range of x in bits, and an error of the root is an error of every element.
A region is recognised when it agrees with one of the two on random numbers; epsilon is whatever it is, gamma and beta
are the constants that follow.
Reference: Ba, Kiros and Hinton, Layer Normalization, 2016; Zhang and Sennrich, Root Mean Square Layer Normalization,
2019.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from quantforge.graph import Array, Graph, Op
from quantforge.ops.attributes import flag, ints
from quantforge.passes.matching import beside_constant, scalar
from quantforge.passes.result import Note
from quantforge.passes.units.regions import ARITHMETIC, downstream, region, upstream, values_of
from quantforge.passes.units.unit import Unit, Units, unit_of

NAME = "group-layer-norm"
_KINDS = ARITHMETIC | {"reduction-mean", "sqrt", "reciprocal"}
_ROWS, _COLUMNS = 3, 64  # of the random numbers
_CLOSE = 2e-3  # an epsilon of 1e-3 changes a result by half of that


def find_layer_norms(graph: Graph) -> Units:
    """Every layer norm and rms norm; those with a mean over the last axis that are neither are noted."""
    units, notes, seen = [], [], set[str]()
    for op in graph.ops:
        if not _is_root(graph, op) or op.name in seen:
            continue
        found = _norm_around(graph, op)
        if isinstance(found, Unit):
            units.append(found)
            seen.update(found.ops)
        elif found is not None:
            notes.append(found)
    return Units(tuple(units), tuple(notes))


def _is_root(graph: Graph, op: Op) -> bool:
    if op.kind == "eltwise-pow":
        return scalar(graph, op.inputs[1]) in (0.5, -0.5)
    return op.kind == "sqrt"


def _norm_around(graph: Graph, root: Op) -> Unit | Note | None:
    sources = upstream(graph, root.inputs[0], _KINDS)
    if not any(_last_mean(graph, name) for name in sources):
        return None
    refusal = None
    for result in downstream(graph, root.outputs[0], _KINDS):
        for source in sources:
            ops = region(graph, source, result, _KINDS)
            if ops is None or not _normalizes(graph, ops, source, result):
                continue
            names = [op.name for op in ops]
            for op, end in _with_parameters(graph, result):
                names.append(op)
                result = end
            found = unit_of(graph, "layernorm", NAME, names, result, [source])
            if isinstance(found, Unit):
                return found
            refusal = refusal or found
    return refusal or Note(NAME, root.name, False, "what is around this root computes no layer norm")


def _last_mean(graph: Graph, name: str) -> bool:
    op = graph.producer(name)
    if op is None or op.kind != "reduction-mean" or not flag(op, "keepdims", True):
        return False
    shape = graph.value(op.inputs[0]).shape
    last = {-1} if shape is None else {-1, len(shape) - 1}
    axes = ints(op, "axes", ())
    return len(axes) == 1 and axes[0] in last


def _normalizes(graph: Graph, ops: tuple[Op, ...], source: str, result: str) -> bool:
    """Whether `ops` compute one of the two functions, without gamma and beta."""
    shape = graph.value(source).shape
    rank = 3 if shape is None else len(shape)
    columns = shape[-1] if shape and isinstance(shape[-1], int) else _COLUMNS
    if rank < 2 or columns < 2:
        return False
    x = 2.0 + 3.0 * np.random.default_rng(0).standard_normal((*[1] * (rank - 2), _ROWS, columns))
    y = values_of(graph, ops, source, result, x)
    return y.shape == x.shape and any(np.all(np.abs(y - norm) < _CLOSE) for norm in _norms(x))


def _norms(x: Array) -> Iterator[Array]:
    centred = x - x.mean(axis=-1, keepdims=True)
    yield centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True))
    yield x / np.sqrt((x**2).mean(axis=-1, keepdims=True))


def _with_parameters(graph: Graph, result: str) -> Iterator[tuple[str, str]]:
    """The product with gamma and the sum with beta that follow, as operator and value."""
    for kind in ("eltwise-mul", "eltwise-add"):
        readers = graph.consumers(result)
        if len(readers) == 1 and readers[0].kind == kind and result not in graph.outputs:
            found = beside_constant(graph, readers[0])
            if found is not None and found[1].ndim <= 1:
                result = readers[0].outputs[0]
                yield readers[0].name, result
