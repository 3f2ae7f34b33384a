"""`dump_model`: the weights and activations of a quantized model as files. Not built yet."""

from __future__ import annotations

from os import PathLike
from typing import Any

from quantforge.diagnostics import UnsupportedError


def dump_model(
    model: str | PathLike[str] | Any,
    dump_data_reader: Any = None,
    random_data_reader_input_shape: Any = None,
    dump_float: bool = False,
    output_dir: str = "./dump_results",
) -> None:
    """Not built yet.

    Raises:
        UnsupportedError: Q0703, always.
    """
    raise UnsupportedError(
        "Q0703",
        "dump_model",
        f"a call for {model}",
        "quantize_static, the only function built so far",
        "look at tensors with quantforge.frontends.onnx.OnnxExecutor(...).session(graph, observe)",
    )
