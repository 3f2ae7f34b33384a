"""``quantforge compile MODEL --target DPU -o OUTPUT``: a quantized model for a DPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from quantforge.compiler.build import Built
    from quantforge.compiler.options import CompileOptions
    from quantforge.diagnostics import Diagnostic
    from quantforge.targets.dpu import DpuTarget
    from quantforge.xmodel.model import XModel

FILE = click.Path(path_type=Path)
XMODEL_ENDING = ".xmodel"


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
    built = run_compile(
        model, target, output, net_name, options, preprocess, vectors, hardware=arithmetic == "dpu"
    )
    click.echo(built.text())


def run_compile(
    path: Path,
    target: str,
    output: Path,
    net_name: str | None = None,
    options: str | None = None,
    preprocess: Path | None = None,
    vectors: int = 1,
    hardware: bool = False,
) -> Built:
    """What the verb and `vai_c_xir` do: read, compile, write; notices go to stderr."""
    from quantforge.calibration.preprocessing import load_preprocessing
    from quantforge.compiler.arithmetic import as_hardware
    from quantforge.compiler.build import build, md5_of
    from quantforge.compiler.compile import Attachments
    from quantforge.compiler.options import parse_options
    from quantforge.progress import track
    from quantforge.targets.dpu import load_dpu

    dpu, chosen = load_dpu(target), parse_options(options)
    settings = (
        None if preprocess is None else load_preprocessing(preprocess).model_dump_json(exclude_none=True)
    )
    built = None
    for step in track(("reading", "compiling"), "compiling"):
        if step == "reading":
            flat, left = read_flat(path, dpu, chosen)
            flat = as_hardware(flat) if hardware else flat
        else:
            recorded = _recorder(vectors) if vectors else None
            extras = Attachments(settings, recorded, {str(path): md5_of(path)})
            built = build(flat, dpu, output, net_name or path.stem, left, attachments=extras)
    if built is None:
        raise click.ClickException("nothing was compiled")
    return built


def read_flat(path: Path, target: DpuTarget, options: CompileOptions) -> tuple[XModel, CompileOptions]:
    """The flat xmodel of a file, and the options that are left for the compiler."""
    if path.suffix.lower() == XMODEL_ENDING:
        from quantforge.xmodel.read import read_xmodel

        return read_xmodel(path), options
    from quantforge.compiler.lower import lower
    from quantforge.compiler.options import ANY_INPUT
    from quantforge.frontends.onnx import absorb, import_model, single_node

    graph = absorb(import_model(str(path)))
    shapes = {name or graph.inputs[0]: sizes for name, sizes in options.input_shapes.items()}
    if ANY_INPUT in options.input_shapes and len(graph.inputs) > 1:
        raise click.UsageError('input_shape of several inputs: {"input_shape": {"NAME": "1,3,224,224"}}')
    batch = target.batch if target.family == "DPUCADF8H" else 1
    flat = lower(graph, batch=batch, input_shapes=shapes, node_of=single_node)
    return flat, replace(options, input_shapes={})


def _recorder(samples: int) -> Callable[[XModel], bytes | None]:
    """Records test vectors; what cannot run here has none, and that is said."""
    from quantforge.cli.show import show_diagnostic
    from quantforge.debugging.vectors import record_vectors
    from quantforge.diagnostics import QuantforgeError

    def record(model: XModel) -> bytes | None:
        try:
            return record_vectors(model, samples=samples)
        except QuantforgeError as error:
            show_diagnostic(_without_vectors(error.diagnostic))
            return None

    return record


def _without_vectors(cause: Diagnostic) -> Diagnostic:
    return replace(cause, where=f"no test vectors are kept: {cause.where}")
