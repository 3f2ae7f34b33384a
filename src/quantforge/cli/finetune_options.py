"""The options that ask for fine-tuning on top of a recipe."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from quantforge.quantization.recipe import Recipe

Command = TypeVar("Command", bound=Callable[..., Any])
METHODS = ("adaquant", "adaround")


@dataclass(frozen=True)
class FineTuneOptions:
    """What was given on the command line; None is left to the recipe."""

    wanted: bool = False
    method: str | None = None
    samples: int | None = None
    mirror: bool = False

    def laid_over(self, recipe: Recipe) -> Recipe:
        """`recipe` with fine-tuning as asked for; a recipe that has it keeps what is not given."""
        from dataclasses import replace

        from quantforge.quantization.fine_tuning import FineTune, TuneMethod

        if not self.wanted:
            if self.method is not None or self.samples is not None or self.mirror:
                raise click.UsageError(
                    "--finetune-method, --finetune-samples and --finetune-mirror need --finetune"
                )
            return recipe
        chosen = recipe.finetune or FineTune()
        if self.method is not None:
            chosen = replace(chosen, method=TuneMethod(self.method))
        if self.samples is not None:
            chosen = replace(chosen, samples=self.samples)
        if self.mirror:
            chosen = replace(chosen, mirror=True)
        return replace(recipe, finetune=chosen)


OPTIONS = (
    click.option(
        "--finetune",
        "finetune",
        is_flag=True,
        help="Then tune weights and biases by the float model's outputs (torch).",
    ),
    click.option(
        "--finetune-method",
        type=click.Choice(METHODS),
        help="Any weight on its grid, or only rounded up or down.",
    ),
    click.option(
        "--finetune-samples", type=click.IntRange(min=1), help="Tune on the first N calibration samples."
    ),
    click.option("--finetune-mirror", is_flag=True, help="Images: tune on their mirror images as well."),
)


def finetune_options(verb: Command) -> Command:
    """Give a verb these options; it receives them as one argument, `tuning`."""

    @functools.wraps(verb)
    def with_tuning(
        finetune: bool,
        finetune_method: str | None,
        finetune_samples: int | None,
        finetune_mirror: bool,
        **given: Any,
    ) -> Any:
        options = FineTuneOptions(finetune, finetune_method, finetune_samples, finetune_mirror)
        return verb(tuning=options, **given)

    wrapped: Any = with_tuning
    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return cast("Command", wrapped)
