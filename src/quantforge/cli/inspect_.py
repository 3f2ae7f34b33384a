"""``quantforge inspect MODEL --target DPU``: what of a model runs on a DPU, and why the rest does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantforge.diagnostics import InputError

if TYPE_CHECKING:
    from quantforge.inspection import Inspection
    from quantforge.targets.dpu import DpuTarget
    from quantforge.xmodel.model import XModel

FILE = click.Path(path_type=Path)
XMODEL_ENDING = ".xmodel"


@click.command("inspect", short_help="Say what of a model runs on a DPU.")
@click.argument("model", metavar="MODEL", type=FILE)
@click.option("--target", required=True, help="A DPU, a board, a fingerprint, an arch.json or a .toml file.")
@click.option(
    "--input-shape", "shapes", multiple=True, metavar="NAME=1,3,224,224",
    help="The shape of an input, in the model's order of axes; may be repeated.",
)  # fmt: skip
@click.option(
    "--folder", type=FILE, help="Write all files, as inspect_<target>.txt, .json, .gv, .svg, .png, .html."
)
@click.option("--text", type=FILE, help="Write the report with every operator as text.")
@click.option("--json", "as_json", type=FILE, help="Write it as JSON.")
@click.option("--gv", type=FILE, help="Write the graph, coloured by device, for Graphviz.")
@click.option("--svg", type=FILE, help="Draw the graph as SVG.")
@click.option("--png", type=FILE, help="Draw the graph as PNG.")
@click.option("--html", type=FILE, help="Write a page with the table and the graph.")
def inspect(
    model: Path,
    target: str,
    shapes: tuple[str, ...],
    folder: Path | None,
    text: Path | None,
    as_json: Path | None,
    gv: Path | None,
    svg: Path | None,
    png: Path | None,
    html: Path | None,
) -> None:
    """Say which operators of MODEL (.onnx, float or quantized, or .xmodel) run on a DPU.

    Prints the operators on the CPU with the limit that each breaks and the nearest change that would help. The
    answer is a prediction: it follows the published limits (UG1414, tables 28 to 30, and the target files).
    """
    from quantforge.files import check_writable
    from quantforge.inspection import inspect as run
    from quantforge.reporting.inspection_text import inspection_summary
    from quantforge.targets.dpu import load_dpu

    dpu = load_dpu(target)
    wanted = {"txt": text, "json": as_json, "gv": gv, "svg": svg, "png": png, "html": html}
    files = {kind: path for kind, path in wanted.items() if path is not None}
    if folder is not None:
        _make(folder)
        files = {kind: folder / f"inspect_{dpu.name}.{kind}" for kind in wanted} | files
    for path in files.values():
        check_writable(path)
    inspection = run(_model_of(model, dpu, shapes), dpu)
    for kind, path in files.items():
        _write(kind, path, inspection)
    click.echo(inspection_summary(inspection), nl=False)
    for path in files.values():
        click.echo(f"wrote {path}")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found, expected = error.strerror or str(error), "a folder that can be written to"
        raise InputError("Q0601", str(folder), found, expected, "choose another folder") from error


def _write(kind: str, path: Path, inspection: Inspection) -> None:
    from quantforge.files import write_atomic
    from quantforge.reporting import inspection_drawing as drawing
    from quantforge.reporting.inspection_json import inspection_json
    from quantforge.reporting.inspection_page import inspection_page
    from quantforge.reporting.inspection_text import inspection_text

    writers: dict[str, Callable[[Inspection], str | bytes]] = {
        "txt": inspection_text,
        "json": inspection_json,
        "gv": drawing.inspection_dot,
        "svg": drawing.inspection_svg,
        "png": drawing.inspection_png,
        "html": inspection_page,
    }
    write_atomic(path, writers[kind](inspection))


def _model_of(path: Path, target: DpuTarget, shapes: tuple[str, ...]) -> XModel:
    """The flat xmodel of a file; batch normalizations of a float model are folded, as quantizers do."""
    given = dict(map(_shape, shapes))
    if path.suffix.lower() == XMODEL_ENDING:
        from quantforge.xmodel.read import read_xmodel

        return read_xmodel(path)
    from quantforge.compiler.lower import lower
    from quantforge.frontends.onnx import absorb, import_model, single_node
    from quantforge.passes.pipeline import Preparation, prepare

    graph = absorb(import_model(str(path)))
    if all(value.quant is None for value in graph.values):
        graph = prepare(graph, Preparation()).graph
    batch = target.batch if target.family == "DPUCADF8H" else 1
    return lower(graph, batch=batch, input_shapes=given, node_of=single_node)


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    """NAME=1,3,224,224 as a name and sizes."""
    name, _, sizes = text.rpartition("=")
    try:
        found = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        found = ()
    if not name or not found:
        expected = "NAME=SIZES with whole numbers, such as input=1,3,224,224"
        raise InputError("Q1030", "--input-shape", repr(text), expected, "one option for each input")
    return name, found
