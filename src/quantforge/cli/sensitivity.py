"""``quantforge sensitivity MODEL``: the layers of a model by what each costs when it is quantized."""

from __future__ import annotations

from pathlib import Path

import click

from quantforge.cli.data_options import DataOptions, data_options
from quantforge.cli.pool_option import pool_named, pool_options


@click.command(short_help="Rank the layers by what quantizing each costs.")
@click.argument("model", type=click.Path(path_type=Path))
@data_options
@click.option("--recipe", default="dpu-cnn", show_default=True, help="A built-in recipe, or a .toml file.")
@click.option(
    "--confirm",
    type=click.IntRange(min=1),
    metavar="N",
    help="Run only the N layers that add most alone, and estimate the rest: quicker, and rougher.",
)
@pool_options
@click.option("--full", is_flag=True, help="List every layer, not only the worst.")
@click.option("--json", "as_json", is_flag=True, help="Print the ranking as JSON.")
def sensitivity(
    model: Path,
    data: DataOptions,
    recipe: str,
    confirm: int | None,
    executor: str,
    workers: int | None,
    cluster: str | None,
    full: bool,
    as_json: bool,
) -> None:
    """Rank the layers of MODEL (.onnx) by the error at its outputs when one alone is quantized.

    A layer is an operator with the activations fused into it. Columns: its share of all layers' noise at the outputs,
    the SQNR of the outputs, and that of the layer's own output.
    """
    from quantforge.frontends.sensitivity import sensitivity as run
    from quantforge.reporting import to_json
    from quantforge.reporting.ladder import print_sensitivity

    with pool_named(executor, workers, cluster) as pool:
        found = run(
            str(model),
            str(data.path),
            recipe=recipe,
            confirm=confirm,
            preprocessing=data.preprocessing(),
            samples=data.samples,
            batch_size=data.batch,
            pool=pool,
        )
    if as_json:
        click.echo(to_json(found), nl=False)
    else:
        print_sensitivity(found, full=full)
