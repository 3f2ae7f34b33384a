"""Calibration in the user's own evaluation loop: every forward pass adds one batch to the sketches.

Memory is flat: a sketch per value, and copies of the first few samples, which bias correction looks at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from quantforge.calibration.choose import grid_range, range_of
from quantforge.calibration.history import History, averages, needs_history
from quantforge.calibration.methods import RangeMethod, RangeRule
from quantforge.calibration.notices import check_numbers, notices_of
from quantforge.calibration.runner import Calibration, available_processors
from quantforge.calibration.sketch import Sketch
from quantforge.diagnostics import CalibrationError
from quantforge.graph import Array, Graph


class LoopObserver:
    """Counts the values of a module as it runs.

    Args:
        graph: Whose values they are.
        rules: The rule of each value to count.
        samples: How many samples to keep, from the first on.
    """

    def __init__(self, graph: Graph, rules: Mapping[str, RangeRule], samples: int) -> None:
        self._graph = graph
        self._sketches = {name: Sketch() for name in rules}
        self._rules = {name: rule for name, rule in rules.items() if needs_history(rule)}
        self._histories = {name: History() for name in self._rules}
        self._wanted = samples
        self._batches = 0
        self._seen = 0
        self.kept: list[dict[str, Array]] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The values counted."""
        return tuple(self._sketches)

    def add(self, inputs: Mapping[str, torch.Tensor], observed: Mapping[str, torch.Tensor]) -> None:
        """Count one batch.

        Raises:
            CalibrationError: Q0203 on NaN or infinity, naming the operator that made it.
        """
        size = next((tensor.shape[0] for tensor in inputs.values() if tensor.ndim), 1)
        self._keep(inputs, size)
        arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in observed.items()}
        tasks = deque(sorted(arrays, key=lambda name: -arrays[name].size))
        workers = min(available_processors(), max(len(tasks), 1))
        with ThreadPoolExecutor(workers, "quantforge-count") as pool:
            for future in [pool.submit(self._drain, tasks, arrays) for _ in range(workers)]:
                future.result()
        check_numbers(self._sketches, self.names, self._batches, self._graph)
        self._batches += 1
        self._seen += size

    def calibration(self) -> Calibration:
        """What was found so far.

        Raises:
            CalibrationError: Q0201 when there was no batch.
        """
        if not self._batches:
            raise CalibrationError(
                "Q0201", "calibration data", "no batch", "at least one",
                "run quant_model on calibration data before export_quant_config()",
            )  # fmt: skip
        return Calibration(
            self._sketches, self._batches, self._seen, self._histories, self._rules,
            {}, notices_of(self._sketches, self._graph),
        )  # fmt: skip

    def _keep(self, inputs: Mapping[str, torch.Tensor], size: int) -> None:
        """Copies of the first samples; a batch is cut only when that leaves its inputs alike."""
        left = self._wanted - sum(_samples(feeds) for feeds in self.kept)
        if left <= 0 or (size > left and self.kept):
            return
        self.kept.append({name: np.array(tensor.detach().cpu().numpy()) for name, tensor in inputs.items()})

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


def _samples(feeds: Mapping[str, Array]) -> int:
    return next((array.shape[0] for array in feeds.values() if array.ndim), 1)
