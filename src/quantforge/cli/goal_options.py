"""The options of ``quantforge quantize`` that name a goal, and the climb that they start."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from quantforge.cli.pool_option import pool_named, pool_options

if TYPE_CHECKING:
    from quantforge.frontends.climb import Climb

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class GoalOptions:
    """A goal, how the rungs are judged, and where the work is done, also without a goal."""

    max_drop: float | None = None
    min_sqnr: float | None = None
    labels: Path | None = None
    hold_out: int | None = None
    executor: str = "local"
    workers: int | None = None
    cluster: str | None = None

    @property
    def given(self) -> bool:
        """Whether there is a goal.

        Raises:
            UsageError: When there is none and an option speaks of one.
        """
        if self.max_drop is not None or self.min_sqnr is not None:
            return True
        if self.labels is not None or self.hold_out is not None:
            raise click.UsageError("--labels and --hold-out go with --max-drop or --min-sqnr")
        return False

    def climb(self, model: str, data: str, **settings: Any) -> Climb:
        """Run `quantforge.climb`, which tells of each rung on standard error."""
        from quantforge.frontends.climb import climb
        from quantforge.quantization.ladder import HOLD_OUT
        from quantforge.reporting.ladder import rung_line

        with pool_named(self.executor, self.workers, self.cluster) as pool:
            return climb(
                model,
                data,
                max_drop=self.max_drop,
                min_sqnr=self.min_sqnr,
                labels=self.labels,
                hold_out=self.hold_out or HOLD_OUT,
                pool=pool,
                listener=lambda rung: click.echo(rung_line(rung), err=True),
                **settings,
            )


OPTIONS = (
    click.option(
        "--max-drop",
        type=click.FloatRange(min=0),
        metavar="POINTS",
        help="Climb recipes until at most so many points of top-1 are lost: 0.5 is half a percent.",
    ),
    click.option(
        "--min-sqnr", type=float, metavar="DB", help="Climb recipes until every output has this SQNR."
    ),
    click.option(
        "--labels",
        type=click.Path(path_type=Path),
        help="With --max-drop: .npy of the true class of each sample of --data; agreement counts without.",
    ),
    click.option(
        "--hold-out",
        type=click.IntRange(min=2),
        metavar="N",
        help="With a goal: judge on every N-th sample, calibrate on the rest; 4 if not given.",
    ),
    pool_options,
)


def goal_options(verb: Command) -> Command:
    """Give a verb the options of `GoalOptions`; it receives them as one argument, `goal`."""

    @functools.wraps(verb)
    def with_goal(**given: Any) -> Any:
        names = [field.name for field in fields(GoalOptions)]
        return verb(goal=GoalOptions(**{name: given.pop(name) for name in names}), **given)

    wrapped: Any = with_goal
    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]
