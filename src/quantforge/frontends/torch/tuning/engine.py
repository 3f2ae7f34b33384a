"""Fast fine-tuning of a quantized graph: weights and biases by a few unlabelled samples.

    samples, some held out -> positions -> layers one after the other -> all of them together -> the best state

The graph may come from any door as long as torch runs all its operators. Nothing depends on the number of samples
but files: what does not fit into the budget is mapped from the disk. The same samples and seed give the same weights
on the same device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from quantforge.diagnostics import CalibrationError
from quantforge.frontends.torch.tuning.aims import Aims
from quantforge.frontends.torch.tuning.announce import Need, announce, needed
from quantforge.frontends.torch.tuning.frontier import Frontier
from quantforge.frontends.torch.tuning.kept import Samples, Vault
from quantforge.frontends.torch.tuning.layers import layers_of
from quantforge.frontends.torch.tuning.network import Targets, tune_network
from quantforge.frontends.torch.tuning.options import LayerResult, Stage, Tuned, TuneOptions
from quantforge.frontends.torch.tuning.positions import Search, choose_positions, close_calls
from quantforge.frontends.torch.tuning.sequential import Chunks, replaced, tune_layer
from quantforge.frontends.torch.tuning.straight import with_constants
from quantforge.graph import Graph
from quantforge.memory import release_freed_memory
from quantforge.progress import Listener, track

START, POSITIONS, LAYERS = "start", "positions", "layers"
_CHUNK = 32  # samples run at a time


def fine_tune(
    base: Graph,
    quantized: Graph,
    batches: Iterable[Mapping[str, Any]],
    options: TuneOptions | None = None,
    device: torch.device | str = "cpu",
    progress: Listener | None = None,
    reference: Graph | None = None,
    search: Search | None = None,
) -> Tuned:
    """Tune the weights and biases of `quantized` on `batches`.

    Args:
        base: The float graph that `quantized` was made of.
        quantized: With specs.
        batches: Inputs by name, arrays or tensors; each batch is read once.
        options: All choices; the defaults when None.
        device: Where torch runs.
        progress: Told of each layer and each step instead of a progress line on the terminal.
        reference: Has the outputs to come near to, when that is not `base`: the model before any pass.
        search: Lets positions of activations move; without it all scales stay.

    Raises:
        CalibrationError: Q0201 without a batch.
        InputError: Q1444 when neither memory nor disk holds what is kept; Q1406 when an operator runs in another
            framework only.
    """
    options = TuneOptions() if options is None else options
    with Vault(options.budget) as vault:
        samples = Samples(vault, is_open(quantized))
        for batch in batches:
            samples.add({name: torch.as_tensor(batch[name]) for name in quantized.inputs})
        return tune_samples(base, quantized, samples, vault, options, device, progress, reference, search)


def is_open(graph: Graph) -> bool:
    """Whether batches of the graph's inputs may be cut."""
    return all(isinstance((graph.value(name).shape or (1,))[0], str) for name in graph.inputs)


def tune_samples(
    base: Graph,
    quantized: Graph,
    samples: Samples,
    vault: Vault,
    options: TuneOptions,
    device: torch.device | str = "cpu",
    progress: Listener | None = None,
    reference: Graph | None = None,
    search: Search | None = None,
) -> Tuned:
    """`fine_tune` on samples that are kept already."""
    if not samples.units:
        raise CalibrationError(
            "Q0201", "fine-tuning data", "no batch", "at least one", "run quant_model on data in run_fn"
        )
    place = torch.device(device)
    if options.mirror:
        samples.mirror()
    need = needed(quantized, samples, options, place)
    announce(quantized, len(layers_of(quantized)), samples, need, options)
    run = _Run(base, quantized, reference or base, samples, vault, options, place, progress, need, search)
    return run.tuned()


