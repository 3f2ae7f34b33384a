"""Work in processes of this machine.

Processes start with the first piece of work and stay for what follows. What is shared waits in a temporary file,
which each of them reads once. When one is killed, the work that was not finished is handed to new ones; a piece of
work that ends its process again and again is given up with an error.
"""

from __future__ import annotations

import multiprocessing
import pickle
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from quantforge.diagnostics import UnsupportedError

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Answer = TypeVar("Answer")

RETRIES = 3  # times that the processes may break down while at the same work
_work: dict[str, Any] = {}  # in a worker: the function and what is shared, by the file they came from


class ProcessPool:
    """Runs `workers` items side by side; to be closed behind."""

    in_process = False

    def __init__(self, workers: int = 2) -> None:
        self.width = workers
        self._pool: ProcessPoolExecutor | None = None

    def map(
        self, function: Callable[[Shared, Item], Answer], shared: Shared, items: Sequence[Item]
    ) -> list[Answer]:
        """See `Pool.map`.

        Raises:
            UnsupportedError: Q0529 when workers end again and again.
        """
        answers: dict[int, Answer] = {}
        failures = 0
        with tempfile.TemporaryDirectory(prefix="quantforge-") as folder:
            path = Path(folder) / "work"
            if items:
                path.write_bytes(pickle.dumps((function, shared), pickle.HIGHEST_PROTOCOL))
            while len(answers) < len(items):
                before = len(answers)
                if not self._attempt(str(path), items, answers):
                    failures = failures + 1 if len(answers) == before else 1
                    if failures > RETRIES:
                        left = f"{len(items) - len(answers)} of {len(items)} pieces of work"
                        raise workers_died(left, failures)
        return [answers[number] for number in range(len(items))]

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _attempt(self, path: str, items: Sequence[Item], answers: dict[int, Answer]) -> bool:
        """Add the missing answers; False when a worker died before all were there."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.width, multiprocessing.get_context("spawn"))
        futures: dict[int, Future[Answer]] = {}
        try:
            for number in range(len(items)):
                if number not in answers:
                    futures[number] = self._pool.submit(_done, path, items[number])
            for number, future in futures.items():
                answers[number] = future.result()
        except BrokenProcessPool:
            for number, future in futures.items():
                if future.done() and not future.cancelled() and future.exception() is None:
                    answers[number] = future.result()
            self.close()
            return False
        except BaseException:
            for future in futures.values():
                future.cancel()
            raise
        return True


def workers_died(where: str, times: int) -> UnsupportedError:
    """The error for workers that do not live long enough."""
    found = f"workers that ended {times} times without an answer"
    return UnsupportedError(
        "Q0529",
        where,
        found,
        "an answer",
        "use fewer workers, or the local executor, which needs less memory",
    )


def _done(path: str, item: Any) -> Any:
    if path not in _work:
        _work.clear()
        _work[path] = pickle.loads(Path(path).read_bytes())
    function, shared = _work[path]
    return function(shared, item)
