"""`quantforge.climb`: try recipes from the plainest to the most accurate until one meets a goal.

The steps are those of `quantization.ladder`. Every rung quantizes the model on one part of the data and judges it on
the rest. The first rung that meets the goal is written; if none does, the one that comes nearest. Its recipe is
complete: `quantize` with the same model, data and recipe makes the same model.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantforge.diagnostics import Diagnostic, InputError
from quantforge.distribution.pool import LocalPool, Pool
from quantforge.files import check_writable, write_atomic
from quantforge.frontends.climber import Climber, RungListener
from quantforge.frontends.compare import LabelSource, read_labels
from quantforge.frontends.ladder_state import LadderState
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.onnx.import_ import import_model
from quantforge.frontends.quantize import Result, quantize
from quantforge.frontends.rungs import Trial, from_the_start, sketches_for
from quantforge.graph import Graph
from quantforge.quantization.fit import check_fit
from quantforge.quantization.goal import Goal
from quantforge.quantization.ladder import HOLD_OUT
from quantforge.quantization.ladder_report import LadderReport
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.recipe_file import load_recipe, recipe_text
from quantforge.targets import load_target

if TYPE_CHECKING:
    from quantforge.calibration.preprocessing import Preprocessing


@dataclass(frozen=True)
class Climb:
    """What `climb` returns: the model of the rung that was taken, its recipe, and all rungs."""

    result: Result
    recipe: Recipe
    ladder: LadderReport

    @property
    def met(self) -> bool:
        """Whether the goal was met."""
        return self.ladder.met


def climb(
    model: Any,
    data: Any,
    *,
    max_drop: float | None = None,
    min_sqnr: float | None = None,
    recipe: str | Path | Recipe = "dpu-cnn",
    target: str | None = None,
    labels: LabelSource | None = None,
    output: str | Path | None = None,
    hold_out: int = HOLD_OUT,
    preprocessing: str | Path | Preprocessing | None = None,
    samples: int | None = None,
    batch_size: int | None = None,
    threads: int | None = None,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    form: Form = Form.QDQ,
    pool: Pool | None = None,
    listener: RungListener | None = None,
) -> Climb:
    """Quantize a model as plainly as its goal allows.

    With an `output` the folder ``<output stem>.ladder`` beside it holds the finished rungs (``state.json``), so that
    an interrupted call goes on where it was, and the recipe is written to ``<output stem>.recipe.toml``.

    Args:
        model: As in `quantize`.
        data: As in `quantize`; it is read several times.
        max_drop: Points of top-1 that may be lost: of accuracy where `labels` are given, else of agreement with the
            float model.
        min_sqnr: The least SQNR of every output, in decibels.
        recipe: Formats, placement and overrides of every rung; the ladder chooses the rest.
        target: As in `quantize`.
        labels: True class of each sample, in the order of the data: integers, or the path of an .npy file.
        output: Where to write the model.
        hold_out: Every so many samples one is held out for judging.
        preprocessing: As in `quantize`.
        samples: Use at most so many samples.
        batch_size: Samples per batch.
        threads: Threads of ONNX Runtime.
        providers: Execution providers of ONNX Runtime.
        form: As in `quantize`.
        pool: Where sensitivity runs and rungs happen; this process by default.
        listener: Called with every rung.

    Raises:
        QuantforgeError: With a code, see ``quantforge explain``.
    """
    goal, asked = Goal(max_drop, min_sqnr), load_recipe(recipe)
    if output is not None:
        check_writable(output)
    if target is not None:
        check_fit(asked, load_target(target))
    folder = None if output is None else _state_folder(Path(output))
    graph = model if isinstance(model, Graph) else import_model(model)
    classes = None if labels is None else read_labels(labels)
    settings = (_loaded(preprocessing), samples, batch_size, threads, tuple(providers))
    trial = Trial(graph, data, hold_out, classes, folder, *settings)
    state = LadderState.opened(None if folder is None else folder / "state.json", trial.key())
    climber = Climber(trial, goal, asked, state, pool or LocalPool(), listener)
    chosen = climber.climb()
    report = climber.report(chosen)
    found = chosen.plan.recipe
    result = _with_ladder(_quantized(model, trial, found, target, output, form), report)
    if output is not None:
        write_atomic(recipe_path(output), recipe_text(found))
        _remove_sketches(folder)
    return Climb(result, found, report)


def recipe_path(output: str | Path) -> Path:
    """Where the recipe of a climb is written."""
    return Path(output).with_suffix(".recipe.toml")


def _quantized(
    model: Any, trial: Trial, recipe: Recipe, target: str | None, output: str | Path | None, form: Form
) -> Result:
    return quantize(
        model,
        from_the_start(trial.data),
        recipe=recipe,
        target=target,
        output=output,
        preprocessing=trial.preprocessing,
        samples=trial.samples,
        batch_size=trial.batch_size,
        sketches=sketches_for(trial.folder, recipe),
        threads=trial.threads,
        providers=trial.providers,
        form=form,
    )


def _with_ladder(result: Result, ladder: LadderReport) -> Result:
    notices = result.report.notices if ladder.met else (*result.report.notices, not_met(ladder))
    return dataclasses.replace(
        result, report=dataclasses.replace(result.report, ladder=ladder, notices=notices)
    )


def not_met(ladder: LadderReport) -> Diagnostic:
    """What a report says of a goal that no rung meets."""
    nearest = next(rung.figures for rung in ladder.rungs if rung.name == ladder.chosen)
    lost = "" if nearest is None or nearest.drop is None else f", {nearest.drop:g} points of top-1 lost"
    found = f"{ladder.chosen}: SQNR {math.inf if nearest is None else nearest.sqnr_db:.1f} dB{lost}"
    return Diagnostic("Q0528", "ladder", found, ladder.goal, "another recipe, other data, or a lower goal")


def _state_folder(output: Path) -> Path:
    folder = output.with_suffix(".ladder")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        found, expected = error.strerror or str(error), "a folder for the state of the ladder"
        raise InputError("Q0601", str(folder), found, expected, "choose another output path") from error
    return folder


def _remove_sketches(folder: Path | None) -> None:
    """Statistics are of no use once the climb is over; the figures stay."""
    for path in () if folder is None else folder.glob("sketches-*.npz"):
        path.unlink(missing_ok=True)


def _loaded(given: str | Path | Preprocessing | None) -> Preprocessing | None:
    if not isinstance(given, str | Path):
        return given
    from quantforge.calibration.preprocessing import load_preprocessing  # pydantic takes a while to import

    return load_preprocessing(given)
