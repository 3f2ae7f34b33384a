"""The files of a quantized module: ONNX, TorchScript, ExportedProgram."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from quantforge.diagnostics import InputError
from quantforge.files import atomic_path
from quantforge.frontends.torch.module import QuantizedModule
from quantforge.frontends.torch.onnx_check import Difference, differences, layer_values, optimize_file
from quantforge.frontends.torch.onnx_export import export_onnx
from quantforge.frontends.torch.program_export import export_program
from quantforge.graph import Array, Graph

logger = logging.getLogger("pytorch_nndct")

LAYERS = "onnx_layer_output"
_EXAMPLE_SAMPLES = 2


@dataclass(frozen=True)
class OnnxOptions:
    """The options of `export_onnx_model`, under the original's names."""

    opset_version: int | None = None
    native_onnx: bool = True
    dump_layers: bool = False
    check_model: bool = False
    opt_graph: bool = False


def onnx_file(
    graph: Graph,
    recipe: str,
    folder: str | Path,
    verbose: bool,
    batch: int | None,
    options: OnnxOptions = OnnxOptions(),
    last_inputs: Callable[[], Mapping[str, Array]] | None = None,
) -> Path:
    """Write ``<Model>_int.onnx``; `batch` None leaves the batch open.

    Raises:
        QuantforgeError: Q0602 to Q0605 for what ONNX cannot express, Q1466 when layers are to be dumped without a
            forward pass, Q1479 for the opset, Q1480 when ONNX Runtime computes something else.
    """
    feeds = _feeds(graph, batch, last_inputs, options.dump_layers)
    path = _made(folder) / f"{graph.name}_int.onnx"
    export_onnx(graph, path, recipe, batch, options.opset_version, not options.native_onnx)
    if options.opt_graph:
        optimize_file(path)
    _say(verbose, path)
    if options.dump_layers:
        _say(verbose, _dump(layer_values(path, feeds), Path(folder) / LAYERS))
    if options.check_model:
        _compare(path, differences(graph, path, feeds))
    return path


def _feeds(
    graph: Graph, batch: int | None, last_inputs: Callable[[], Mapping[str, Array]] | None, needed: bool
) -> dict[str, Array]:
    """The inputs of the last forward pass, or noise where there was none; repeated to the batch of the file."""
    try:
        found = {} if last_inputs is None else dict(last_inputs())
    except InputError:
        if needed:
            raise
        found = {}
    generator = np.random.default_rng(0)
    for value in map(graph.value, graph.inputs):
        shape = value.shape or ()
        if value.name not in found:
            sizes = [dim if isinstance(dim, int) else _EXAMPLE_SAMPLES for dim in shape]
            noise = generator.normal(size=sizes) if value.is_float else np.zeros(sizes)
            found[value.name] = noise.astype(value.dtype)
        if batch is not None and shape and not isinstance(shape[0], int):
            found[value.name] = np.resize(found[value.name], (batch, *found[value.name].shape[1:]))
    return found


def _dump(values: Mapping[str, Array], folder: Path) -> Path:
    """``<tensor>.bin``, float32 in the order of the model's axes; what no file name may hold becomes ``_``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in values.items():
        with atomic_path(folder / f"{re.sub(r'[^0-9A-Za-z_.-]', '_', name)}.bin") as partial:
            np.asarray(array, np.float32, order="C").tofile(partial)
    return folder


def _compare(path: Path, found: list[Difference]) -> None:
    for row in found:
        told = f"{row.unequal} of {row.elements} elements differ, by up to {row.largest:g}"
        if not row.close:
            raise InputError(
                "Q1480", f"{path}: output {row.output!r}", told, "what quant_model computes",
                "leave opt_graph and opset_version out, or report this with the model",
            )  # fmt: skip
        equal = "equal to quant_model bit for bit" if not row.unequal else f"like quant_model: {told}"
        logger.warning("%s: output %r is %s in ONNX Runtime", path, row.output, equal)


def program_file(module: QuantizedModule, folder: str | Path, verbose: bool) -> torch.export.ExportedProgram:
    """Write ``<Model>_int.pt2`` and return the program.

    Raises:
        UnsupportedError: Q1483 when torch.export refuses the module.
    """
    path = _made(folder) / f"{module.graph.name}_int.pt2"
    program = export_program(module, path)
    _say(verbose, path)
    return program


def torch_script(
    module: torch.nn.Module, example: tuple[torch.Tensor, ...], name: str, folder: str | Path, verbose: bool
) -> Any:
    """Write ``<Model>_int.pt`` in TorchScript and return the script module; it needs no package to run."""
    path = _made(folder) / f"{name}_int.pt"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch deprecates TorchScript; whoever asks for it knows
        script = torch.jit.trace(module, example, check_trace=False, strict=False)  # type: ignore[no-untyped-call]
        with atomic_path(path) as partial:
            torch.jit.save(script, str(partial))
    _say(verbose, path)
    return script


def _made(folder: str | Path) -> Path:
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


def _say(verbose: bool, path: Path) -> None:
    logger.log(logging.WARNING if verbose else logging.INFO, "wrote %s", path)
