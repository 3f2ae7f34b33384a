"""Positions chosen by the error they make behind the layers that read the tensor, not at the tensor.

What: for a tensor x with position p that layers L read, and for weights W of a layer,
    sum over L of  |L(Q(x)) - L(x)|^2 / |L(x)|^2      |L(x, Q(W)) - L(x, W)|^2 / |L(x, W)|^2
are measured for p and the positions beside it, one tensor at a time on float inputs; the least one stays.
Why: values that a layer hardly weighs may saturate, and errors of one sign add up in its sums.
Cost: three runs of each layer for its input and three for its weights, on a few samples.
When it hurts: it sees few samples, so a gain has to be worth a move.
Source: the position search of the PyTorch quantizer of Vitis AI compares tensors (method `diffs`); the same search at
the layer's output is the aim of Hubara et al., Improving Post Training Neural Quantization, 2020, section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from quantforge.graph import Graph, Op, QuantSpec
from quantforge.graph.execution import Executor, Feeds
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import IntFormat
from quantforge.ops.channels import WEIGHTED
from quantforge.passes.result import Note
from quantforge.quantization.measure import Noise
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.solve import solve_bias

NAME = "position-by-output"
GAIN = 0.95  # of the error, that another position has to come under
_NARROW = 8


@dataclass(frozen=True)
class _Try:
    """A twin of a layer: the value it makes, and what is changed for it."""

    key: str
    step: int
    output: str
    twin: str


def positions_by_output(
    base: Graph,
    quantized: Graph,
    executor: Executor,
    samples: Iterable[Feeds],
    places: Places,
    recipe: Recipe,
) -> tuple[Graph, tuple[Note, ...]]:
    """A copy of the solved `quantized` with positions chosen anew and biases solved for them, and notes.

    Args:
        base: The float graph.
        quantized: The same with specs.
        executor: Runs both.
        samples: A few batches.
        places: Values that share a spec, and weights.
        recipe: How biases are quantized.
    """
    graph, tries = _with_twins(base, quantized, places)
    if not tries:
        return quantized, ()
    names = list(dict.fromkeys(name for one in tries for name in (one.output, one.twin)))
    session, noises = executor.session(graph, names, brief=True), {one: Noise() for one in tries}
    for feeds in samples:
        arrays = session.run(feeds)
        for one in tries:
            noises[one] = noises[one].plus(arrays[one.output], arrays[one.twin])
    found, notes = quantized.copy(), []
    shared = {group.values[0]: group.values for group in places.groups}
    for key, errors in _by_key(noises).items():
        step = min(errors, key=errors.__getitem__)
        if step and errors[step] < GAIN * errors[0]:
            for value in map(found.value, shared.get(key, (key,))):
                found.set_value(replace(value, quant=value.quant and value.quant.moved(step)))
            text = f"position moved by {step:+d}: error behind it {errors[step]:.2g}, before {errors[0]:.2g}"
            notes.append(Note(NAME, key, True, text))
    if notes:
        for bias in places.biases:
            solve_bias(found, found.op(bias.op), recipe)
    return found, tuple(notes)


def _by_key(noises: Mapping[_Try, Noise]) -> dict[str, dict[int, float]]:
    """Relative errors by tensor and step, summed over the layers that read it."""
    sums: dict[str, dict[int, float]] = {}
    for one, noise in noises.items():
        share = noise.noise / noise.signal if noise.signal > 0.0 else 0.0
        steps = sums.setdefault(one.key, {})
        steps[one.step] = steps.get(one.step, 0.0) + share
    return sums


def _with_twins(base: Graph, quantized: Graph, places: Places) -> tuple[Graph, list[_Try]]:
    """The float graph with twins of its layers, each with one tensor quantized."""
    graph, tries = base.copy(), list[_Try]()
    for group in places.groups:
        spec = _narrow(quantized.value(group.values[0]).quant)
        if spec is None or set(group.values) & set(base.outputs):
            continue
        for name in group.values:
            tries += _of_value(graph, base, name, group.values[0], spec)
    for place in places.weights:
        op, spec = base.op(place.op), _narrow(quantized.value(place.value).quant)
        data = base.value(place.value).const
        if data is None or spec is None or len(base.consumers(place.value)) != 1:
            continue
        for step in (0, -1, 1):
            name = f"{place.value}@{step}"
            stored = fake_quantize_value(data, spec.moved(step), name)
            graph.set_value(replace(base.value(place.value), name=name, const=stored))
            tries.append(_twin(graph, op, (op.inputs[0], name, *op.inputs[2:]), place.value, step))
    graph.outputs = (*base.outputs, *(one.twin for one in tries))
    return graph, tries


def _of_value(graph: Graph, base: Graph, name: str, key: str, spec: QuantSpec) -> Iterator[_Try]:
    """Twins of the layers that read a value; the value itself where anything else does."""
    readers = base.consumers(name)
    layers = [
        op
        for op in readers
        if op.kind in WEIGHTED and op.inputs[0] == name and graph.const(op, 1) is not None
    ]
    for step in (0, -1, 1):
        source = f"{name}@{step}"
        graph.set_value(replace(base.value(name), name=source, const=None, quant=spec.moved(step)))
        graph.add_op(Op("identity", source, (name,), (source,)))
        if len(layers) < len(readers):
            yield _Try(key, step, name, source)
        for op in layers:
            yield _twin(graph, op, (source, *op.inputs[1:]), key, step)


def _twin(graph: Graph, op: Op, inputs: tuple[str, ...], key: str, step: int) -> _Try:
    output = op.outputs[0]
    twin = f"{output}@{key}@{step}"
    graph.set_value(replace(graph.value(output), name=twin, quant=None))
    graph.add_op(replace(op, name=f"{op.name}@{key}@{step}", inputs=inputs, outputs=(twin,)))
    return _Try(key, step, output, twin)


def _narrow(spec: QuantSpec | None) -> QuantSpec | None:
    """`spec` where it is a power of two for few bits."""
    if spec is None or spec.position is None or not isinstance(spec.format, IntFormat):
        return None
    return spec if spec.format.bits <= _NARROW else None
