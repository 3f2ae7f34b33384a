"""The quantization of a graph from end to end, the same for every door.

    prepare -> place -> equalize* -> calibrate (one pass over the data) -> solve -> correct biases* -> measure*

Steps with a star look at a few samples, the first ones of the data.

The door brings a graph, an executor that runs it, and the data; it gets back the graph with its specs and all
that the report needs.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from quantforge.calibration.data import DataSource
from quantforge.calibration.history import needs_history
from quantforge.calibration.runner import Calibration, calibrate, guarded
from quantforge.calibration.sketch import count_bits
from quantforge.calibration.split import split
from quantforge.calibration.store import SketchKey, load_sketches, save_sketches
from quantforge.diagnostics import InputError
from quantforge.graph import Graph, Op
from quantforge.graph.execution import Executor, Feeds, Session, sample_count
from quantforge.memory import release_freed_memory
from quantforge.numerics.compiled import compile_ahead
from quantforge.ops.registry import spec
from quantforge.passes.equalize_layers import largest_magnitudes
from quantforge.passes.pipeline import Preparation, prepare
from quantforge.passes.result import Note
from quantforge.progress import Listener, track
from quantforge.quantization.align import align_positions
from quantforge.quantization.bias_correction import correct_biases
from quantforge.quantization.channel_statistics import add_channel_sums
from quantforge.quantization.clip_ends import with_clip_ends
from quantforge.quantization.clip_fitting import with_relus
from quantforge.quantization.constants import with_constants
from quantforge.quantization.empirical_bias import correct_by_samples
from quantforge.quantization.fine_tuning import Tuner, TuneTask, kept_for
from quantforge.quantization.hardware import as_hardware
from quantforge.quantization.int16_scales import with_int16_scales
from quantforge.quantization.measure import Measurement, add_energies, measure
from quantforge.quantization.output_positions import positions_by_output
from quantforge.quantization.output_room import activation_specs
from quantforge.quantization.placement import place
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.refine import TRY_MACS, TRY_SAMPLES, refine
from quantforge.quantization.report import Timing
from quantforge.quantization.rules import check_overrides
from quantforge.quantization.scaling import fits_grids, scale_layers
from quantforge.quantization.sequences import sequence_length
from quantforge.quantization.smooth import smooth
from quantforge.quantization.softmax_scales import with_softmax_scales
from quantforge.quantization.solve import solve, solve_bias
from quantforge.quantization.unit_sigmoids import with_unit_sigmoids
from quantforge.quantization.weights import add_squared_errors

LOOK_MACS = 10_000_000_000  # work that one look at a few samples may cost
LOOK_SAMPLES = range(2, 257)  # at least and at most
COMPARE_MACS = 2_000_000_000  # work that comparing three networks may cost, for each of them
COMPARE_SAMPLES = range(1, 33)


# Calibrates a graph: the values that a session has to observe, and those that are counted.
Counter = Callable[[Graph, Sequence[str], Sequence[str]], Calibration]


@dataclass(frozen=True)
class Quantized:
    """Result of `quantize_graph`: the prepared float graph, the same with specs, and how it came about."""

    base: Graph
    graph: Graph
    places: Places
    calibration: Calibration
    measurement: Measurement | None
    notes: tuple[Note, ...]
    timings: tuple[Timing, ...]
    model_hash: str


@dataclass
class Stopwatch:
    """Collects the wall time of named stages."""

    laps: list[Timing] = field(default_factory=list)
    since: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self.laps.append(Timing(stage, now - self.since))
        self.since = now


def quantize_graph(
    graph: Graph,
    executor: Executor,
    data: DataSource,
    recipe: Recipe,
    *,
    sketches: Path | None = None,
    listener: Listener | None = None,
    tuner: Tuner | None = None,
    counter: Counter | None = None,
) -> Quantized:
    """Quantize `graph` by `recipe`.

    Args:
        graph: Imported by a door; it is not changed.
        executor: Runs the float graph and its quantized form.
        data: Calibration data; read once.
        recipe: All choices.
        sketches: A file of statistics: used when it exists and belongs to this model and data, else written.
        listener: Told of the progress of calibration and fine-tuning.
        tuner: Does the fine-tuning that the recipe asks for.
        counter: Calibrates elsewhere, unless ranges per batch are asked for, which depend on the order.

    Raises:
        InputError: Q0507 when the recipe leaves nothing to quantize, Q0508 when an override matches nothing, Q0520
            when it asks for fine-tuning and there is no tuner.
        CalibrationError: Q0201 to Q0203, see `calibrate`.
    """
    watch = Stopwatch()
    compile_ahead(largest_magnitudes, count_bits, add_squared_errors, add_channel_sums, add_energies)
    if recipe.hold_out:
        data = split(data, recipe.hold_out)[0]
    batches: Iterator[Feeds] = guarded(data)
    kept = kept_for(recipe.name, recipe.finetune, batches, tuner, graph)
    batches = kept or batches
    prepared = prepare(graph, preparation(recipe))
    base, notes = prepared.graph, prepared.notes
    places = _placed(base, recipe)
    macs = sum(macs_of(base, op) for op in base.ops)
    first = take_samples(batches, affordable_samples(LOOK_MACS, macs, LOOK_SAMPLES))
    macs *= sequence_length(base, first)
    look = first_samples(first, affordable_samples(LOOK_MACS, macs, LOOK_SAMPLES), data.divisible)
    watch.lap("prepare")
    base, places, notes = _smoothed(base, places, notes, executor, look, recipe, watch)
    if recipe.equalize is not None or fits_grids(recipe):
        scaled = scale_layers(base, executor, look, places, recipe)
        base, notes = scaled.graph, (*notes, *scaled.notes)
        del scaled
        watch.lap("equalize")
    del graph, prepared  # weights that have been replaced
    release_freed_memory()
    reuse = sketches is not None and sketches.exists()
    with ThreadPoolExecutor(1) as pool:  # hashing and preparing a session both run outside Python
        digest = pool.submit(graph_hash, base)
        session = executor.session(base, _looked_at(base, places), brief=reuse and not recipe.correct_bias)
    key = SketchKey(digest.result(), f"{data.description}; {data.samples} samples, {feeds_hash(first)}")
    watch.lap("prepare session")
    statistics = _Statistics(session, places, recipe, sketches, key, watch, counter)
    calibration = statistics.of(base, track(chain(first, batches), "calibrating", data.batches, listener))
    solved = partial(_solved, base, executor, recipe, calibration, session, look)
    quantized, more = solved(places, watch=watch)
    if recipe.refine is not None and look:
        few = partial(_few, look, macs, data.divisible)
        places, refined = refine(executor, base, quantized, places, calibration, recipe, few)
        watch.lap("refine")
        quantized, more = solved(places, watch=watch) if refined else (quantized, more)
        notes = (*notes, *refined)
    notes = (*notes, *more)
    del session, statistics, solved  # and the memory they hold
    release_freed_memory()
    if kept is not None:
        quantized, more = kept.tuned(
            TuneTask(base, quantized, _stored_together(places), _Realigned(places, recipe), listener)
        )
        notes = (*notes, *more)
        watch.lap("fine-tune")
    measured = first_samples(look, affordable_samples(COMPARE_MACS, macs, COMPARE_SAMPLES), data.divisible)
    measurement = measure(executor, base, quantized, measured) if measured else None
    watch.lap("measure")
    return Quantized(base, quantized, places, calibration, measurement, notes, tuple(watch.laps), key.model)


def _smoothed(
    base: Graph,
    places: Places,
    notes: tuple[Note, ...],
    executor: Executor,
    look: list[Feeds],
    recipe: Recipe,
    watch: Stopwatch,
) -> tuple[Graph, Places, tuple[Note, ...]]:
    """The same function with smoother activations, where the recipe asks for it, and the placement of that."""
    if recipe.smooth is None:
        return base, places, notes
    found = smooth(base, executor, look, places, recipe.smooth, recipe.placement)
    watch.lap("smooth")
    return found.graph, _placed(found.graph, recipe), (*notes, *found.notes)


def _stored_together(places: Places) -> tuple[tuple[str, ...], ...]:
    return tuple(group.values for group in places.groups)


@dataclass(frozen=True)
class _Realigned:
    """Biases solved anew for the positions of a graph, and positions within the recipe's limits."""

    places: Places
    recipe: Recipe

    def __call__(self, graph: Graph) -> Graph:
        graph = align_positions(graph, self.places, self.recipe)[0].copy()
        for bias in self.places.biases:
            solve_bias(graph, graph.op(bias.op), self.recipe)
        return graph


