"""``quantforge run MODEL.xmodel``: run a compiled model over data, dump its tensors, or replay its vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantforge.cli.data_options import DataOptions, optional_data_options

if TYPE_CHECKING:
    from quantforge.debugging.model_run import ModelRun
    from quantforge.debugging.vectors import SelftestResult

FILE = click.Path(path_type=Path)


@click.command(short_help="Run a compiled model.")
@click.argument("model", metavar="MODEL", type=FILE)
@optional_data_options
@click.option(
    "--engine", type=click.Choice(["run", "ref"]), default="run", show_default=True,
    help="The fast engine, or the reference engine.",
)  # fmt: skip
@click.option("--dump", type=FILE, metavar="DIR", help="Write every tensor of every sample to this folder.")
@click.option(
    "--selftest", is_flag=True, help="Replay the test vectors in the model; exit code 1 if they differ."
)
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Classes to print.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def run(
    model: Path, data: DataOptions, engine: str, dump: Path | None, selftest: bool, top: int, as_json: bool
) -> int:
    """Run the compiled model MODEL (.xmodel) over the data of --data and say what comes out.

    Images become inputs as the model records (`quantforge_preprocessing`), unless options say otherwise.
    """
    if not selftest and data.path is None:
        raise click.UsageError("give --data, or --selftest to use the vectors in the model")
    from quantforge.xmodel.read import read_xmodel

    compiled = read_xmodel(model)
    if selftest:
        from quantforge.debugging.vectors import selftest as replay

        return _print_selftest(replay(compiled, engine), as_json)
    from quantforge.debugging.model_run import run_model

    _print_run(run_model(compiled, data.choice(), engine, dump, top), as_json)
    return 0


def _print_selftest(found: SelftestResult, as_json: bool) -> int:
    if as_json:
        import dataclasses
        import json

        click.echo(json.dumps({"equal": found.equal, **dataclasses.asdict(found)}, indent=1))
    elif found.first is None:
        click.echo(f"equal: {found.outputs} outputs of {found.samples} samples")
    else:
        from quantforge.reporting.stages import element_words

        words = element_words(found.first, ("the model's vectors", "this run"))
        click.echo(f"different: {found.different} elements of output {found.tensor}; {words}")
    return 0 if found.equal else 1


def _print_run(found: ModelRun, as_json: bool) -> None:
    if as_json:
        import dataclasses
        import json

        click.echo(json.dumps(dataclasses.asdict(found), indent=1))
        return
    click.echo(f"{found.samples} samples, {found.ms_per_sample:.3f} ms per sample ({found.engine})")
    for output in found.outputs:
        shape = "x".join(map(str, output.shape))
        click.echo(f"{output.name}: {shape}, {output.low:.6g} to {output.high:.6g}, mean {output.mean:.6g}")
        for sample, classes in enumerate(output.classes):
            listed = ", ".join(f"{rank.index} ({rank.score:.6g})" for rank in classes)
            click.echo(f"  sample {sample}: {listed}")
        if output.classes and found.samples > len(output.classes):
            click.echo(f"  and {found.samples - len(output.classes)} samples more")
