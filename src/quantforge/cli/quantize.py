"""``quantforge quantize MODEL``: quantize a model, write it, and print the report."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from quantforge.cli.data_options import DataOptions, data_options

FILE = click.Path(path_type=Path)


@click.command(short_help="Quantize a model and report what it costs.")
@click.argument("model", type=FILE)
@data_options
@click.option(
    "--recipe",
    default="dpu-cnn",
    show_default=True,
    help="dpu-cnn, npu-transformer, cpu-cnn, or a .toml file.",
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
    report: Path | None,
    dpus: tuple[str, ...],
    as_json: bool,
) -> None:
    """Quantize MODEL (.onnx) with the data of --data and write it to --output.

    Files appear only when they are complete. Progress goes to standard error, the report to standard output.
    """
    from quantforge.cli.apply import apply_remedies
    from quantforge.cli.report_folder import report_folder, write_reports
    from quantforge.files import check_writable
    from quantforge.frontends.onnx.forms import Form
    from quantforge.frontends.quantize import quantize as run
    from quantforge.quantization.recipe_file import load_recipe
    from quantforge.reporting import print_report, to_json
    from quantforge.targets.dpu import load_dpu

    if dpus and report is None:
        raise click.UsageError("--inspect needs --report")
    targets = [load_dpu(name) for name in dpus]
    chosen = load_recipe(recipe)
    if remedies is not None:
        chosen = apply_remedies(chosen, remedies)
    check_writable(output)
    with nullcontext() if report is None else report_folder(report) as folder:
        result = run(
            str(model),
            str(data.path),
            recipe=chosen,
            target=target,
            output=output,
            preprocessing=data.preprocessing(),
            samples=data.samples,
            batch_size=data.batch,
            sketches=sketches,
            form=Form(form),
        )
        page = None if folder is None else write_reports(result, folder, targets)
    if as_json:
        click.echo(to_json(result.report), nl=False)
        return
    print_report(result.report)
    click.echo(f"model: {output}")
    if page is not None:
        click.echo(f"report: {page}")
