"""What quantization costs, operator by operator: measured, not estimated.

One graph holds three networks side by side and is run on a few batches:
  the float network                         y      = f(x)
  each operator alone, quantized            y@own  = Q(f_q(Q(x)))      error the operator adds
  the quantized network                     y@all  = Q(f_q(x@all))     error accumulated up to here
with f_q the operator on its quantized constants and Q the fake-quantization of each value's spec. Operators that
only move data add nothing of their own and appear in the third network only.

SQNR(y, y') = 10 log10(sum y^2 / sum (y - y')^2), in decibels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Array, Graph, Op, Value
from quantforge.graph.execution import Executor, Feeds, sample_count
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.compiled import compiled
from quantforge.ops.registry import spec
from quantforge.quantization.top_class import Tally, looks_like_scores

OWN, ALL = "@own", "@all"
_LARGE_BYTES = 1 << 26  # larger constants stay integers in the quantized twin, rather than floats once more


@dataclass(frozen=True)
class Noise:
    """Energy of a signal and of its error, summed over elements."""

    signal: float = 0.0
    noise: float = 0.0

    @property
    def sqnr_db(self) -> float:
        """Signal-to-quantization-noise ratio in decibels; infinite without noise.

        >>> Noise(100.0, 1.0).sqnr_db
        20.0
        """
        if self.noise == 0.0:
            return math.inf
        ratio = self.signal / self.noise  # 0 where the noise is infinite
        return 10.0 * math.log10(ratio) if ratio > 0.0 else -math.inf

    def plus(self, reference: Array, actual: Array) -> Noise:
        """Add one batch: `reference` and `actual` of equal shape."""
        sums = np.array([self.signal, self.noise])
        add_energies(_row(reference), _row(actual), sums)
        return Noise(*sums.tolist())


def _row(array: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, np.float32).reshape(-1)


def energies_reference(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums of x^2 and of (x - y)^2, in NumPy: what `add_energies` adds, to rounding errors."""
    exact, error = x.astype(np.float64), y.astype(np.float64) - x
    return np.array([exact @ exact, error @ error])


@compiled("float32[1] const", "float32[1] const", "float64[1]", reorder_sums=True)
def add_energies(x: NDArray[np.float32], y: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
    """Add the energy of `x` [n] and that of its difference from `y` to `sums` [2]."""
    signal, noise = 0.0, 0.0
    for i in range(x.size):
        exact = np.float64(x[i])
        error = np.float64(y[i]) - exact
        signal += exact * exact
        noise += error * error
    sums[0] += signal
    sums[1] += noise


@dataclass(frozen=True)
class Measurement:
    """Noise by float value name: `added` by the operator alone, `accumulated` in the quantized network.

    `answers` counts equal answers for the graph outputs that look like a classifier's.
    """

    added: Mapping[str, Noise]
    accumulated: Mapping[str, Noise]
    samples: int
    answers: Mapping[str, Tally] = field(default_factory=dict)


def measure(executor: Executor, base: Graph, quantized: Graph, batches: Sequence[Feeds]) -> Measurement:
    """Run float, operator-wise and whole quantized network over `batches` and compare every value with a spec.

    `base` and `quantized` have the same value names, but for what the arithmetic of hardware puts in between;
    `quantized` carries the specs, and its constants may differ (corrected biases).
    """
    graph, own, all_ = comparison_graph(base, quantized)
    names = dict.fromkeys([*own, *own.values(), *all_, *all_.values()])
    session = executor.session(graph, list(names), brief=True)
    added, accumulated = dict.fromkeys(own, Noise()), dict.fromkeys(all_, Noise())
    answers: dict[str, Tally] = {}
    for feeds in batches:
        arrays = session.run(feeds)
        for noises, twins in ((added, own), (accumulated, all_)):
            for name, twin in twins.items():
                noises[name] = noises[name].plus(arrays[name], arrays[twin])
        for name in base.outputs:
            if name in all_ and looks_like_scores(arrays[name], sample_count(feeds)):
                answers[name] = answers.get(name, Tally()).plus(arrays[name], arrays[all_[name]])
    return Measurement(added, accumulated, sum(map(sample_count, batches)), answers)


def comparison_graph(base: Graph, quantized: Graph) -> tuple[Graph, dict[str, str], dict[str, str]]:
    """The three networks as one graph, and for each float value name its `@own` and its `@all` twin."""
    graph = base.copy()
    own: dict[str, str] = {}
    all_: dict[str, str] = {}
    for name in quantized.inputs:
        _twin_input(graph, quantized.value(name), ALL)
    for op in quantized.ops:
        _add_twin(graph, quantized, op, ALL)
        if spec(op.kind).traits.role not in ("move", "join", "float", "opaque") and _quantizes(quantized, op):
            _add_own(graph, quantized, op)
        for name in op.outputs:
            if (
                name
                and base.has_value(name)
                and (quantized.value(name).quant is not None or name in quantized.outputs)
            ):
                all_[name] = name + ALL
                if graph.has_value(name + OWN):
                    own[name] = name + OWN
    graph.outputs = (*base.outputs, *own.values(), *all_.values())
    return graph, own, all_


def _quantizes(quantized: Graph, op: Op) -> bool:
    return any(name and quantized.value(name).quant is not None for name in (*op.inputs, *op.outputs))


def _twin_input(graph: Graph, value: Value, suffix: str) -> str:
    """A copy of `value` that carries its spec; the value itself stays float."""
    name = value.name + suffix
    if not graph.has_value(name):
        graph.set_value(replace(value, name=name))
        graph.add_op(Op("identity", name, (value.name,), (name,)))
    return name


def _twin_const(graph: Graph, value: Value) -> str:
    """The constant as its grid holds it, computed once here rather than by every executor unless it is large."""
    name = value.name + ALL
    if not graph.has_value(name):
        if value.const is not None and value.const.nbytes > _LARGE_BYTES:
            graph.set_value(replace(value, name=name))
            return name
        data = value.const
        if data is not None and value.quant is not None:
            data = fake_quantize_value(data, value.quant, value.name)
        graph.set_value(replace(value, name=name, const=data, quant=None))
    return name


def _add_twin(graph: Graph, quantized: Graph, op: Op, suffix: str) -> None:
    inputs = tuple(
        ""
        if not name
        else _twin_const(graph, quantized.value(name))
        if quantized.value(name).is_const
        else name + suffix
        for name in op.inputs
    )
    _copy_op(graph, quantized, op, inputs, suffix)


def _add_own(graph: Graph, quantized: Graph, op: Op) -> None:
    """The twin that reads the float network: quantized copies of its values, or the twin inside a fused pair."""
    inputs = []
    for name in op.inputs:
        value = quantized.value(name) if name else None
        if value is None:
            inputs.append("")
        elif value.is_const:
            inputs.append(_twin_const(graph, value))
        elif value.quant is not None and graph.has_value(name):
            inputs.append(_twin_input(graph, value, "@in"))
        else:
            inputs.append(name + OWN if graph.has_value(name + OWN) else name)
    _copy_op(graph, quantized, op, tuple(inputs), OWN)


def _copy_op(graph: Graph, quantized: Graph, op: Op, inputs: tuple[str, ...], suffix: str) -> None:
    for name in op.outputs:
        if name:
            graph.set_value(replace(quantized.value(name), name=name + suffix))
    outputs = tuple(name and name + suffix for name in op.outputs)
    graph.add_op(replace(op, name=op.name + suffix, inputs=inputs, outputs=outputs))
