"""Calibration in shards: each worker counts every so manieth batch, and the sketches add up.

Sketches are sums of whole numbers, so the order does not matter: the result is that of one pass, bit for bit. Ranges
per batch (statistics over batches, moving averages) depend on the order and are counted in one piece, here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from quantforge.calibration.data import DataSource
from quantforge.calibration.notices import notices_of
from quantforge.calibration.runner import Calibration, calibrate, guarded
from quantforge.calibration.sketch import Counts, Extent, Sketch, merged
from quantforge.calibration.split import split
from quantforge.diagnostics import CalibrationError
from quantforge.distribution.pool import Pool
from quantforge.graph import Graph
from quantforge.graph.execution import Executor, Feeds


@dataclass(frozen=True)
class Shards:
    """What the workers have in common: the graph, the values to observe and those to count, and the data.

    `opened` gives a source that is read from its start; every worker reads all of it and runs its share of the
    batches. `executor` and `opened` have to be picklable.
    """

    executor: Executor
    graph: Graph
    looked_at: tuple[str, ...]
    observed: tuple[str, ...]
    opened: Callable[[], DataSource]
    hold_out: int
    count: int


@dataclass(frozen=True)
class PackedSketch:
    """A sketch without its empty bins."""

    bins: Counts
    counts: Counts
    extent: Extent
    nans: int
    infinities: tuple[int, int]
    empty_arrays: int

    @classmethod
    def of(cls, sketch: Sketch) -> PackedSketch:
        """Pack `sketch`."""
        bins, counts = sketch.occupied()
        return cls(bins, counts, sketch.extent, sketch.nans, sketch.infinities, sketch.empty_arrays)

    def unpacked(self) -> Sketch:
        """The sketch."""
        return Sketch.restored(
            self.bins, self.counts, self.extent, self.nans, self.infinities, self.empty_arrays
        )


@dataclass(frozen=True)
class Counted:
    """What one worker found: sketches in the order of `Shards.observed`, none where it had no batch."""

    sketches: tuple[PackedSketch, ...]
    batches: int
    samples: int


@dataclass(frozen=True)
class ShardedCounter:
    """Counts on the workers of a pool; see `quantization.flow`."""

    pool: Pool
    executor: Executor
    opened: Callable[[], DataSource]
    hold_out: int

    def __call__(self, graph: Graph, looked_at: Sequence[str], observed: Sequence[str]) -> Calibration:
        """The statistics of `observed` over all data.

        Raises:
            CalibrationError: As `calibrate`.
        """
        shards = Shards(
            self.executor,
            graph,
            tuple(looked_at),
            tuple(observed),
            self.opened,
            self.hold_out,
            self.pool.width,
        )
        parts = [part for part in self.pool.map(count_shard, shards, range(shards.count)) if part.batches]
        if not parts:
            raise CalibrationError(
                "Q0201",
                "calibration data",
                "no batch",
                "at least one",
                "check the data folder, or the reader",
            )
        found = {
            name: merged(part.sketches[i].unpacked() for part in parts) for i, name in enumerate(observed)
        }
        batches, samples = sum(part.batches for part in parts), sum(part.samples for part in parts)
        return replace(Calibration(found, batches, samples), notices=notices_of(found, graph))


def counter_for(
    pool: Pool | None, executor: Executor, opened: Callable[[], DataSource], hold_out: int
) -> ShardedCounter | None:
    """The counter of a pool; None where calibration happens in this process anyway."""
    return None if pool is None or pool.in_process else ShardedCounter(pool, executor, opened, hold_out)


def count_shard(shards: Shards, number: int) -> Counted:
    """Run the batches `number`, `number` + `count`, ... and count."""
    source = shards.opened()
    if shards.hold_out:
        source = split(source, shards.hold_out)[0]
    batches: Iterator[Feeds] = islice(guarded(source), number, None, shards.count)
    first = next(batches, None)
    if first is None:
        return Counted((), 0, 0)
    session = shards.executor.session(shards.graph, shards.looked_at)
    found = calibrate(session, _from(first, batches), shards.observed, graph=shards.graph)
    packed = tuple(PackedSketch.of(found.sketches[name]) for name in shards.observed)
    return Counted(packed, found.batches, found.samples)


def _from(first: Feeds, rest: Iterator[Feeds]) -> Iterator[Feeds]:
    yield first
    yield from rest
