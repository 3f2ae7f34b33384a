"""``vai_c_xir -x MODEL -a ARCH -o FOLDER -n NET [--options JSON]`` (user guide UG1414, chapter 4).

The two other compilers of the guide, `vai_c_tensorflow` (-f) and `vai_c_tensorflow2` (-m), take models of TensorFlow.
They would be this function with another reader: `quantforge.deployment.read_flat` reads by the file's ending, and is
the place where a reader for .pb and .h5 files is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from quantforge.cli.shell import run_command
from quantforge.cli.show import show_diagnostic
from quantforge.diagnostics import InputError

FILE = click.Path(path_type=Path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-x", "--xmodel", required=True, type=FILE, help="The quantized xmodel.")
@click.option(
    "-a", "--arch", required=True, help="arch.json of the DPU, or what quantforge takes as a target."
)
@click.option("-o", "--output_dir", required=True, type=FILE, help="Folder for the compiled xmodel.")
@click.option("-n", "--net_name", required=True, help="Name of the compiled xmodel.")
@click.option("-e", "--options", help="""JSON object in quotes, such as '{"input_shape": "1,224,224,3"}'.""")
def vai_c_xir(xmodel: Path, arch: str, output_dir: Path, net_name: str, options: str | None) -> None:
    """Compile a quantized xmodel for a DPU."""
    _check_folder(output_dir)
    from quantforge.compiler.options import parse_options
    from quantforge.deployment import deploy

    chosen = parse_options(options)
    built = deploy(xmodel, arch, output_dir, name=net_name, options=chosen, tell=show_diagnostic)
    click.echo(built.text())


def _check_folder(path: Path) -> None:
    """The output is a folder whatever it is called."""
    if path.is_file():
        fix = "name a folder; it is made when it does not exist"
        raise InputError("Q0601", str(path), "a file", "a folder", fix)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = error.strerror or str(error)
        raise InputError("Q0601", str(path), found, "a folder", "name another folder") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 2 a coded error."""
    return run_command(vai_c_xir, "vai_c_xir", arguments)
