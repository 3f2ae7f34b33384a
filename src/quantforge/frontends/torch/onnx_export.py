"""A quantized torch graph as ONNX that stock ONNX Runtime runs.

The shared emitter writes QuantizeLinear and DequantizeLinear. What those cannot compute becomes functions inside the
model: other roundings than ties to even (`onnx_rounding`), block formats, registered functions. The other style is
that of the original's own domain, `vai_domain`, for any number of bits and any rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.emit import emit, to_proto
from quantforge.frontends.onnx.native import NativeModel, opset_version
from quantforge.frontends.torch.custom_onnx import add_functions, with_custom_nodes
from quantforge.frontends.torch.onnx_native import with_onnx_nodes
from quantforge.frontends.torch.onnx_rounding import import_functions, round_first, rounded_to_even
from quantforge.frontends.torch.vai_domain import vai_functions, with_vai_nodes
from quantforge.graph import Graph

# What the emitter writes and ONNX Runtime 1.31 runs. From 21 on that refuses int8 activations which only a Reshape or
# Transpose reads before a float operator (it gives the pair it moves behind them a uint8 zero point).
OPSETS = range(13, 27)
_DEFAULT_OPSET = 17


def to_onnx(
    graph: Graph, recipe: str = "", batch: int | None = None, opset: int | None = None, vai: bool = False
) -> Any:
    """`graph` as a ModelProto.

    Args:
        graph: A quantized graph.
        recipe: Name of the recipe, recorded in the model.
        batch: Size of the first axis of inputs and outputs; None leaves it open.
        opset: Version of the standard operators; None means 17, or newer where something needs that.
        vai: Store values by the operators of domain ``vai`` rather than by those of the standard.

    Raises:
        InputError: Q1479 for an opset that is not written, or that is too old for something in the graph.
        UnsupportedError: Q0602 to Q0605 when ONNX cannot express something in the graph.
    """
    written, finish = _written(graph, batch, opset, vai)
    model = to_proto(written, recipe)
    finish(model)
    return model


def export_onnx(
    graph: Graph,
    path: Path,
    recipe: str = "",
    batch: int | None = None,
    opset: int | None = None,
    vai: bool = False,
) -> Path:
    """Write `to_onnx` to `path`, whole or not at all; weights go straight to the file, above 2 GB beside it."""
    written, finish = _written(graph, batch, opset, vai)
    return emit(written, path, recipe, finish=finish)


def _written(
    graph: Graph, batch: int | None, opset: int | None, vai: bool
) -> tuple[Graph, Callable[[Any], None]]:
    """The graph that the shared emitter writes, and what is left to do to its model."""
    if opset is not None and opset not in OPSETS:
        raise _refused(opset, f"{OPSETS.start} to {OPSETS.stop - 1}", "leave opset_version out")
    written, functions = with_custom_nodes(
        with_onnx_nodes(graph, opset or _DEFAULT_OPSET), partial(to_onnx, opset=opset)
    )
    if vai:
        written = with_vai_nodes(written)
    modes = rounded_to_even(written)
    written.native = NativeModel({"": opset or _DEFAULT_OPSET}, 0)

    def finish(model: Any) -> None:
        version = opset_version(model)
        if opset is not None and version > opset:
            raise _refused(opset, f"{version} or newer for this model", f"opset_version={version}")
        round_first(model, modes)
        import_functions(model, vai_functions(version) if vai else ())
        add_functions(model, functions)
        if batch is not None:
            _fix_batch(model, batch)

    return written, finish


def _refused(opset: int, expected: str, fix: str) -> InputError:
    return InputError("Q1479", "opset_version", str(opset), expected, fix)


def _fix_batch(model: Any, batch: int) -> None:
    for info in (*model.graph.input, *model.graph.output):
        dims = info.type.tensor_type.shape.dim
        if dims and dims[0].HasField("dim_param"):
            dims[0].ClearField("dim_param")
            dims[0].dim_value = batch
