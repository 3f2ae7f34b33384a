"""``quantforge compare FLOAT QUANT``: run both models over the same data and print how they differ."""

from __future__ import annotations

from pathlib import Path

import click

from quantforge.cli.data_options import DataOptions, data_options

FILE = click.Path(path_type=Path)


@click.command(short_help="Compare a quantized model with its float original.")
@click.argument("float_model", metavar="FLOAT", type=FILE)
@click.argument("quantized_model", metavar="QUANT", type=FILE)
@data_options
@click.option(
    "--labels", type=FILE, help="File .npy of the true class of each sample, in the order of the data."
)
@click.option("--full", is_flag=True, help="List every value, not only those that differ most.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def compare(
    float_model: Path,
    quantized_model: Path,
    data: DataOptions,
    labels: Path | None,
    full: bool,
    as_json: bool,
) -> None:
    """Run the float model FLOAT and the quantized model QUANT (.onnx) over the data of --data.

    Prints, for every value that both have, signal over quantization noise, the largest error and the cosine; for
    a classifier how often both give the same answer and, with --labels, how often the right one; and the first
    value that is far worse than what it is computed from.
    """
    from quantforge.frontends.compare import compare as run
    from quantforge.reporting import print_comparison, to_json

    comparison = run(
        str(float_model),
        str(quantized_model),
        str(data.path),
        preprocessing=data.preprocessing(),
        samples=data.samples,
        batch_size=data.batch,
        labels=labels,
    )
    if as_json:
        click.echo(to_json(comparison), nl=False)
    else:
        print_comparison(comparison, full=full)
