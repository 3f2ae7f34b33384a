"""Jobs: work given away at once and waited for later."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from itertools import count
from threading import Lock

from quantforge.diagnostics import InputError

RUNNING = 1  # status of a job that `wait` gave up on


class Jobs:
    """A pool of threads and the jobs that nobody has waited for yet."""

    def __init__(self, name: str, workers: int) -> None:
        self._name = name
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=f"quantforge-{name}")
        self._open: dict[int, Future[None]] = {}
        self._numbers = count(1)
        self._lock = Lock()

    def start(self, work: Callable[[], None]) -> int:
        """Queue `work`; returns the number of the job.

        Raises:
            InputError: Q1215 after `close`.
        """
        with self._lock:
            try:
                future = self._pool.submit(work)
            except RuntimeError as error:
                fix = "create another runner, or close it later"
                raise InputError(
                    "Q1215", self._name, "a job for a closed runner", "an open one", fix
                ) from error
            number = next(self._numbers)
            self._open[number] = future
            return number

    def wait(self, number: int, timeout_ms: int | None = None) -> int:
        """Status 0 when job `number` has ended, 1 when it has not within the time; a negative number is any job.

        What the job raised is raised here. None or a negative time waits without limit, 0 looks once.

        Raises:
            InputError: Q1209 for a job that is not open.
        """
        with self._lock:
            number = next(iter(self._open), 0) if number < 0 else number
            future = self._open.get(number)
        if future is None:
            fix = "wait once for each result of execute_async, on the same runner"
            raise InputError("Q1209", self._name, f"job {number}", "a job that nobody waited for", fix)
        seconds = None if timeout_ms is None or timeout_ms < 0 else timeout_ms / 1000
        try:
            future.exception(seconds)
        except LateError:
            return RUNNING
        with self._lock:
            self._open.pop(number, None)
        future.result()
        return 0

    def close(self) -> None:
        """Finish what is queued and stop the threads."""
        self._pool.shutdown()