@dataclass
class _Run:
    base: Graph
    quantized: Graph
    reference: Graph
    samples: Samples
    vault: Vault
    options: TuneOptions
    device: torch.device
    progress: Listener | None
    need: Need
    search: Search | None

    def tuned(self) -> Tuned:
        release_freed_memory()
        targets = Targets(self.reference, self.samples, self.vault, self.device)
        fit, held = self._split()
        aside = self._chunks(held)
        best, chosen = self.quantized, Stage(START, targets.measure(self.quantized, aside))
        stages, layers = [chosen], list[LayerResult]()
        if self.search is not None and self.options.positions:
            best = self._by_positions(targets, fit, held)
            release_freed_memory()
            chosen = Stage(POSITIONS, targets.measure(best, aside))
            stages.append(chosen)
        if self.options.layers:
            graph, layers = self._by_layers(best, fit, held)
            release_freed_memory()
            stages.append(Stage(LAYERS, targets.measure(graph, aside)))
            if stages[-1].loss < chosen.loss:
                best, chosen = graph, stages[-1]
        for epoch, graph in enumerate(self._epochs(best, targets, fit), 1):
            stages.append(Stage(f"epoch {epoch}", targets.measure(graph, aside)))
            if stages[-1].loss < chosen.loss:
                best, chosen = graph, stages[-1]
        before = self.quantized
        changed = {
            v.name: v.const for v in best.values if v.is_const and v.const is not before.value(v.name).const
        }
        return Tuned(
            with_constants(self.base, changed), best, tuple(changed), tuple(layers), tuple(stages), chosen.name,
            self.samples.count, self.vault.peak_memory, self.vault.peak_files,
        )  # fmt: skip

    def _epochs(self, start: Graph, targets: Targets, fit: Sequence[int]) -> Iterator[Graph]:
        """The network as a whole, after each pass over the samples."""
        schedule = replace(self.options.schedule, batch=self.need.batch)
        if self.options.nearest:  # weights would leave their two multiples
            schedule = replace(schedule, weight_rate=0.0)
        batch = min(schedule.batch, len(fit)) if self.samples.cut else 1
        steps = tune_network(start, targets, self.samples, fit, schedule, self.options.seed, self.device)
        total = schedule.epochs * (len(fit) // batch)
        for graph in track(steps, "tuning the network", total, self.progress):
            if graph is not None:
                yield graph

    def _by_positions(self, targets: Targets, fit: Sequence[int], held: Sequence[int]) -> Graph:
        graph, some = self.quantized, self._chunks(fit[: self._units(self.options.position_samples)])
        assert self.search is not None  # noqa: S101  `tuned` saw it
        calls = close_calls(self.base, graph, self.search, self.samples, some, self.device)
        states = choose_positions(graph, self.search, calls, targets, some, self._chunks(held))
        for state in track(states, "choosing positions", len(calls), self.progress):
            graph = state
        return graph

    def _units(self, samples: int) -> int:
        """About so many samples as units."""
        return max(1, samples // max(1, self.samples.count // self.samples.units))

    def _by_layers(
        self, start: Graph, fit: Sequence[int], held: Sequence[int]
    ) -> tuple[Graph, list[LayerResult]]:
        graph = start.copy()
        most = max(2, self._units(self.options.layer_samples))
        aside = max(1, min(len(held), most // 4))
        chunks = Chunks(self._chunks(fit[: most - aside]), self._chunks(held[:aside]))
        every = (*chunks.fit, *chunks.held)
        run = Frontier(graph, self.samples, every, self.vault, self.device)
        aims = Aims(self.base, self.reference, layers_of(graph), self.samples, every, self.vault, self.device)
        results = []
        for layer in track(layers_of(graph), "tuning layers", None, self.progress):
            result, constants = tune_layer(graph, self.base, layer, run, aims, chunks, self.options)
            replaced(graph, constants)
            release_freed_memory()  # or blocks of all sizes add up
            results.append(result)
        run.close()
        aims.close()
        return graph, results

    def _split(self) -> tuple[list[int], list[int]]:
        """Units to fit and units held out; the same for both where there is only one."""
        count = self.samples.count if self.samples.cut else self.samples.units
        order = np.random.default_rng(self.options.seed).permutation(count).tolist()
        aside = min(max(1, round(count * self.options.held_out)), count - 1)
        fit, held = (order[aside:], order[:aside]) if aside else (order, order)
        if self.samples.units > count:  # an image and its mirror image stay together
            return [*fit, *(unit + count for unit in fit)], [*held, *(unit + count for unit in held)]
        return fit, held

    def _chunks(self, units: Sequence[int]) -> list[list[int]]:
        size = _CHUNK if self.samples.cut else 1
        return [list(units[start : start + size]) for start in range(0, len(units), size)]
