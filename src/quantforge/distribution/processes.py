"""Work in processes of this machine.

Each process gets what is shared once, when it starts. When one is killed, the work that was not finished is handed to
new ones; a piece of work that ends its process again and again is given up with an error.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from quantforge.diagnostics import UnsupportedError

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Answer = TypeVar("Answer")

RETRIES = 3  # times that the processes may break down while at the same work
_work: list[Any] = []  # in a worker: the function and what is shared


class ProcessPool:
    """Runs `workers` items side by side."""

    in_process = False

    def __init__(self, workers: int = 2) -> None:
        self.width = workers

    def map(
        self, function: Callable[[Shared, Item], Answer], shared: Shared, items: Sequence[Item]
    ) -> list[Answer]:
        """See `Pool.map`.

        Raises:
            UnsupportedError: Q0529 when workers end again and again.
        """
        answers: dict[int, Answer] = {}
        failures = 0
        while len(answers) < len(items):
            before = len(answers)
            if not self._attempt(function, shared, items, answers):
                failures = failures + 1 if len(answers) == before else 1
                if failures > RETRIES:
                    raise workers_died(
                        f"{len(items) - len(answers)} of {len(items)} pieces of work", failures
                    )
        return [answers[number] for number in range(len(items))]

    def _attempt(
        self,
        function: Callable[[Shared, Item], Answer],
        shared: Shared,
        items: Sequence[Item],
        answers: dict[int, Answer],
    ) -> bool:
        """Add the missing answers; False when a worker died before all were there."""
        spawn = multiprocessing.get_context("spawn")
        missing = [number for number in range(len(items)) if number not in answers]
        with ProcessPoolExecutor(min(self.width, len(missing)), spawn, _keep, (function, shared)) as pool:
            futures: dict[int, Future[Answer]] = {}
            try:
                for number in missing:
                    futures[number] = pool.submit(_done, items[number])
                for number, future in futures.items():
                    answers[number] = future.result()
            except BrokenProcessPool:
                for number, future in futures.items():
                    if future.done() and not future.cancelled() and future.exception() is None:
                        answers[number] = future.result()
                return False
            except BaseException:
                pool.shutdown(cancel_futures=True)
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


def _keep(function: Callable[..., Any], shared: Any) -> None:
    _work[:] = [function, shared]


def _done(item: Any) -> Any:
    function, shared = _work
    return function(shared, item)
