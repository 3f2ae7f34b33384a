"""`xdputil xmodel` and `xdputil comp_float`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from quantforge.debugging.float_files import PERCENT

FILE = click.Path(path_type=Path)
SHOWN = 10  # differences printed without --verbose


@click.command(short_help="Show what is in an xmodel.")
@click.argument("xmodel_file", metavar="XMODEL", type=FILE)
@click.option("-l", "--list", "listed", is_flag=True, help="The device-level subgraphs, as JSON.")
@click.option("-m", "--meta_info", "meta", is_flag=True, help="Attributes of graph and root, as JSON.")
@click.option("--op", "op_name", metavar="NAME", help="One operator, as JSON.")
@click.option(
    "-t", "--txt", type=FILE, is_flag=False, flag_value="-", help="Everything as text; to FILE if given."
)
@click.option("-p", "--png", type=FILE, is_flag=False, flag_value="default.png", help="Draw the operators.")
@click.option("-s", "--svg", type=FILE, is_flag=False, flag_value="default.svg", help="Draw the operators.")
@click.option(
    "-S", "--subgraph", type=FILE, is_flag=False, flag_value="subgraph.svg", help="Draw the subgraphs."
)
@click.option(
    "-b", "--binary", type=FILE, is_flag=False, flag_value="binary", help="Programs and registers as files."
)
def xmodel(
    xmodel_file: Path,
    listed: bool,
    meta: bool,
    op_name: str | None,
    txt: Path | None,
    png: Path | None,
    svg: Path | None,
    subgraph: Path | None,
    binary: Path | None,
) -> None:
    """Show what is in XMODEL. With ENABLE_DUMP=1, -t also stores every blob as <md5>.bin."""
    from quantforge.debugging.describe import describe_attributes, describe_op, subgraph_list
    from quantforge.debugging.text_dump import write_registers
    from quantforge.xmodel.read import read_xmodel

    model = read_xmodel(xmodel_file)
    if listed:
        print_json(subgraph_list(model))
    if meta:
        print_json(describe_attributes(model))
    if op_name is not None:
        print_json(describe_op(model, op_name))
    if txt is not None:
        _print_text(xmodel_file, txt)
    for path, form in ((png, "png"), (svg, "svg")):
        if path is not None:
            from xir.drawing import save_graph

            save_graph(model, path, form)
    if subgraph is not None:
        from xdputil.subgraph_drawing import save_subgraphs

        save_subgraphs(model, subgraph)
    if binary is not None:
        for path in write_registers(model, binary):
            click.echo(path)
    if not any((listed, meta, op_name, txt, png, svg, subgraph, binary)):
        raise click.UsageError("say what to show: -l, -m, --op NAME, -t, -p, -s, -S or -b")


@click.command(short_help="Compare two files of float numbers.")
@click.argument("golden", type=FILE)
@click.argument("dump", type=FILE)
@click.option(
    "-t", "--threshold", type=click.FloatRange(min=0), default=PERCENT, show_default=True, metavar="PERCENT",
    help="Largest difference, in percent of the golden number.",
)  # fmt: skip
@click.option("--verbose", is_flag=True, help="Print every difference.")
def comp_float(golden: Path, dump: Path, threshold: float, verbose: bool) -> int:
    """Compare the float32 numbers of DUMP with those of GOLDEN; a golden 0 must be met exactly."""
    from quantforge.debugging.float_files import compare_float_files

    found = compare_float_files(golden, dump, threshold)
    for row in found.differences if verbose else found.differences[:SHOWN]:
        click.echo(
            f"[{row.index}] golden {row.golden:.9g} dump {row.dump:.9g} difference {row.percent:.4g} %"
        )
    if found.same:
        click.echo(f"same: {found.count} numbers within {threshold:g} %")
        return 0
    click.echo(f"different: {len(found.differences)} of {found.count} numbers by more than {threshold:g} %")
    return 1


def print_json(record: object) -> None:
    """JSON as the original tool indents it."""
    click.echo(json.dumps(record, indent=4, ensure_ascii=False))


def _print_text(source: Path, target: Path) -> None:
    from quantforge.debugging.text_dump import text_dump, write_blobs
    from quantforge.files import write_atomic
    from quantforge.xmodel.read import read_xmodel

    model = read_xmodel(source)
    if str(target) == "-":
        click.echo(text_dump(model), nl=False)
    else:
        write_atomic(target, text_dump(model))
    if os.environ.get("ENABLE_DUMP", "0") not in ("", "0"):
        write_blobs(model, Path())
