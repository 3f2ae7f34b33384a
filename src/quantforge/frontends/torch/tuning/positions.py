"""Positions of activations chosen again, by what they do to the outputs of the network.

What: calibration takes the position of least squared error of each tensor by itself. Where the next finer or
coarser one is nearly as good for the tensor, the outputs of the network decide: the candidates are tried from the
closest call to the clearest, and taken when the outputs come nearer on the samples to fit and on those held out.
Why: an outlier that is rare and does not matter can cost a tensor one bit for all its other values.
Cost: one run for the errors of the tensors, and two short runs per candidate.
Source: the search over positions of the PyTorch quantizer of Vitis AI (method `diffs`), by the network's outputs
instead of the tensor's own error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from quantforge.frontends.torch.fake_quantize import FakeQuantizer
from quantforge.frontends.torch.program import Program
from quantforge.frontends.torch.tuning.kept import Samples
from quantforge.frontends.torch.tuning.network import Targets, constants_of
from quantforge.graph import Graph, QuantSpec

Align = Callable[[Graph], Graph]
CLOSE = {1: 4.0, -1: 1.3}  # errors up to so many times the present one are a close call: finer, coarser
TRIED = 16  # candidates at most
GAIN = 0.97  # of the loss, that a candidate has to come under
_WIDE = 16  # bits above which a bias is stored with the product of scales, and follows its input


@dataclass(frozen=True)
class Candidate:
    """Values that share a spec, another for them, and the errors of that as a multiple of the present ones."""

    values: tuple[str, ...]
    spec: QuantSpec
    ratio: float


@dataclass(frozen=True)
class Search:
    """Where positions are looked for.

    Attributes:
        groups: Values that share a spec each.
        align: Puts positions where a device's shifts reach them; a candidate that it moves is not taken.
    """

    groups: Sequence[tuple[str, ...]]
    align: Align | None = None


def choose_positions(
    graph: Graph,
    search: Search,
    candidates: Sequence[Candidate],
    targets: Targets,
    fit: Sequence[Sequence[int]],
    held: Sequence[Sequence[int]],
) -> Iterator[Graph]:
    """Yield the graph after each candidate, with those that made it better."""
    best = (targets.measure(graph, fit), targets.measure(graph, held))
    for candidate in candidates:
        tried = _aligned(with_spec(graph, candidate), search)
        if tried is not None:
            loss = targets.measure(tried, fit)
            if loss < GAIN * best[0]:
                found = (loss, targets.measure(tried, held))
                graph, best = (tried, found) if found[1] < best[1] else (graph, best)
        yield graph


def close_calls(
    base: Graph,
    graph: Graph,
    search: Search,
    samples: Samples,
    chunks: Sequence[Sequence[int]],
    device: torch.device,
) -> list[Candidate]:
    """The candidates, the closest call first, by the float values of some samples."""
    found = []
    errors: dict[tuple[int, int], float] = {}
    found_specs = ((k, values, _movable(graph, values)) for k, values in enumerate(search.groups))
    groups = [(k, values, spec) for k, values, spec in found_specs if spec is not None]
    names = [name for _, values, _ in groups for name in values if not graph.value(name).is_const]
    program = Program(base, names)
    constants = constants_of(program, device)
    specs = {(k, step): spec.moved(step) for k, _, spec in groups for step in (-1, 0, 1)}
    for units in chunks:
        with torch.no_grad():
            seen = program.run(samples.take(units, device), constants)
            for (k, step), spec in specs.items():
                quantizer = FakeQuantizer(spec)
                for name in search.groups[k]:
                    if name in seen:
                        error = float(torch.sum((quantizer(seen[name]) - seen[name]).double() ** 2))
                        errors[k, step] = errors.get((k, step), 0.0) + error
    for k, values, _ in groups:
        for step in (-1, 1):
            ratio = errors.get((k, step), 0.0) / max(errors.get((k, 0), 0.0), 1e-30)
            if 0 < ratio < CLOSE[step]:
                found.append(Candidate(values, specs[k, step], ratio))
    return sorted(found, key=lambda candidate: candidate.ratio)[:TRIED]


def with_spec(graph: Graph, candidate: Candidate) -> Graph:
    """A copy of `graph` with the spec of the candidate."""
    graph = graph.copy()
    for name in candidate.values:
        graph.set_value(replace(graph.value(name), quant=candidate.spec))
    return graph


def _aligned(graph: Graph, search: Search) -> Graph | None:
    """The graph as `align` leaves it; None where that moves anything but biases."""
    if search.align is None:
        return graph
    found = search.align(graph)
    biases = {op.inputs[2] for op in graph.ops if len(op.inputs) > 2}
    same = (found.value(v.name).quant == v.quant for v in graph.values if v.name not in biases)
    return found if all(same) else None


def _movable(graph: Graph, values: Sequence[str]) -> QuantSpec | None:
    """A power of two that no wide bias follows; the network's outputs, where saturation is final, stay too."""
    spec = graph.value(values[0]).quant
    if spec is None or spec.position is None or any(name in graph.outputs for name in values):
        return None
    biases = (op.inputs[2] for name in values for op in graph.consumers(name) if len(op.inputs) > 2)
    known = (graph.value(name).quant for name in biases if name)
    return spec if all(bias is None or bias.format.bits <= _WIDE for bias in known) else None