def _few(look: list[Feeds], macs: int, divisible: bool, runs: int) -> list[Feeds]:
    """Samples of `look` that so many runs may see."""
    return first_samples(look, affordable_samples(TRY_MACS, macs * runs, TRY_SAMPLES), divisible)


def _solved(
    base: Graph,
    executor: Executor,
    recipe: Recipe,
    calibration: Calibration,
    session: Session,
    look: list[Feeds],
    places: Places,
    watch: Stopwatch,
) -> tuple[Graph, tuple[Note, ...]]:
    """The graph with specs and corrected biases, within the limits and with the arithmetic of the hardware."""
    specs = activation_specs(base, calibration, fits_grids(recipe))
    quantized = with_relus(solve(base, places, recipe, specs))
    chosen: tuple[Note, ...] = ()
    if recipe.positions_by_output:
        few = first_samples(look, LOOK_SAMPLES.stop // 8, False)
        quantized, chosen = positions_by_output(base, quantized, executor, few, places, recipe)
    quantized = with_unit_sigmoids(with_int16_scales(quantized, places, recipe), places, recipe)
    quantized = with_softmax_scales(quantized, places, recipe)
    quantized, moved = align_positions(with_clip_ends(quantized, places, recipe), places, recipe)
    quantized, more = as_hardware(quantized, places, recipe)
    watch.lap("solve")
    corrected: tuple[Note, ...] = ()
    if recipe.correct_bias and look:
        quantized, corrected = correct_biases(quantized, session, look, recipe)
        watch.lap("correct biases")
    if recipe.correct_bias_by_samples:
        few = first_samples(look, LOOK_SAMPLES.stop // 2, False)
        quantized, measured = correct_by_samples(base, quantized, executor, few, recipe)
        corrected = (*corrected, *measured)
        watch.lap("measure biases")
    return quantized, (*chosen, *moved, *more, *corrected)


def _looked_at(graph: Graph, places: Places) -> list[str]:
    """Values that calibration counts, and the inputs of weighted layers, which bias correction needs."""
    inputs = (graph.op(place.op).inputs[0] for place in places.weights)
    return [name for name in dict.fromkeys((*places.observed, *inputs)) if not graph.value(name).is_const]


def affordable_samples(budget: int, macs: int, samples: range) -> int:
    """How many samples of `macs` each `budget` pays for, within `samples`."""
    return min(max(budget // max(macs, 1), samples.start), samples.stop - 1)


def macs_of(graph: Graph, op: Op) -> int:
    """Multiply-accumulates of one sample; 0 where a shape is not known."""
    values = [*graph.input_values(op), *(graph.value(name) for name in op.outputs if name)]
    if any(value is not None and value.shape is None for value in values):
        return 0
    inputs = [None if value is None else value.shape for value in graph.input_values(op)]
    return spec(op.kind).macs(op, inputs, [graph.value(name).shape for name in op.outputs if name])


def take_samples(batches: Iterator[Feeds], samples: int) -> list[Feeds]:
    """Copies of the first batches, until they hold `samples` samples or the data ends."""
    taken: list[Feeds] = []
    left = samples
    while left > 0:
        feeds = next(batches, None)
        if feeds is None:
            break
        taken.append({name: np.array(array) for name, array in feeds.items()})
        left -= sample_count(feeds)
    return taken


def first_samples(batches: Iterable[Feeds], samples: int, divisible: bool) -> list[Feeds]:
    """The first of `batches`, at least one, up to `samples` samples; the last one is cut where it may be."""
    chosen: list[Feeds] = []
    for feeds in batches:
        size = sample_count(feeds)
        if size > samples and chosen and not divisible:
            break
        if size > samples and divisible:
            feeds = {name: array[:samples] for name, array in feeds.items()}
        chosen.append(feeds)
        samples -= size
        if samples <= 0:
            break
    return chosen


def graph_hash(graph: Graph) -> str:
    """A hash of the ops, their attributes and all constants; equal graphs have equal hashes on any machine."""
    digest = hashlib.blake2b(digest_size=16)
    for op in graph.ops:
        digest.update(repr((op.kind, op.inputs, op.outputs, sorted(op.attrs.items()))).encode())
    for value in graph.values:
        if value.const is not None:
            digest.update(repr((value.name, value.const.shape, value.const.dtype.str)).encode())
            digest.update(np.ascontiguousarray(value.const).data if value.const.size else b"")
    return digest.hexdigest()


def feeds_hash(batches: Iterable[Feeds]) -> str:
    """A hash of the numbers in `batches`: the same files with other preprocessing are other data."""
    digest = hashlib.blake2b(digest_size=16)
    for feeds in batches:
        for name, array in feeds.items():
            digest.update(repr((name, array.shape, array.dtype.str)).encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class _Statistics:
    """Where the statistics of this model and data come from: the file of an earlier run, or one pass."""

    session: Session
    places: Places
    recipe: Recipe
    sketches: Path | None
    key: SketchKey
    watch: Stopwatch
    counter: Counter | None = None

    def of(self, base: Graph, batches: Iterable[Feeds]) -> Calibration:
        if self.sketches is not None and self.sketches.exists():
            calibration = with_constants(load_sketches(self.sketches, self.key), base, self.places)
            self.watch.lap("load sketches")
            return calibration
        observed = [name for name in self.places.observed if not base.value(name).is_const]
        rules = self.places.rules
        if self.counter is not None and not any(map(needs_history, rules.values())):
            calibration = self.counter(base, _looked_at(base, self.places), observed)
        else:
            calibration = calibrate(self.session, batches, observed, rules=rules, graph=base)
        calibration = with_constants(calibration, base, self.places)
        self.watch.lap("calibration")
        if self.sketches is not None:
            save_sketches(self.sketches, calibration, self.key)
            self.watch.lap("save sketches")
        return calibration


def preparation(recipe: Recipe) -> Preparation:
    """The passes that a recipe asks for."""
    return Preparation(
        remove_identity=recipe.remove_identity,
        fold_batch_norm=recipe.fold_batch_norm,
        replace_relu6=recipe.replace_relu6,
        replace_swish=recipe.replace_swish,
        replace_sigmoid=recipe.replace_sigmoid,
        units=recipe.placement.units and not recipe.placement.every_value,
        masks=not recipe.placement.every_value,
        dpu_structure=recipe.dpu_structure,
        named=tuple(override.op for override in recipe.overrides if override.op is not None),
    )


def _placed(graph: Graph, recipe: Recipe) -> Places:
    """The placement; refused are a recipe that does nothing, and overrides that match nothing."""
    places = place(graph, recipe)
    if not places.groups and not places.weights:
        reasons = "; ".join(f"{f.op}: {f.reason}" for f in places.floats[:3]) or "the model has no operators"
        raise InputError(
            "Q0507", f"recipe {recipe.name}", f"nothing to quantize ({reasons})", "one operator of its kinds",
            "another recipe, or fewer overrides",
        )  # fmt: skip
    check_overrides(graph, recipe)
    return places
