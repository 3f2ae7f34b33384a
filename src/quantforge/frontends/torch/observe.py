"""Calibration in the user's own evaluation loop: every forward pass adds one batch to the sketches.

Memory is flat: a sketch per value, and copies of the first samples, which equalization and bias correction look at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from quantforge.calibration.choose import grid_range, range_of
from quantforge.calibration.history import History, averages, needs_history
from quantforge.calibration.methods import RangeMethod, RangeRule
from quantforge.calibration.notices import check_numbers, notices_of
from quantforge.calibration.runner import Calibration, available_processors
from quantforge.calibration.sketch import Sketch
from quantforge.diagnostics import CalibrationError
from quantforge.frontends.torch.run import TorchExecutor
from quantforge.graph import Array, Graph
from quantforge.graph.execution import sample_count

Ranges = NDArray[np.float64]
Equalized = Callable[[Mapping[str, Ranges]], Graph]


class LoopObserver:
    """Counts the values of a module as it runs.

    With `equalized` the first samples are looked at before anything is counted: their largest values per channel go
    to that function, which returns the graph to go on with, and they are run again on it and counted.

    Args:
        graph: Whose values they are.
        rules: The rule of each value to count.
        samples: How many samples to keep, from the first on; whole batches.
        looked: Values whose channels `equalized` wants to know, and the axis of their channels.
        equalized: From ranges per channel (float64 [channels], by value) to the graph to go on with.
        device: Where kept samples are run again.
    """

    def __init__(
        self,
        graph: Graph,
        rules: Mapping[str, RangeRule],
        samples: int,
        looked: Mapping[str, int] | None = None,
        equalized: Equalized | None = None,
        device: str = "cpu",
    ) -> None:
        self.graph = graph
        self._sketches = {name: Sketch() for name in rules}
        self._rules = {name: rule for name, rule in rules.items() if needs_history(rule)}
        self._histories = {name: History() for name in self._rules}
        self._wanted = samples
        self._batches = 0
        self._seen = 0
        self._looked, self._ranges = dict(looked or {}), dict[str, Ranges]()
        self._equalized = equalized
        self._device = device
        self.kept: list[dict[str, Array]] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The values it wants to see of the next batch."""
        return tuple(self._sketches) if self._equalized is None else tuple(self._looked)

    def add(self, inputs: Mapping[str, torch.Tensor], observed: Mapping[str, torch.Tensor]) -> None:
        """Take one batch.

        Raises:
            CalibrationError: Q0203 on NaN or infinity, naming the operator that made it.
        """
        if sum(map(sample_count, self.kept)) < self._wanted:
            self.kept.append({name: np.array(t.detach().cpu().numpy()) for name, t in inputs.items()})
        if self._equalized is None:
            arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in observed.items()}
            self._count_batch(arrays, sample_count(inputs))
            return
        for name, tensor in observed.items():
            channel = self._looked[name] % tensor.ndim
            largest = tensor.detach().abs().amax([axis for axis in range(tensor.ndim) if axis != channel])
            found = largest.cpu().numpy().astype(np.float64)
            self._ranges[name] = np.maximum(self._ranges[name], found) if name in self._ranges else found
        if sum(map(sample_count, self.kept)) >= self._wanted:
            self._begin(self._equalized)

    def calibration(self) -> Calibration:
        """What was found so far.

        Raises:
            CalibrationError: Q0201 when there was no batch.
        """
        if self.kept and self._equalized is not None:
            self._begin(self._equalized)
        if not self._batches:
            raise CalibrationError(
                "Q0201", "calibration data", "no batch", "at least one",
                "run quant_model on calibration data before export_quant_config()",
            )  # fmt: skip
        return Calibration(
            self._sketches, self._batches, self._seen, self._histories, self._rules,
            {}, notices_of(self._sketches, self.graph),
        )  # fmt: skip

    def _begin(self, equalized: Equalized) -> None:
        """Equalize, and count what was only looked at."""
        self._equalized = None
        self.graph = equalized(self._ranges)
        session = TorchExecutor(self._device).session(self.graph, self.names)
        for feeds in self.kept:
            self._count_batch(session.run(feeds), sample_count(feeds))

    def _count_batch(self, arrays: Mapping[str, Array], samples: int) -> None:
        tasks = deque(sorted(arrays, key=lambda name: -arrays[name].size))
        workers = min(available_processors(), max(len(tasks), 1))
        with ThreadPoolExecutor(workers, "quantforge-count") as pool:
            for future in [pool.submit(self._drain, tasks, arrays) for _ in range(workers)]:
                future.result()
        check_numbers(self._sketches, self.names, self._batches, self.graph)
        self._batches += 1
        self._seen += samples

    def _drain(self, tasks: deque[str], arrays: Mapping[str, Array]) -> None:
        take: Callable[[], str] = tasks.popleft
        while True:
            try:
                name = take()
            except IndexError:
                return
            self._count(name, arrays[name])

    def _count(self, name: str, values: Array) -> None:
        rule = self._rules.get(name)
        if rule is None:
            self._sketches[name].add(values)
        elif rule.method in (RangeMethod.MIN_MAX, RangeMethod.NON_OVERFLOW):
            extent = self._sketches[name].add(values)
            self._histories[name].append(extent if averages(rule) else grid_range(extent, rule))
        else:
            batch = Sketch()
            if not batch.add(values).empty:
                self._histories[name].append(range_of(batch, rule))
            self._sketches[name].merge(batch)
