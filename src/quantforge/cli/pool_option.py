"""The options that say where independent pieces of work run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from quantforge.distribution.pool import Pool

Command = TypeVar("Command", bound=Callable[..., Any])
NAMES = ("local", "processes", "ray")


def pool_options(verb: Command) -> Command:
    """Give a verb ``--executor`` and ``--workers``."""
    where = click.option(
        "--executor",
        type=click.Choice(NAMES),
        default="local",
        show_default=True,
        help="Where runs that do not depend on each other happen.",
    )
    workers = click.option(
        "--workers", type=click.IntRange(min=1), help="How many of them at a time; 2 processes if not given."
    )
    return where(workers(verb))


@contextmanager
def pool_named(name: str, workers: int | None) -> Iterator[Pool]:
    """The pool of that name, until the block ends.

    Raises:
        InputError: Q0529 when Ray cannot be used.
    """
    if name == "ray":
        from quantforge.distribution.ray_ import RayPool

        pool = RayPool(workers=workers)
        try:
            yield pool
        finally:
            pool.close()
    elif name == "processes":
        from quantforge.distribution.processes import ProcessPool

        yield ProcessPool(workers or 2)
    else:
        from quantforge.distribution.pool import LocalPool

        yield LocalPool()
