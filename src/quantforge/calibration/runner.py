"""One pass over the data: run a batch, count every observed tensor, keep nothing else.

The tensors of a batch are shared out among one thread per processor, largest first; a tensor that alone is more than
one thread's share is cut into parts with sketches of their own. Sketches add exactly, so the result does not depend
on who counted what.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import local

import numpy as np

from quantforge.calibration.choose import grid_range, range_of, spec_of_range
from quantforge.calibration.history import History, averages, needs_history, same_ranges
from quantforge.calibration.methods import RangeMethod, RangeRule
from quantforge.calibration.moments import ChannelMoments
from quantforge.calibration.notices import check_numbers, notices_of
from quantforge.calibration.sketch import Sketch, merged
from quantforge.diagnostics import CalibrationError, Diagnostic, InternalError, QuantforgeError
from quantforge.graph import Array, Graph, QuantSpec
from quantforge.graph.execution import Feeds, Session, sample_count

Hook = Callable[[Mapping[str, Array]], None]
Task = Callable[[], None]


@dataclass(frozen=True)
class Calibration:
    """What one pass over the data found.

    Attributes:
        sketches: By tensor name.
        batches: Number of batches.
        samples: Number of samples, see `sample_count`.
        histories: Ranges of each batch, for tensors whose rule has a statistic over batches.
        rules: The rules those histories were kept for.
        moments: Channel statistics of the tensors they were asked for.
        notices: Remarks on tensors of zeros, constant tensors and tensors without values.
    """

    sketches: Mapping[str, Sketch]
    batches: int
    samples: int
    histories: Mapping[str, History] = field(default_factory=dict)
    rules: Mapping[str, RangeRule] = field(default_factory=dict)
    moments: Mapping[str, ChannelMoments] = field(default_factory=dict)
    notices: tuple[Diagnostic, ...] = ()

    def sketch(self, *names: str) -> Sketch:
        """The sketch of a tensor, or of several that share one spec, together."""
        missing = [name for name in names if name not in self.sketches]
        if missing:
            raise InternalError("Q0219", missing[0], "no sketch", "an observed tensor", "report this bug")
        return self.sketches[names[0]] if len(names) == 1 else merged(self.sketches[name] for name in names)

    def spec(self, rule: RangeRule, *names: str) -> QuantSpec:
        """The spec that `rule` gives to a tensor, or to several that share one.

        Raises:
            CalibrationError: Q0217 when `rule` has a statistic over batches for which no history was kept.
        """
        if not needs_history(rule):
            return spec_of_range(range_of(self.sketch(*names), rule), rule)
        histories = [self._history(rule, name) for name in names]
        history = histories[0]
        for other in histories[1:]:
            history = history.joined(other)
        if averages(rule) and rule.moving_average is not None:
            return spec_of_range(history.averaged(rule.moving_average), rule)
        return spec_of_range(history.combined(rule.statistic, rule.scales), rule)

    def _history(self, rule: RangeRule, name: str) -> History:
        kept = self.rules.get(name)
        if kept is None or not same_ranges(kept, rule):
            raise CalibrationError(
                "Q0217",
                f"tensor {name!r}",
                f"no ranges per batch for method {rule.method.value!r}",
                "a calibration that kept them",
                "calibrate again with this recipe; saved sketches serve statistic 'all' only",
            )
        return self.histories[name]


def calibrate(
    session: Session,
    batches: Iterable[Feeds],
    names: Sequence[str],
    *,
    rules: Mapping[str, RangeRule] | None = None,
    moments: Mapping[str, int] | None = None,
    hooks: Sequence[Hook] = (),
    graph: Graph | None = None,
    threads: int | None = None,
) -> Calibration:
    """Run every batch once and count the values of the tensors in `names`.

    Args:
        session: Made to observe `names` (and whatever `moments` and `hooks` look at).
        batches: Feeds by input name; read one at a time and not kept. Wrap it in `progress.track` to show progress.
        names: Tensors to count, in the order in which errors name them.
        rules: Rules of tensors; ranges per batch are kept where one asks for a statistic over batches.
        moments: Tensor name to channel axis, for `ChannelMoments`.
        hooks: Called with the observed values of every batch, after counting.
        graph: Where the tensors come from, to name their operators in errors.
        threads: Number of counting threads, one per processor by default.

    Raises:
        CalibrationError: Q0201 without a batch, Q0202 when `batches` raises, Q0203 on NaN or infinity.
    """
    counter = _Counter(names, rules or {}, moments or {})
    workers = threads or available_processors()
    done, samples = 0, 0
    with ThreadPoolExecutor(workers, "quantforge-count") as pool:
        for feeds in guarded(batches):
            observed = session.run(feeds)
            counter.count(observed, pool, workers)
            check_numbers(counter.sketches, names, done, graph)
            for hook in hooks:
                hook(observed)
            done += 1
            samples += sample_count(feeds)
    if not done:
        raise CalibrationError(
            "Q0201",
            "calibration data",
            "no batch",
            "at least one",
            "check the data folder, or the reader's get_next()",
        )
    sketches = counter.finished()
    return Calibration(
        sketches,
        done,
        samples,
        counter.histories,
        counter.rules,
        counter.moments,
        notices_of(sketches, graph),
    )


def available_processors() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Counter:
    """The state of a pass and the sharing out of its work."""

    def __init__(
        self, names: Sequence[str], rules: Mapping[str, RangeRule], moments: Mapping[str, int]
    ) -> None:
        self.sketches = {name: Sketch() for name in names}
        self.rules = {name: rules[name] for name in names if name in rules and needs_history(rules[name])}
        self.histories = {name: History() for name in self.rules}
        self.moments = {name: ChannelMoments(axis) for name, axis in moments.items()}
        self._parts: dict[tuple[str, int], Sketch] = {}
        self._scratch = local()

    def count(self, observed: Mapping[str, Array], pool: ThreadPoolExecutor, workers: int) -> None:
        """Count one batch with `workers` threads of `pool`."""
        sized = sorted(((observed[name].size, name) for name in self.sketches), reverse=True)
        share = sum(size for size, _ in sized) // workers
        tasks: deque[Task] = deque()
        for size, name in sized:
            tasks.extend(self._tasks(name, observed[name], workers if size > share else 1))
        tasks.extend(self._moment_task(name, observed[name]) for name in self.moments)
        for future in [pool.submit(_drain, tasks) for _ in range(min(workers, len(tasks)))]:
            future.result()

    def finished(self) -> dict[str, Sketch]:
        """The sketches, with all parts added."""
        for (name, _), part in self._parts.items():
            self.sketches[name].merge(part)
        self._parts.clear()
        return self.sketches

    def _tasks(self, name: str, values: Array, parts: int) -> Iterator[Task]:
        if name in self.rules:
            yield lambda: self._add_with_range(name, values)
            return
        if parts == 1 or values.size < parts or not values.flags.c_contiguous:
            yield lambda: self._add(self.sketches[name], values)
            return
        for number, piece in enumerate(np.array_split(values.reshape(-1), parts)):
            sketch = self._parts.setdefault((name, number), Sketch()) if number else self.sketches[name]
            yield lambda sketch=sketch, piece=piece: self._add(sketch, piece)  # type: ignore[misc]

    def _moment_task(self, name: str, values: Array) -> Task:
        return lambda: self.moments[name].add(values)

    @staticmethod
    def _add(sketch: Sketch, values: Array) -> None:
        sketch.add(values)

    def _add_with_range(self, name: str, values: Array) -> None:
        rule = self.rules[name]
        if rule.method in (RangeMethod.MIN_MAX, RangeMethod.NON_OVERFLOW):
            extent = self.sketches[name].add(values)
            self.histories[name].append(extent if averages(rule) else grid_range(extent, rule))
            return
        if not hasattr(self._scratch, "sketch"):
            self._scratch.sketch = Sketch()
        batch: Sketch = self._scratch.sketch
        batch.clear()
        if not batch.add(values).empty:
            self.histories[name].append(range_of(batch, rule))
        self.sketches[name].merge(batch)


def _drain(tasks: deque[Task]) -> None:
    while True:
        try:
            task = tasks.popleft()
        except IndexError:
            return
        task()


def guarded(batches: Iterable[Feeds]) -> Iterator[Feeds]:
    """The batches; whatever their iterator raises is a `CalibrationError` that names the batch."""
    number = 0
    try:
        iterator = iter(batches)
        while True:
            try:
                feeds = next(iterator)
            except StopIteration:
                return
            yield feeds
            number += 1
    except QuantforgeError:
        raise
    except Exception as error:  # the reader is the user's code and may raise anything
        raise CalibrationError(
            "Q0202",
            f"calibration data, batch {number}",
            f"{type(error).__name__}: {error}",
            "a batch",
            "fix the reader; its own error is shown above",
        ) from error
