"""Block floating point: a module that computes in mx6, mx9 or another block format.

    from pytorch_nndct import bfp

    quantized = bfp.quantize_model(model, inputs, dtype="mx6")
    validate(quantized, data_loader)

Source: user guide UG1414, "Using the New Data Format".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pytorch_nndct.arguments import batch_of, beside
from pytorch_nndct.bfp_config import read_config
from quantforge.diagnostics import InputError
from quantforge.frontends.torch.blocks.place import BlockRecipe
from quantforge.frontends.torch.blocks.quantize import quantize_blocks
from quantforge.frontends.torch.module import QuantizedModule
from quantforge.frontends.torch.onnx_export import export_onnx
from quantforge.numerics.block_float import parse_block_format

__all__ = ["export_onnx_model", "quantize_model"]


class BlockModule(QuantizedModule):
    """A module that computes in block formats; `batch` is the size of the first axis of its example inputs."""

    batch: int | None = None


def quantize_model(
    model: torch.nn.Module, inputs: Any, dtype: str = "mx6", config_file: str | Path | None = None
) -> BlockModule:
    """A module that computes what `model` computes, in a block format. Nothing is calibrated.

    Args:
        model: The float module, in any mode; it is not changed.
        inputs: Example inputs: a tensor or a tuple. Values do not matter.
        dtype: ``mx6``, ``mx9`` or any name of `quantforge.numerics.block_float`: mx3 to mx9, bfp10 to bfp24, msfp10
            to msfp24, mxint8, mxfp8_e4m3, mxfp8_e5m2, mxfp6_e2m3, mxfp6_e3m2, mxfp4_e2m1.
        config_file: A YAML file in place of `dtype`.

    Raises:
        InputError: Q1475 and Q1476 for the format, Q1401 to Q1404 when the module cannot be captured, Q0507 when it
            has nothing that takes blocks.
        UnsupportedError: Q1477 for parts of the file that are not supported.
    """
    recipe = BlockRecipe(parse_block_format(dtype)) if config_file is None else read_config(config_file)
    args, _ = beside(model, inputs, None)
    found = BlockModule(quantize_blocks(model, args, None, recipe), model.forward)
    found.batch = batch_of(inputs, None)
    parameter = next(iter(model.parameters()), None)
    return found if parameter is None else found.to(parameter.device)


def export_onnx_model(
    quantized: BlockModule, output_dir: str | Path = "quantize_result", dynamic_batch: bool = False
) -> Path:
    """Write ``<Model>_blocks.onnx``, which stock ONNX Runtime runs; returns its path.

    Block formats become functions inside the model, so nothing has to be registered.

    Raises:
        InputError: Q1421 when `quantized` is not what `quantize_model` returned.
        UnsupportedError: Q0605 for operators that ONNX does not have.
    """
    if not isinstance(quantized, BlockModule):
        raise InputError(
            "Q1421", "quantized", type(quantized).__name__, "what bfp.quantize_model returned",
            "call bfp.quantize_model first",
        )  # fmt: skip
    graph, folder = quantized.graph, Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    batch = None if dynamic_batch else quantized.batch
    return export_onnx(graph, folder / f"{graph.name}_blocks.onnx", "blocks", batch)
