"""Fine-tuning of a graph that any door quantizes, by the calibration data that passes by.

tuner keeps samples while calibration reads them -> flow solves and corrects -> tuner tunes -> flow measures
"""

from __future__ import annotations

from types import TracebackType

import numpy as np
import torch

from quantforge.diagnostics import InputError
from quantforge.frontends.torch.tuning.engine import is_open, tune_samples
from quantforge.frontends.torch.tuning.kept import Budget, Samples, Vault
from quantforge.frontends.torch.tuning.options import Schedule, Tuned, TuneOptions
from quantforge.frontends.torch.tuning.part import put_back, reduced_to, runnable_part
from quantforge.frontends.torch.tuning.positions import Search
from quantforge.graph import Graph
from quantforge.graph.execution import Feeds
from quantforge.passes.result import Note
from quantforge.quantization.fine_tuning import NAME, FineTune, TuneMethod, TuneTask


class CalibrationTuner:
    """A `quantforge.quantization.fine_tuning.Tuner`; leaving its `with` block gives up what it keeps.

    Raises:
        InputError: Q0523 when torch has no such device.
    """

    def __init__(self, options: FineTune, graph: Graph) -> None:
        self.options = tune_options(options)
        self._most, self._device = options.samples, _device(options.device)
        self._vault = Vault(self.options.budget)
        self._divisible = is_open(graph)
        self._samples = Samples(self._vault, self._divisible)

    def __enter__(self) -> CalibrationTuner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._vault.close()

    def keep(self, feeds: Feeds) -> bool:
        """Copy one batch; whether more are wanted.

        Raises:
            InputError: Q1444 when the folder for files is full.
        """
        left = self._most - self._samples.count
        if self._divisible:
            feeds = {name: array[:left] for name, array in feeds.items()}
        self._samples.add({name: torch.from_numpy(np.array(array)) for name, array in feeds.items()})
        return self._samples.count < self._most

    def tune(self, reference: Graph, task: TuneTask) -> tuple[Graph, tuple[Note, ...]]:
        """The quantized graph with tuned constants, and what was done.

        Raises:
            InputError: Q0522 when torch can run no part of the network up to a layer; as `fine_tune`.
        """
        part, base, aim = parts_of(reference, task)
        found = tune_samples(
            base, part, self._samples, self._vault, self.options, self._device, task.listener, aim,
            Search(task.groups, task.realigned),
        )  # fmt: skip
        return put_back(task.quantized, found.graph), tuple(notes_of(found))


def tune_options(options: FineTune) -> TuneOptions:
    """The engine's choices."""
    return TuneOptions(
        seed=options.seed,
        budget=Budget(options.memory_mib << 20),
        positions=options.positions,
        layers=options.layers,
        mirror=options.mirror,
        nearest=options.method is TuneMethod.ADAROUND,
        schedule=Schedule(options.epochs, options.batch, options.weight_rate, options.bias_rate),
    )


def parts_of(reference: Graph, task: TuneTask) -> tuple[Graph, Graph, Graph]:
    """The parts of the quantized graph, the float graph and the reference that torch can run, outputs alike.

    Raises:
        InputError: Q0522 when nothing is left.
    """
    part, known = runnable_part(task.quantized), runnable_part(reference)
    if task.quantized is part and reference is known:
        return part, task.base, reference
    outputs = [name for name in part.outputs if known.has_value(name)]
    aim = reference if outputs else task.base
    outputs = outputs or list(part.outputs)
    if not any(op.inputs[1] in {v.name for v in part.values} for op in part.ops if len(op.inputs) > 1):
        first = next(op for op in task.quantized.ops if op not in part.ops)
        raise InputError(
            "Q0522", f"op {first.name!r}", f"{first.attrs.get('type', first.kind)} ahead of every layer",
            "an operator that torch can run", "leave fine-tuning out, or replace the operator",
        )  # fmt: skip
    return reduced_to(task.quantized, outputs), reduced_to(task.base, outputs), reduced_to(aim, outputs)


def notes_of(found: Tuned) -> list[Note]:
    """What came of it, in words."""
    start = found.stages[0]
    best = next(stage for stage in found.stages if stage.name == found.chosen)
    text = (
        f"{start.sqnr_db:.2f} dB before, {best.sqnr_db:.2f} dB after ({found.chosen}), on held-out samples "
        f"of {found.samples}; {found.memory_bytes >> 20} MiB kept in memory, {found.file_bytes >> 20} MiB in files"
    )
    layers = [
        Note(
            NAME,
            layer.op,
            layer.kept,
            f"error {layer.before:.2g} to {layer.after:.2g} of the output's energy",
        )
        for layer in found.layers
    ]
    return [Note(NAME, "outputs", best is not start, text), *layers]


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        raise InputError(
            "Q0523", "finetune.device", f"{name!r} ({str(error).splitlines()[0]})", "a device that torch has here",
            'device = "cpu"',
        ) from error  # fmt: skip
    return device
