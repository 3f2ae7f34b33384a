"""All layers tuned together, by the outputs of the network on unlabelled samples.

What: weights and biases are moved by gradients, and rounded in every forward pass, so that the outputs of the
quantized network come near those of the float network. Weights move by small parts of a step: few of them cross the
middle between two integers, those that the outputs gain most by.
    loss = mean over outputs of  |quantized - float|^2 / |float|^2
Cost: per pass over the samples about five forward passes of the float network.
Reference: Hubara et al., Improving Post Training Neural Quantization, 2020 (arXiv:2006.10518), for weights that
follow straight-through gradients on a few unlabelled samples; Hinton et al., Distilling the Knowledge in a Neural
Network, 2015 (arXiv:1503.02531), for the float network's outputs as targets; Kingma, Ba: Adam, 2015.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import cos, pi

import torch

from quantforge.frontends.torch.program import Program, Tensors
from quantforge.frontends.torch.run import stored_constant
from quantforge.frontends.torch.tuning.kept import Kept, Samples, Vault
from quantforge.frontends.torch.tuning.layers import weighted_ops
from quantforge.frontends.torch.tuning.options import Schedule
from quantforge.frontends.torch.tuning.straight import StraightProgram, Tunable, tunable, with_constants
from quantforge.graph import Graph

_CHUNK = 32


class Targets:
    """The outputs of the float network `reference`, kept for all samples, and how far others are from them."""

    def __init__(self, reference: Graph, samples: Samples, vault: Vault, device: torch.device) -> None:
        self._samples, self._device = samples, device
        self._kept: list[dict[int, Kept]] = []
        self.places = [k for k, name in enumerate(reference.outputs) if reference.value(name).is_float]
        if samples.cut and not self._observe(reference, vault, _CHUNK):
            samples.undivided()
        if not samples.cut:
            self._observe(reference, vault, 1)

    def wanted(self, units: Sequence[int]) -> dict[int, torch.Tensor]:
        """By the place of the output: what it should be for some units."""
        rows = [self._kept[unit] for unit in units]
        found = {k: [row[k].tensor() for row in rows] for k in self.places}
        return {k: (torch.cat(t) if self._samples.cut else t[0]).to(self._device) for k, t in found.items()}

    def loss(self, graph: Graph, found: Tensors, units: Sequence[int]) -> torch.Tensor:
        """The share of the outputs' energy that is wrong, its mean over the outputs."""
        shares = [
            torch.sum((found[graph.outputs[k]] - target) ** 2) / torch.clamp_min(torch.sum(target**2), 1e-20)
            for k, target in self.wanted(units).items()
        ]
        return torch.stack(shares).mean() if shares else torch.zeros(())

    def measure(self, graph: Graph, chunks: Sequence[Sequence[int]]) -> float:
        """The loss of a quantized `graph` over some chunks of units."""
        program = StraightProgram(graph, graph.outputs)
        constants = constants_of(program, self._device)
        total = 0.0
        with torch.no_grad():
            for units in chunks:
                found = program.run(self._samples.take(units, self._device), constants)
                total += float(self.loss(graph, found, units)) * len(units)
        return total / max(sum(map(len, chunks)), 1)

    def _observe(self, reference: Graph, vault: Vault, size: int) -> bool:
        """Run the float network; False when its outputs cannot be cut into samples."""
        names = [reference.outputs[k] for k in self.places]
        program = Program(reference, names)
        constants = constants_of(program, self._device)
        self._kept = []
        for start in range(0, self._samples.units, size):
            units = range(start, min(start + size, self._samples.units))
            with torch.no_grad():
                found = program.run(self._samples.take(units, self._device), constants)
            if self._samples.cut and any(not t.ndim or t.shape[0] != len(units) for t in found.values()):
                return False
            for row in range(len(units)):
                part = slice(row, row + 1) if self._samples.cut else slice(None)
                outputs = zip(self.places, names, strict=True)
                self._kept.append({
                    k: vault.keep(found[name][part] if found[name].ndim else found[name]) for k, name in outputs
                })  # fmt: skip
        return True


def constants_of(program: Program, device: torch.device) -> dict[str, torch.Tensor]:
    """What running `program` needs, as stored."""
    return {name: stored_constant(program.graph.value(name)).to(device) for name in program.constants}


def tune_network(
    graph: Graph, targets: Targets, samples: Samples, fit: Sequence[int], schedule: Schedule, seed: int,
    device: torch.device,
) -> Iterator[Graph | None]:  # fmt: skip
    """Tune a quantized `graph` on the units `fit`; yields None after a step, the graph after an epoch."""
    program = StraightProgram(graph, graph.outputs)
    fixed = constants_of(program, device)
    weights, biases = tunables(graph, device)
    weights = weights if schedule.weight_rate > 0.0 else []
    biases = biases if schedule.bias_rate > 0.0 else []
    if not weights and not biases:
        return
    optimizer = torch.optim.Adam(
        [
            {"params": [item.latent for item in items], "lr": rate, "top": rate}
            for items, rate in ((weights, schedule.weight_rate), (biases, schedule.bias_rate))
            if items
        ],
        betas=(0.9, 0.99),
    )
    draw, done = torch.Generator().manual_seed(seed), 0
    batch = min(schedule.batch, len(fit)) if samples.cut else 1
    steps = len(fit) // batch
    for _ in range(schedule.epochs):
        order = torch.randperm(len(fit), generator=draw).tolist()
        for step in range(steps):
            units = [fit[k] for k in order[step * batch : (step + 1) * batch]]
            for group in optimizer.param_groups:
                group["lr"] = group["top"] * (0.5 + 0.5 * cos(pi * done / (steps * schedule.epochs)))
            constants: Mapping[str, torch.Tensor] = {
                **fixed, **{item.name: item.stored() for item in (*weights, *biases)}
            }  # fmt: skip
            loss = targets.loss(graph, program.run(samples.take(units, device), constants), units)
            if not loss.requires_grad:
                return  # nothing that is tuned reaches an output
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            done += 1
            yield None if step < steps - 1 else _state(graph, (*weights, *biases))


def tunables(graph: Graph, device: torch.device) -> tuple[list[Tunable], list[Tunable]]:
    """Weights and biases of the quantized layers, each once."""
    weights: dict[str, Tunable] = {}
    biases: dict[str, Tunable] = {}
    for op in weighted_ops(graph):
        name = op.inputs[1]
        if name not in weights:
            weights[name] = tunable(graph, name, None, device)
        bias = op.inputs[2] if len(op.inputs) > 2 else ""
        if bias and bias not in biases and graph.value(bias).is_const:
            biases[bias] = tunable(graph, bias, _unit_behind(graph, op.outputs[0]), device)
    return list(weights.values()), list(biases.values())


def _unit_behind(graph: Graph, name: str) -> float | None:
    """The step of the grid that an output, or what its one reader makes of it, is stored with."""
    readers = graph.consumers(name)
    spec = graph.value(name).quant
    if spec is None and len(readers) == 1:
        spec = graph.value(readers[0].outputs[0]).quant
    return None if spec is None else max(spec.scale)


def _state(graph: Graph, items: Sequence[Tunable]) -> Graph:
    return with_constants(graph, {item.name: item.array() for item in items})
