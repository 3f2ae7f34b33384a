"""``quantforge compare A B``: a float and a quantized model side by side, or any two stages tensor by tensor."""

from __future__ import annotations

from pathlib import Path

import click

from quantforge.cli.data_options import DataOptions, optional_data_options

FILE = click.Path(path_type=Path)


@click.command(short_help="Compare two stages of a model.")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@optional_data_options
@click.option(
    "--labels", type=FILE, help="File .npy of the true class of each sample, in the order of the data."
)
@click.option("--exact", is_flag=True, help="Two ONNX models: element by element, as for the other stages.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-5,
    show_default=True,
    help="Element by element: difference of real numbers that counts as equal, as a share of the largest.",
)
@click.option("--no-explain", is_flag=True, help="Element by element: do not look at each operator alone.")
@click.option("--full", is_flag=True, help="List every value, not only those that differ most.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def compare(
    first: str,
    second: str,
    data: DataOptions,
    labels: Path | None,
    exact: bool,
    tolerance: float,
    no_explain: bool,
    full: bool,
    as_json: bool,
) -> int:
    """Compare two stages of a model over the data of --data.

    A and B are a float and a quantized model (.onnx): prints, for every value that both have, signal over
    quantization noise, the largest error and the cosine; for a classifier how often both give the same answer and,
    with --labels, how often the right one; and the first value that is far worse than what it is computed from.

    Or one of them is a compiled model (net.xmodel, or net.xmodel@ref on the reference engine) or a folder of
    dumped tensors: walks in topological order and names the first tensor and element that differ. Integers are
    compared exactly. Each operator of an xmodel is also given the other stage's numbers, and what it does alone is
    explained: ties, sums beyond float32, unexplained. The exit code is 1 when anything differs.
    """
    if exact or not (_is_model(first) and _is_model(second)):
        if labels is not None:
            raise click.UsageError("--labels goes with two ONNX models, without --exact")
        return _walk(first, second, data, tolerance, not no_explain, full, as_json)
    if data.path is None:
        raise click.UsageError("Missing option '--data'.")
    _side_by_side(first, second, data, labels, full, as_json)
    return 0


def _side_by_side(
    first: str, second: str, data: DataOptions, labels: Path | None, full: bool, as_json: bool
) -> None:
    from quantforge.frontends.compare import compare as run
    from quantforge.reporting import print_comparison, to_json

    comparison = run(
        first,
        second,
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


def _walk(
    first: str, second: str, data: DataOptions, tolerance: float, explain: bool, full: bool, as_json: bool
) -> int:
    from quantforge.debugging.sources import compare_sources
    from quantforge.reporting.stages import print_stages, stages_json

    comparison = compare_sources(
        first, second, data.choice(), samples=data.samples, relative=tolerance, explain=explain
    )
    if as_json:
        click.echo(stages_json(comparison), nl=False)
    else:
        print_stages(comparison, full=full)
    return 0 if comparison.equal else 1


def _is_model(name: str) -> bool:
    """Whether a word names neither an xmodel nor a folder."""
    return ".xmodel" not in name and not Path(name).is_dir()
