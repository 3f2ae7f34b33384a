"""The files of a quantized module: ONNX, TorchScript."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from pytorch_nndct.options import check_defaults
from quantforge.files import atomic_path
from quantforge.frontends.torch.onnx_export import export_onnx
from quantforge.graph import Graph

logger = logging.getLogger("pytorch_nndct")


def onnx_file(
    graph: Graph, recipe: str, folder: str | Path, verbose: bool, batch: int | None, **options: Any
) -> Path:
    """Write ``<Model>_int.onnx``; `batch` None leaves the batch open.

    Raises:
        QuantforgeError: Q0602 to Q0605 for what ONNX cannot express.
    """
    check_defaults(**options)
    path = _made(folder) / f"{graph.name}_int.onnx"
    export_onnx(graph, path, recipe, batch)
    _say(verbose, path)
    return path


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
