"""`xdputil run` and `xdputil run_op`: raw files in, raw files out."""

from __future__ import annotations

import os
from pathlib import Path

import click

FILE = click.Path(path_type=Path)
MODES = click.Choice(["run", "ref", "sim"])


@click.command(short_help="Run a subgraph, or a whole model, on raw files.")
@click.argument("xmodel_file", metavar="XMODEL", type=FILE)
@click.option(
    "-i", "--subgraph_index", "index", type=int, default=1, show_default=True,
    help="Which subgraph; a negative number runs the whole model.",
)  # fmt: skip
@click.option(
    "-r", "--runner_mode", "mode", type=MODES, default="run", show_default=True, help="Which engine."
)
@click.argument("files", metavar="INPUT.bin...", type=FILE, nargs=-1)
def run(xmodel_file: Path, index: int, mode: str, files: tuple[Path, ...]) -> None:
    """Run subgraph number -i of XMODEL and write <sample>.<tensor>.bin to the current folder.

    Each INPUT.bin holds the raw numbers of one sample of one input, inputs in the order of their tensors' names.
    Fewer files than inputs and samples start over. With USE_VART_CPU_RUNNER=1 the reference engine runs. The
    variables of the golden cross-check (XLNX_GOLDEN_DIR, XLNX_ENABLE_DUMP, ...) apply.
    """
    from quantforge.debugging.golden import settings_of, watcher
    from quantforge.debugging.raw_run import open_runner, run_files
    from quantforge.xmodel.read import read_xmodel

    if os.environ.get("USE_VART_CPU_RUNNER", "0") not in ("", "0"):
        mode = "ref"
    watch = watcher(settings_of(os.environ), mode)
    with open_runner(read_xmodel(xmodel_file), index, mode, watch) as runner:
        for path in run_files(runner, files, Path()):
            click.echo(path)


@click.command(short_help="Run one operator on raw files and compare.")
@click.argument("xmodel_file", metavar="XMODEL", type=FILE)
@click.argument("op_name", metavar="OP")
@click.option(
    "-r", "--ref_dir", type=FILE, default=Path("ref"), show_default=True, help="Folder of <tensor>.bin."
)
@click.option(
    "-d", "--dump_dir", type=FILE, default=Path("dump"), show_default=True, help="Where results go."
)
def run_op(xmodel_file: Path, op_name: str, ref_dir: Path, dump_dir: Path) -> int:
    """Compute OP of XMODEL from the inputs in the reference folder and compare with the result there.

    Files are called <tensor>.bin, hold raw numbers, and have _ for every character but letters and digits. When the
    reference folder does not exist it is made, and nothing is computed.
    """
    from quantforge.debugging.raw_run import run_op_files
    from quantforge.xmodel.read import read_xmodel

    if not ref_dir.exists():
        ref_dir.mkdir(parents=True)
        click.echo(f"made {ref_dir}: put the inputs of {op_name} there, as <tensor>.bin, and run again")
        return 1
    found = run_op_files(read_xmodel(xmodel_file), op_name, ref_dir, dump_dir)
    click.echo(found.dump)
    if found.passed:
        click.echo("test pass")
        return 0
    why = (
        f"{found.different} numbers differ"
        if found.expected is not None
        else f"no {found.dump.name} in {ref_dir}"
    )
    click.echo(f"test failed: {why}")
    return 1
