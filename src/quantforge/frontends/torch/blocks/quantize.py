"""A torch module to a graph that computes in block formats. No data is looked at: each block scales itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from quantforge.diagnostics import InputError
from quantforge.frontends.torch.blocks.place import BlockRecipe, place_blocks, readings
from quantforge.frontends.torch.import_ import import_module
from quantforge.graph import Graph
from quantforge.passes.pipeline import Preparation, prepare


def quantize_blocks(
    module: torch.nn.Module, args: Any, kwargs: Mapping[str, Any] | None, recipe: BlockRecipe
) -> Graph:
    """The graph of `module` in block formats.

    Batch normalization is folded into the operator in front of it where that is exact; elsewhere it stays in float.

    Args:
        module: Any module, in any mode; it is not changed.
        args: Example inputs: a tensor or a tuple of them. Values do not matter.
        kwargs: Named example inputs.
        recipe: The formats.

    Raises:
        InputError: Q1401 to Q1404 when the module cannot be captured, Q0507 when no operator of it takes blocks.
    """
    graph = import_module(module, args, kwargs)
    norms = {op.name for op in graph.ops if op.kind == "batchnorm"}
    prepared = prepare(graph, Preparation(replace_relu6=False)).graph
    if not any(readings(prepared, op, recipe) for op in prepared.ops if op.name not in norms):
        raise InputError(
            "Q0507", f"module {graph.name!r}", "no product and no function with a table",
            "a convolution, linear layer or matrix product", "check that the module computes something",
        )  # fmt: skip
    return place_blocks(prepared, recipe, norms)
