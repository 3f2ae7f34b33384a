"""How much fine-tuning will take, worked out from one run of one sample before anything is kept."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from quantforge.diagnostics import Diagnostic, InputError
from quantforge.frontends.torch.program import Program
from quantforge.frontends.torch.run import stored_constant
from quantforge.frontends.torch.tuning.kept import Samples
from quantforge.frontends.torch.tuning.options import TuneOptions
from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import IntFormat

logger = logging.getLogger("quantforge")
_PER_GRADIENT = 3  # tensors that one value leaves behind for the backward pass: itself, stored, and its mask


@dataclass(frozen=True)
class Need:
    """Bytes: of what is kept for all samples, and of one step of gradients.

    Attributes:
        inputs: The samples.
        activations: Values between layers, of the float and the quantized network, at the widest place.
        targets: The float network's outputs.
        step: What one step of gradients holds, with `batch` samples.
        batch: Samples per step that stay within the budget.
    """

    inputs: int
    activations: int
    targets: int
    step: int
    batch: int

    @property
    def kept(self) -> int:
        """What is kept at one time."""
        return self.inputs + self.activations + self.targets


def needed(graph: Graph, samples: Samples, options: TuneOptions, device: torch.device) -> Need:
    """What tuning `graph` takes, from the sizes of all values of one unit."""
    sizes = _sizes(graph, samples, device)
    per_unit = 1 if samples.cut else samples.count / max(samples.units, 1)
    units = min(samples.units, max(1, int(options.layer_samples / per_unit)))
    inputs = sum(sizes[name] for name in graph.inputs) * min(samples.units, samples.count)
    targets = sum(sizes[name] for name in graph.outputs) * samples.units
    values = sum(sizes.values()) * _PER_GRADIENT
    batch = options.schedule.batch if samples.cut else 1
    while batch > 1 and values * batch > options.budget.memory_bytes:
        batch //= 2
    stored = {name: _stored(graph.value(name).quant, size) for name, size in sizes.items()}
    activations = (_widest(graph, sizes) + _widest(graph, stored)) * units if options.layers else 0
    return Need(inputs, activations, targets, values * batch, batch)


def announce(graph: Graph, layers: int, samples: Samples, need: Need, options: TuneOptions) -> None:
    """Say what will be taken and why (Q1440).

    Raises:
        InputError: Q1444 when it does not fit into the folder for files.
    """
    budget = options.budget
    beyond = max(0, need.kept - budget.memory_bytes)
    free = shutil.disk_usage(budget.place).free
    if beyond > free:
        raise InputError(
            "Q1444", f"{budget.place} (QUANTIZER_TORCH_FAST_FINETUNE)", f"{_size(free)} free",
            f"{_size(beyond)} for activations beyond {_size(budget.memory_bytes)} of memory",
            "use fewer samples, allow more memory, or free some space",
        )  # fmt: skip
    found = (
        f"{samples.count} samples ({_size(need.inputs)}), {layers} layers with activations of up to "
        f"{_size(need.activations)}, targets of {_size(need.targets)}, {_size(need.step)} per step of {need.batch}"
    )
    where = (
        f"{_size(need.kept - beyond)} in memory, {_size(beyond)} in files under {budget.place} until the end"
    )
    notice = Diagnostic("Q1440", f"fine-tuning {graph.name!r}", found, where, "fewer samples take less")
    logger.warning("%s", notice)


def _sizes(graph: Graph, samples: Samples, device: torch.device) -> dict[str, int]:
    """Bytes of every value that is computed, for one unit."""
    names = [*graph.inputs, *(name for op in graph.ops for name in op.outputs if name)]
    found: dict[str, int] = {}
    program = Program(graph, names)
    constants = {name: stored_constant(graph.value(name)).to(device) for name in program.constants}
    with torch.no_grad():
        values = program.run(samples.take([0], device), constants) if names else {}
    for name, tensor in values.items():
        found[name] = tensor.numel() * tensor.element_size()
    return found


def _stored(spec: QuantSpec | None, size: int) -> int:
    """Bytes of a float32 value as `Vault` keeps it."""
    if spec is None or spec.axis is not None or not isinstance(spec.format, IntFormat):
        return size
    return size // 4 if spec.format.bits <= 8 else size // 2 if spec.format.bits <= 16 else size


def _widest(graph: Graph, sizes: dict[str, int]) -> int:
    """The most that is alive between two ops, without the inputs."""
    last = {name: index for index, op in enumerate(graph.ops) for name in op.inputs if name in sizes}
    alive, widest = 0, 0
    for index, op in enumerate(graph.ops):
        alive += sum(sizes.get(name, 0) for name in op.outputs)
        widest = max(widest, alive)
        read: Sequence[str] = [name for name in dict.fromkeys(op.inputs) if last.get(name) == index]
        alive -= sum(sizes[name] for name in read if name not in graph.inputs)
    return widest


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count < 2**30 else f"{count / 2**30:.2f} GiB"
