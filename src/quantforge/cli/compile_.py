"""``quantforge compile MODEL --target DPU -o OUTPUT``: a quantized model for a DPU."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(path_type=Path)


@click.command("compile", short_help="Compile a quantized model for a DPU.")
@click.argument("model", metavar="MODEL", type=FILE)
@click.option(
    "-a", "--arch", "--target", "target", required=True,
    help="A DPU, a board, a fingerprint, an arch.json or a .toml file.",
)  # fmt: skip
@click.option(
    "-o", "--output", required=True, type=FILE, metavar="FILE_OR_DIR",
    help="An .xmodel, or a folder that gets NET.xmodel, meta.json and md5sum.txt.",
)  # fmt: skip
@click.option("-n", "--name", "net_name", metavar="NET", help="Name of the xmodel in a folder.")
@click.option(
    "--options", metavar="JSON",
    help="A JSON object with input_shape, output_ops, plugins, prefetch, hd_opt, as vai_c_xir takes it.",
)  # fmt: skip
@click.option(
    "--arithmetic", type=click.Choice(["model", "dpu"]), default="model", show_default=True,
    help="Round and average as the quantized model does, or as the hardware does.",
)  # fmt: skip
@click.option(
    "--preprocess", type=FILE, help="TOML file that says how images become inputs; kept in the xmodel."
)
@click.option(
    "--vectors", type=click.IntRange(min=0), default=1, show_default=True,
    help="Samples of random input kept with their outputs, for `quantforge run --selftest`.",
)  # fmt: skip
def compile_(
    model: Path,
    target: str,
    output: Path,
    net_name: str | None,
    options: str | None,
    arithmetic: str,
    preprocess: Path | None,
    vectors: int,
) -> None:
    """Compile the quantized MODEL (.onnx with QuantizeLinear, or .xmodel) for a DPU.

    Prints the subgraphs, the operators that stay on the CPU with the reason, the predicted speed, and the MD5 of the
    result. A quantized ONNX model rounds halves to even; the compiled model does the same, and gives the same numbers
    to the last bit. With `--arithmetic dpu` it rounds halves up and averages with the factors of the hardware.
    """
    from quantforge.cli.show import show_diagnostic
    from quantforge.compiler.options import parse_options
    from quantforge.deployment import deploy

    settings = None
    if preprocess is not None:
        from quantforge.calibration.preprocessing import load_preprocessing

        settings = load_preprocessing(preprocess)
    built = deploy(
        model,
        target,
        output,
        name=net_name,
        options=parse_options(options),
        arithmetic="dpu" if arithmetic == "dpu" else "model",
        preprocessing=settings,
        vectors=vectors,
        tell=show_diagnostic,
    )
    click.echo(built.text())
