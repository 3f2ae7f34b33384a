"""How fast a subgraph or a whole model runs in several threads, and whether it always gives the same outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from quantforge.debugging.names import output_file
from quantforge.debugging.stage import Array
from quantforge.diagnostics import InputError
from quantforge.files import write_atomic
from quantforge.runtime.fixed import fixed_of
from quantforge.runtime.graph_runner import GraphRunner
from quantforge.runtime.runner import Runner
from quantforge.xmodel.model import Tensor, XOp

TICKS = 10  # progress lines
Log = Callable[[str], None]
Open = Callable[[], Runner | GraphRunner]


@dataclass(frozen=True)
class BenchmarkSettings:
    """What the environment variables of the original benchmark say.

    Attributes:
        seconds: How long to run (SLEEP_MS / 1000).
        references: Different sets of inputs (NUM_OF_REF); 1 when SAME_INPUT is set.
        memcmp: Compare every output with the first run of the same input (ENABLE_MEMCMP).
        copy_input: Copy inputs before every job (COPY_INPUT).
        copy_output: Copy outputs behind every job (COPY_OUTPUT).
        shuffle: Take the inputs in random order (ENABLE_SHUFFLE).
        save_inputs: Write the inputs to files (SAVE_INPUT_TO_FILE).
        save_errors: Write outputs that differ to files (SAVE_ERROR_OUTPUT_TO_FILE).
    """

    seconds: float = 60.0
    references: int = 4
    memcmp: bool = False
    copy_input: bool = True
    copy_output: bool = True
    shuffle: bool = True
    save_inputs: bool = False
    save_errors: bool = False


@dataclass(frozen=True)
class BenchmarkResult:
    """Frames by thread, seconds in all, and outputs that were not those of the first run."""

    frames: tuple[int, ...]
    seconds: float
    errors: int

    @property
    def fps(self) -> float:
        """Frames per second over all threads."""
        return sum(self.frames) / self.seconds if self.seconds else 0.0


def benchmark_settings(environment: Mapping[str, str]) -> BenchmarkSettings:
    """The settings in environment variables.

    Raises:
        InputError: Q1313 for a variable that is no whole number, or too small.

    >>> benchmark_settings({"SLEEP_MS": "500"}).seconds
    0.5
    """

    def number(name: str, default: int, least: int = 0) -> int:
        text = environment.get(name, "") or str(default)
        if not text.lstrip("-").isdecimal() or int(text) < least:
            found, expected = f"{name}={text}", f"a whole number from {least}"
            raise InputError("Q1313", "benchmark", found, expected, f"set {name}={default}")
        return int(text)

    same = bool(number("SAME_INPUT", 0))
    return BenchmarkSettings(
        seconds=number("SLEEP_MS", 60000, 1) / 1000,
        references=1 if same else number("NUM_OF_REF", 4, 1),
        memcmp=bool(number("ENABLE_MEMCMP", 0)),
        copy_input=bool(number("COPY_INPUT", 1)),
        copy_output=bool(number("COPY_OUTPUT", 1)),
        shuffle=bool(number("ENABLE_SHUFFLE", 1)),
        save_inputs=bool(number("SAVE_INPUT_TO_FILE", 0)),
        save_errors=bool(number("SAVE_ERROR_OUTPUT_TO_FILE", 0)),
    )


class Benchmark:
    """Threads with a runner each, which take sets of inputs in turn until the time is over."""

    def __init__(self, open_runner: Open, settings: BenchmarkSettings, log: Log, seed: int = 0) -> None:
        """`open_runner` makes a thread's runner; `seed` is of the random inputs and their order."""
        self._open, self._settings, self._log = open_runner, settings, log
        self._random = np.random.default_rng(seed)
        self._errors = 0
        self._lock = Lock()

    def run(
        self, threads: int, inputs: Sequence[list[Array]] = (), outputs: Sequence[list[Array]] = ()
    ) -> BenchmarkResult:
        """Measure; raises what a job raises.

        Args:
            threads: How many.
            inputs: Sets of inputs; random ones when there are none.
            outputs: Outputs that they must give, for the comparison; those of the first run when there are none.
        """
        runners = [self._open() for _ in range(threads)]
        sets = list(inputs) or self._random_sets(runners[0].input_tensors())
        if self._settings.save_inputs:
            save(runners[0].input_tensors(), sets, "input")
        right = list(outputs) or (
            [runners[0].run(*arrays) for arrays in sets] if self._settings.memcmp else []
        )
        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            jobs = [
                pool.submit(self._work, runner, sets, right, start, n) for n, runner in enumerate(runners)
            ]
            self._tell_progress(start, jobs)
            frames = [job.result() for job in jobs]
        seconds = time.perf_counter() - start
        for runner in runners:
            runner.close()
        return BenchmarkResult(tuple(frames), seconds, self._errors)

    def _work(
        self,
        runner: Runner | GraphRunner,
        sets: Sequence[list[Array]],
        right: Sequence[list[Array]],
        start: float,
        number: int,
    ) -> int:
        """One thread; returns its frames."""
        order = self._order(len(sets), number)
        results = [np.asarray(buffer) for buffer in runner.output_buffers()]
        place = frames = 0
        while time.perf_counter() - start < self._settings.seconds:
            index = order[place % len(order)]
            place += 1
            given = sets[index]
            arrays = [array.copy() for array in given] if self._settings.copy_input else given
            runner.wait(runner.execute_async(arrays, results, True))
            own = [array.copy() for array in results] if self._settings.copy_output else results
            frames += len(given[0]) if given else 1
            if right and self._settings.memcmp:
                self._check(runner, own, right[index], index)
        return frames

    def _check(
        self, runner: Runner | GraphRunner, own: Sequence[Array], right: Sequence[Array], index: int
    ) -> None:
        if all(a.tobytes() == b.tobytes() for a, b in zip(own, right, strict=True)):
            return
        with self._lock:
            self._errors += 1
            if self._settings.save_errors:
                save(runner.output_tensors(), [list(own)], f"error_{index}")

    def _order(self, count: int, number: int) -> list[int]:
        if not self._settings.shuffle:
            return list(range(count))
        return [int(i) for i in np.random.default_rng(number).permutation(count)]

    def _random_sets(self, tensors: Sequence[Tensor]) -> list[list[Array]]:
        return [
            [random_tensor(tensor, self._random) for tensor in tensors]
            for _ in range(self._settings.references)
        ]

    def _tell_progress(self, start: float, jobs: Sequence[Future[int]]) -> None:
        """A line after each tenth of the time, until a thread fails."""
        for tick in range(1, TICKS + 1):
            until = start + self._settings.seconds * tick / TICKS
            wait(jobs, max(0.0, until - time.perf_counter()), FIRST_EXCEPTION)
            if any(job.done() and job.exception() for job in jobs):
                return
            self._log(f"{100 * tick // TICKS} %")


def random_tensor(tensor: Tensor, random: np.random.Generator) -> Array:
    """Integers over the whole range of a fixed-point tensor, normally distributed numbers otherwise."""
    dtype = tensor.dtype.numpy
    if tensor.dtype.fixed:
        fixed = fixed_of(XOp(tensor.name, "data-fix", tensor))
        return random.integers(fixed.low, fixed.high + 1, tensor.shape).astype(dtype)
    if tensor.dtype.letters == "FLOAT":
        return random.standard_normal(tensor.shape).astype(dtype)
    return random.integers(0, 2, tensor.shape).astype(dtype)


def save(tensors: Sequence[Tensor], sets: Sequence[Sequence[Array]], stem: str) -> None:
    """Sets of arrays as raw files ``<stem>.<set>.<tensor>.bin`` in the current folder."""
    for number, arrays in enumerate(sets):
        for tensor, array in zip(tensors, arrays, strict=True):
            write_atomic(
                Path(f"{stem}.{output_file(tensor.name, number)}"), np.ascontiguousarray(array).tobytes()
            )
