"""`quantforge.deploy`: a quantized model in, a compiled xmodel out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from quantforge.compiler.arithmetic import as_hardware
from quantforge.compiler.build import Built, build, md5_of
from quantforge.compiler.compile import Attachments
from quantforge.compiler.lower import lower
from quantforge.compiler.options import ANY_INPUT, CompileOptions
from quantforge.diagnostics import Diagnostic, InputError, QuantforgeError
from quantforge.frontends.onnx import absorb, import_model, single_node
from quantforge.frontends.quantize import Result
from quantforge.graph import Graph
from quantforge.targets.dpu import DpuTarget, load_dpu
from quantforge.xmodel.model import XModel
from quantforge.xmodel.read import read_xmodel

if TYPE_CHECKING:
    from quantforge.calibration.preprocessing import Preprocessing

XMODEL_ENDING = ".xmodel"


def deploy(
    model: str | Path | Graph | Result,
    target: str | Path,
    output: str | Path,
    *,
    name: str | None = None,
    options: CompileOptions | None = None,
    arithmetic: Literal["model", "dpu"] = "model",
    preprocessing: Preprocessing | None = None,
    vectors: int = 1,
    tell: Callable[[Diagnostic], None] | None = None,
) -> Built:
    """Compile a quantized model for a DPU and write it.

    Args:
        model: What `quantize` returned, its graph, or a file: .onnx with QuantizeLinear, or a quantized .xmodel.
        target: A DPU, a board, a fingerprint, an arch.json or a .toml file.
        output: An .xmodel, or a folder that gets NAME.xmodel, meta.json and md5sum.txt.
        name: Name of the xmodel in a folder.
        options: Of the compiler.
        arithmetic: Round and average as the quantized model does, or as the hardware does ("dpu").
        preprocessing: How images become inputs; kept in the file.
        vectors: Samples of random input kept with their outputs, for a self-test.
        tell: Told why no vectors are kept, where the model cannot run here.

    Raises:
        QuantforgeError: With a code; no output is left behind.
    """
    dpu = load_dpu(target)
    flat, left = read_flat(model, dpu, options or CompileOptions())
    flat = as_hardware(flat) if arithmetic == "dpu" else flat
    named = isinstance(model, str | Path)
    extras = Attachments(
        None if preprocessing is None else preprocessing.model_dump_json(exclude_none=True),
        _recorder(vectors, tell) if vectors else None,
        {str(model): md5_of(model)} if isinstance(model, str | Path) else {},
    )
    net_name = name or (Path(str(model)).stem if named else flat.name)
    return build(flat, dpu, output, net_name, left, attachments=extras)


def read_flat(
    model: str | Path | Graph | Result, target: DpuTarget, options: CompileOptions
) -> tuple[XModel, CompileOptions]:
    """The flat xmodel of a model, and the options that are left for the compiler.

    Raises:
        InputError: Q1103 for one input_shape and several inputs; what reading and lowering raise.
    """
    if isinstance(model, str | Path) and Path(model).suffix.lower() == XMODEL_ENDING:
        return read_xmodel(model), options
    graph = model.graph if isinstance(model, Result) else model
    if not isinstance(graph, Graph):
        graph = absorb(import_model(str(graph)))
    if ANY_INPUT in options.input_shapes and len(graph.inputs) > 1:
        expected, fix = "sizes by the name of an input", '{"input_shape": {"NAME": "1,3,224,224"}}'
        found = f"one for {len(graph.inputs)} inputs"
        raise InputError("Q1103", "input_shape", found, expected, fix)
    shapes = {name or graph.inputs[0]: sizes for name, sizes in options.input_shapes.items()}
    batch = target.batch if target.family == "DPUCADF8H" else 1
    flat = lower(graph, batch=batch, input_shapes=shapes, node_of=single_node)
    return flat, replace(options, input_shapes={})


def _recorder(samples: int, tell: Callable[[Diagnostic], None] | None) -> Callable[[XModel], bytes | None]:
    """Records test vectors; what cannot run here has none, and that is said."""
    from quantforge.debugging.vectors import record_vectors

    def record(model: XModel) -> bytes | None:
        try:
            return record_vectors(model, samples=samples)
        except QuantforgeError as error:
            if tell is not None:
                tell(replace(error.diagnostic, where=f"no test vectors are kept: {error.diagnostic.where}"))
            return None

    return record
