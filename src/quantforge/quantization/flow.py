"""The quantization of a graph from end to end, the same for every door.

    prepare -> place -> calibrate (one pass over the data) -> solve -> measure (a few samples)

The door brings a graph, an executor that runs it, and the data; it gets back the graph with its specs and all
that the report needs.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from quantforge.calibration.data import DataSource
from quantforge.calibration.runner import Calibration, calibrate
from quantforge.calibration.store import SketchKey, load_sketches, save_sketches
from quantforge.diagnostics import InputError
from quantforge.graph import Graph, Op, QuantSpec
from quantforge.graph.execution import Executor, Feeds
from quantforge.ops.registry import spec
from quantforge.passes.pipeline import Preparation, prepare
from quantforge.passes.result import Note
from quantforge.progress import Listener, track
from quantforge.quantization.measure import Measurement, measure
from quantforge.quantization.placement import Places, SpecGroup, place
from quantforge.quantization.recipe import Recipe, TensorRule
from quantforge.quantization.report import Timing
from quantforge.quantization.solve import solve, tensor_rule

MEASURED_MACS = 16_000_000_000  # work spent on measuring errors, which decides how many samples are measured
MEASURED_SAMPLES = range(2, 65)  # at least and at most


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
) -> Quantized:
    """Quantize `graph` by `recipe`.

    Args:
        graph: Imported by a door; it is not changed.
        executor: Runs the float graph and its quantized form.
        data: Calibration data; read once.
        recipe: All choices.
        sketches: A file of statistics: used when it exists and belongs to this model and data, else written.
        listener: Told of the progress of calibration.

    Raises:
        InputError: Q0507 when the recipe leaves nothing to quantize, Q0508 when an override matches nothing.
        CalibrationError: Q0201 to Q0203, see `calibrate`.
    """
    watch = Stopwatch()
    prepared = prepare(graph, _preparation(recipe))
    base = prepared.graph
    places = place(base, recipe)
    _check(base, places, recipe)
    digest = graph_hash(base)
    watch.lap("prepare")
    measured: list[Feeds] = []
    batches = keep_first(data, measured, measured_samples(base))
    calibration = _calibration(
        base, executor, data, batches, places, recipe, sketches, digest, listener, watch
    )

    def activation_spec(group: SpecGroup, rule: TensorRule) -> QuantSpec:
        return calibration.spec(rule, *group.sources)

    quantized = solve(base, places, recipe, activation_spec)
    watch.lap("solve")
    measurement = measure(executor, base, quantized, measured) if measured else None
    watch.lap("measure")
    notes = prepared.notes
    return Quantized(base, quantized, places, calibration, measurement, notes, tuple(watch.laps), digest)


def measured_samples(graph: Graph) -> int:
    """How many samples errors are measured on: as many as `MEASURED_MACS` pay for, within `MEASURED_SAMPLES`."""
    macs = sum(macs_of(graph, op) for op in graph.ops)
    return min(max(MEASURED_MACS // max(macs, 1), MEASURED_SAMPLES.start), MEASURED_SAMPLES.stop - 1)


def macs_of(graph: Graph, op: Op) -> int:
    """Multiply-accumulates of one sample."""
    inputs = [None if value is None else value.shape for value in graph.input_values(op)]
    return spec(op.kind).macs(op, inputs, [graph.value(name).shape for name in op.outputs if name])


def keep_first(batches: Iterable[Feeds], kept: list[Feeds], samples: int) -> Iterator[Feeds]:
    """Pass `batches` on and put copies of the first `samples` samples into `kept`."""
    left = samples
    for feeds in batches:
        if left > 0:
            first = next(iter(feeds.values()), None)
            size = first.shape[0] if first is not None and first.ndim else 1
            batched = all(array.ndim and array.shape[0] == size for array in feeds.values())
            kept.append({n: np.array(a[:left] if batched and size > left else a) for n, a in feeds.items()})
            left -= size
        yield feeds


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


def _calibration(
    base: Graph,
    executor: Executor,
    data: DataSource,
    batches: Iterator[Feeds],
    places: Places,
    recipe: Recipe,
    sketches: Path | None,
    digest: str,
    listener: Listener | None,
    watch: Stopwatch,
) -> Calibration:
    """The statistics of this model and data: from the file of an earlier run, or from one pass."""
    key = SketchKey(digest, f"{data.description}; {data.samples} samples")
    if sketches is not None and sketches.exists():
        calibration = load_sketches(sketches, key)
        watch.lap("load sketches")
        return calibration
    observed = [name for name in places.observed if not base.value(name).is_const]
    session = executor.session(base, observed)
    watch.lap("prepare session")
    rules = {
        name: tensor_rule(recipe.activations, recipe, group.values)
        for group in places.groups
        for name in group.sources
    }
    tracked = track(batches, "calibrating", data.batches, listener)
    calibration = calibrate(session, tracked, observed, rules=rules, graph=base)
    watch.lap("calibration")
    if sketches is not None:
        save_sketches(sketches, calibration, key)
        watch.lap("save sketches")
    return calibration


def _preparation(recipe: Recipe) -> Preparation:
    return Preparation(
        remove_identity=recipe.remove_identity,
        fold_batch_norm=recipe.fold_batch_norm,
        replace_relu6=recipe.replace_relu6,
        equalize_sweeps=recipe.equalize.sweeps if recipe.equalize else 0,
        equalize_bias=recipe.equalize.include_bias if recipe.equalize else False,
    )


def _check(graph: Graph, places: Places, recipe: Recipe) -> None:
    """Refuse a recipe that does nothing, or whose overrides match nothing."""
    if not places.groups and not places.weights:
        reasons = "; ".join(f"{f.op}: {f.reason}" for f in places.floats[:3]) or "the model has no operators"
        raise InputError(
            "Q0507", f"recipe {recipe.name}", f"nothing to quantize ({reasons})", "one operator of its kinds",
            "another recipe, or fewer overrides",
        )  # fmt: skip
    from fnmatch import fnmatchcase

    for override in recipe.overrides:
        pattern, names = (
            (override.op, [op.name for op in graph.ops])
            if override.op is not None
            else (override.tensor, [value.name for value in graph.values])
        )
        if pattern is not None and not any(name == pattern or fnmatchcase(name, pattern) for name in names):
            import difflib

            near = difflib.get_close_matches(pattern, names, n=1, cutoff=0.3)
            fix = repr(near[0]) if near else "print the report's list of names"
            kind = "op" if override.op is not None else "tensor"
            raise InputError(
                "Q0508", f"override {kind} = {pattern!r}", "no match", f"the name of a {kind}", fix
            )
