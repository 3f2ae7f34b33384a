"""Work on a Ray cluster: the one that is running, or one of this machine's processors that is started for it.

What is shared is put into Ray's object store once. Ray runs a task again whose worker has died.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from quantforge.diagnostics import InputError
from quantforge.distribution.processes import RETRIES, workers_died

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class RayPool:
    """Runs items as Ray tasks.

    Args:
        address: Of a cluster ("auto" finds the one that this machine belongs to); None starts one on this machine.
            Where the process is connected already, that cluster is used.
        workers: Items side by side; by default as many as the cluster has processors.

    Raises:
        InputError: Q0529 when ray is not installed or the cluster cannot be reached.
    """

    in_process = False

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        self._ray, self._started = _connected(address, workers)
        self.width = workers or max(int(self._ray.cluster_resources().get("CPU", 1)), 1)

    def map(
        self, function: Callable[[Shared, Item], Answer], shared: Shared, items: Sequence[Item]
    ) -> list[Answer]:
        """See `Pool.map`.

        Raises:
            UnsupportedError: Q0529 when workers end again and again.
        """
        ray = self._ray
        task = ray.remote(max_retries=RETRIES, num_cpus=1)(_done)
        kept = ray.put((function, shared))
        references = [task.remote(kept, item) for item in items]
        try:
            answers: list[Answer] = ray.get(references)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
            raise workers_died(f"{len(items)} pieces of work", RETRIES + 1) from error
        return answers

    def close(self) -> None:
        """Leave a cluster that was joined here; one that was started here ends."""
        if self._started:
            self._ray.shutdown()


def _done(kept: tuple[Callable[..., Any], Any], item: Any) -> Any:
    function, shared = kept
    return function(shared, item)


def _connected(address: str | None, workers: int | None) -> tuple[Any, bool]:
    """The package, and whether this call connected the process."""
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "Q0529", "executor ray", "no package ray", "ray", "pip install quantforge[ray]"
        ) from error
    if ray.is_initialized():
        return ray, False
    own = {} if address is not None else {"num_cpus": workers, "include_dashboard": False}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **own)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            "Q0529", f"executor ray at {address}", str(error), "a running cluster", "ray start --head"
        ) from error
    return ray, True
