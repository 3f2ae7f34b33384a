"""``quantforge convert NAME MODEL``: one model file to another, such as QDQ to operators on integers."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(path_type=Path)
FIXED = "dynamic-to-fixed"


@click.command(short_help="Convert a model file to another form.")
@click.argument("name", required=False)
@click.argument("model", type=FILE, required=False)
@click.option("-o", "--output", type=FILE, help="The file to write.")
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="INPUT=1,3,224,224",
    help=f"For {FIXED}: the shape of an input.",
)
def convert(name: str | None, model: Path | None, output: Path | None, shapes: tuple[str, ...]) -> None:
    """Convert MODEL by NAME; without NAME, list the conversions."""
    from quantforge.frontends.onnx.conversions import CONVERSIONS
    from quantforge.frontends.onnx.conversions import convert as run

    summaries = {known: conversion.summary for known, conversion in CONVERSIONS.items()}
    summaries[FIXED] = "Open sizes of a model to fixed ones, by --shape."
    if name is None:
        for known, summary in summaries.items():
            click.echo(f"{known:18} {summary}")
        return
    if name not in summaries:
        raise click.UsageError(f"no conversion {name!r}; `quantforge convert` lists them")
    if model is None or output is None:
        raise click.UsageError(f"quantforge convert {name} MODEL -o OUTPUT")
    if (name == FIXED) != bool(shapes):
        raise click.UsageError(f"--shape belongs to {FIXED}, which needs it")
    if name == FIXED:
        _fix(model, output, dict(_shape(text) for text in shapes))
    else:
        run(name, model, output)
    click.echo(f"model: {output}")


def _fix(model: Path, output: Path, shapes: dict[str, list[int]]) -> None:
    from quantforge.frontends.onnx.fixed_shapes import fix_file

    fix_file(model, output, shapes)


def _shape(text: str) -> tuple[str, list[int]]:
    name, _, sizes = text.rpartition("=")
    try:
        return name, [int(size) for size in sizes.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not like x=1,3,224,224", param_hint="--shape") from error
