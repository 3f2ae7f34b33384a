"""A compiled model over data: a summary of every output, the time, and on request a dump of every tensor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from quantforge.calibration.data import DataSource, open_data
from quantforge.debugging.dump import write_dump, write_index
from quantforge.debugging.model_inputs import ModelInputs
from quantforge.debugging.observe import Observer
from quantforge.debugging.sources import DataChoice, own_preprocessing
from quantforge.debugging.stage import Array, real
from quantforge.debugging.xmodel_stage import position_of
from quantforge.diagnostics import InputError
from quantforge.progress import track
from quantforge.runtime.graph_runner import GraphRunner, outputs_of
from quantforge.xmodel.model import XModel

LISTED = 10  # samples whose classes are kept


@dataclass(frozen=True)
class Rank:
    """A class and its score, a real number."""

    index: int
    score: float


@dataclass(frozen=True)
class OutputSummary:
    """One output over all samples, as real numbers; the best classes of the first samples where it has classes."""

    name: str
    shape: tuple[int, ...]
    low: float
    high: float
    mean: float
    classes: tuple[tuple[Rank, ...], ...]


@dataclass(frozen=True)
class ModelRun:
    """What came out of a run: samples, time without reading data and writing dumps, outputs."""

    engine: str
    samples: int
    ms_per_sample: float
    outputs: tuple[OutputSummary, ...]


@dataclass
class _Sums:
    shape: tuple[int, ...] = ()
    low: float = np.inf
    high: float = -np.inf
    total: float = 0.0
    count: int = 0
    classes: list[tuple[Rank, ...]] = field(default_factory=list)

    def add(self, numbers: Array, top: int) -> None:
        """One batch more."""
        self.shape = numbers.shape[1:]
        self.low, self.high = min(self.low, float(numbers.min())), max(self.high, float(numbers.max()))
        self.total, self.count = self.total + float(numbers.sum()), self.count + numbers.size
        rows = numbers.reshape(len(numbers), -1)
        if rows.shape[1] == numbers.shape[-1] > 1:
            self.classes += [ranks(row, top) for row in rows[: LISTED - len(self.classes)]]

    def summary(self, name: str) -> OutputSummary:
        """What was found."""
        mean = self.total / max(self.count, 1)
        return OutputSummary(name, self.shape, self.low, self.high, mean, tuple(self.classes))


def run_model(
    model: XModel, data: DataChoice | None, engine: str = "run", dump: Path | None = None, top: int = 5
) -> ModelRun:
    """Run a compiled model.

    Args:
        model: The model; its record of preprocessing is used where `data` has none.
        data: The samples.
        engine: run (fast) or ref (reference).
        dump: Folder for every tensor of every sample (`quantforge.debugging.dump`).
        top: Classes to keep per sample.

    Raises:
        InputError: Q1309 without data; what reading data and the runtime raise.
    """
    if data is None:
        raise InputError("Q1309", model.name, "no data", "samples to run", "give --data")
    inputs = ModelInputs(model)
    source = open_inputs(inputs, data)
    outputs = outputs_of(model)
    sums = [_Sums() for _ in outputs]
    observer = None if dump is None else Observer(model, engine)
    if dump is not None:
        write_index(dump, model)
    samples, seconds = 0, 0.0
    with GraphRunner(model, engine) as runner:
        for feeds in track(source, "running", source.batches):
            given = list(inputs.feeds(feeds).values())
            start = time.perf_counter()
            results = runner.run(*given)
            seconds += time.perf_counter() - start
            for op, array, total in zip(outputs, results, sums, strict=True):
                total.add(real(array, position_of(op) if array.dtype.kind in "iu" else None), top)
            if observer is not None and dump is not None:
                dump_batch(observer, given, dump, samples)
            samples += len(given[0])
    rows = tuple(total.summary(op.tensor.name) for op, total in zip(outputs, sums, strict=True))
    return ModelRun(engine, samples, 1000 * seconds / max(samples, 1), rows)


def open_inputs(inputs: ModelInputs, data: DataChoice) -> DataSource:
    """The data as a model's inputs."""
    return open_data(
        data.source,
        inputs.infos,
        batch_size=data.batch,
        limit=data.samples,
        preprocessing=data.preprocessing or own_preprocessing(inputs.model),
    )


def dump_batch(observer: Observer, given: Sequence[Array], folder: Path, first_sample: int) -> None:
    """Compute every tensor of one batch again and write it."""
    made = observer.run({op.name: array for op, array in zip(observer.inputs, given, strict=True)})
    for engine in observer.engines:
        write_dump(folder, engine.program, made, first_sample)


def ranks(row: Array, top: int) -> tuple[Rank, ...]:
    """The classes with the highest scores, the lower number first among equals.

    >>> ranks(np.array([1.0, 3.0, 3.0]), 2)
    (Rank(index=1, score=3.0), Rank(index=2, score=3.0))
    """
    order = np.argsort(-row, kind="stable")[:top]
    return tuple(Rank(int(index), float(row[index])) for index in order)
