"""The options that say where independent pieces of work run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from quantforge.distribution.pool import Pool
    from quantforge.distribution.processes import ProcessPool
    from quantforge.distribution.ray_ import RayPool

Command = TypeVar("Command", bound=Callable[..., Any])
NAMES = ("local", "processes", "ray")


def pool_options(verb: Command) -> Command:
    """Give a verb ``--executor``, ``--workers`` and ``--cluster``."""
    where = click.option(
        "--executor",
        type=click.Choice(NAMES),
        default="local",
        show_default=True,
        help="Where calibration, rungs and runs of single layers happen.",
    )
    workers = click.option(
        "--workers", type=click.IntRange(min=1), help="How many of them at a time; 2 processes if not given."
    )
    cluster = click.option(
        "--cluster",
        metavar="ADDRESS",
        help="With --executor ray: the cluster to join, such as auto; one is started here if not given.",
    )
    return where(workers(cluster(verb)))


@contextmanager
def pool_named(name: str, workers: int | None, cluster: str | None = None) -> Iterator[Pool]:
    """The pool of that name, until the block ends.

    Raises:
        UsageError: For a cluster of another executor than ray.
        InputError: Q0529 when Ray cannot be used.
    """
    if cluster is not None and name != "ray":
        raise click.UsageError("--cluster goes with --executor ray")
    if name == "local":
        from quantforge.distribution.pool import LocalPool

        yield LocalPool()
        return
    pool = _started(name, workers, cluster)
    try:
        yield pool
    finally:
        pool.close()


def _started(name: str, workers: int | None, cluster: str | None) -> ProcessPool | RayPool:
    if name == "ray":
        from quantforge.distribution.ray_ import RayPool

        return RayPool(cluster, workers)
    from quantforge.distribution.processes import ProcessPool

    return ProcessPool(workers or 2)
