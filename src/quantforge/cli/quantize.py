"""``quantforge quantize MODEL``: quantize a model, write it, and print the report."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantforge.cli.data_options import DataOptions, data_options
from quantforge.cli.finetune_options import FineTuneOptions, finetune_options
from quantforge.cli.goal_options import GoalOptions, goal_options
from quantforge.cli.pool_option import pool_named

if TYPE_CHECKING:
    from quantforge.quantization.report import QuantizationReport

FILE = click.Path(path_type=Path)


@click.command(short_help="Quantize a model and report what it costs.")
@click.argument("model", type=FILE)
@data_options
@click.option(
    "--recipe",
    default="dpu-cnn",
    show_default=True,
    help="dpu-cnn, npu-transformer, cpu-cnn, cpu-transformer, or a .toml file.",
)
@click.option("--target", help="Device the model is for; the recipe must fit it.")
@click.option("-o", "--output", type=FILE, required=True, help="The quantized model to write.")
@click.option(
    "--sketches", type=FILE, help="Use the calibration statistics of this file; if missing, write them to it."
)
@click.option(
    "--apply",
    "remedies",
    type=FILE,
    help="Add the remedies of an earlier report.json, or lines of a .toml file.",
)
@click.option(
    "--form", type=click.Choice(["qdq", "qoperator", "vitis", "contrib", "fix-neuron"]), default="qdq",
    show_default=True, help="Operators that stand for the quantization.",
)  # fmt: skip
@finetune_options
@goal_options
@click.option("--report", type=FILE, help="Folder for report.html, report.json and plan.json.")
@click.option(
    "--inspect", "dpus", multiple=True, metavar="DPU", help="With --report: also say what runs on this DPU."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def quantize(
    model: Path,
    data: DataOptions,
    recipe: str,
    target: str | None,
    output: Path,
    sketches: Path | None,
    remedies: Path | None,
    form: str,
    tuning: FineTuneOptions,
    goal: GoalOptions,
    report: Path | None,
    dpus: tuple[str, ...],
    as_json: bool,
) -> int:
    """Quantize MODEL (.onnx) with the data of --data and write it to --output.

    Files appear only when they are complete. Progress goes to standard error, the report to standard output.

    With --max-drop or --min-sqnr recipes are tried from the plainest to the most accurate, up to layers of 16 bits
    and in float, until one meets the goal on samples held out. Its recipe is written beside the model. The exit code
    is 1 when none does; the nearest is written then. Run again, an interrupted climb goes on where it was.
    """
    from quantforge.cli.apply import apply_remedies
    from quantforge.cli.report_folder import report_folder, write_reports
    from quantforge.files import check_writable
    from quantforge.frontends.onnx.forms import Form
    from quantforge.frontends.quantize import quantize as run
    from quantforge.quantization.recipe_file import load_recipe
    from quantforge.targets.dpu import load_dpu

    if goal.given and sketches is not None:
        raise click.UsageError("--sketches goes without a goal: a climb keeps statistics of its own")
    if dpus and report is None:
        raise click.UsageError("--inspect needs --report")
    targets = [load_dpu(name) for name in dpus]
    chosen = load_recipe(recipe)
    if remedies is not None:
        chosen = apply_remedies(chosen, remedies)
    chosen = tuning.laid_over(chosen)
    check_writable(output)
    with nullcontext() if report is None else report_folder(report) as folder:
        settings: dict[str, Any] = {
            "recipe": chosen,
            "target": target,
            "output": output,
            "preprocessing": data.preprocessing(),
            "samples": data.samples,
            "batch_size": data.batch,
            "form": Form(form),
        }
        if goal.given:
            result = goal.climb(str(model), str(data.path), **settings).result
        else:
            with pool_named(goal.executor, goal.workers, goal.cluster) as pool:
                result = run(str(model), str(data.path), sketches=sketches, pool=pool, **settings)
        page = None if folder is None else write_reports(result, folder, targets)
    _show(result.report, output, page, as_json)
    return 0 if result.report.ladder is None or result.report.ladder.met else 1


def _show(report: QuantizationReport, output: Path, page: Path | None, as_json: bool) -> None:
    from quantforge.reporting import print_report, to_json

    if as_json:
        click.echo(to_json(report), nl=False)
        return
    print_report(report)
    click.echo(f"model: {output}")
    if report.ladder is not None:
        from quantforge.frontends.climb import recipe_path

        click.echo(f"recipe: {recipe_path(output)}")
    if page is not None:
        click.echo(f"report: {page}")
