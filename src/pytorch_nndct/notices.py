"""What the user should know before data runs."""

from __future__ import annotations

import logging
from collections import Counter

from quantforge.diagnostics import Diagnostic
from quantforge.frontends.torch.native import NativeModule
from quantforge.graph import Graph

logger = logging.getLogger("pytorch_nndct")


def say_float_ops(graph: Graph, quantized_types: tuple[str, ...] = ()) -> None:
    """List the types of operators that the graph does not know, which run in torch and in float, in one line."""
    counts = Counter(str(op.attrs.get("type")) for op in graph.ops if op.kind == "opaque")
    for name in quantized_types:
        counts.pop(name, None)
    if counts:
        listed = ", ".join(
            name if count == 1 else f"{name} ({count})" for name, count in sorted(counts.items())
        )
        notice = Diagnostic(
            "Q1460", f"module {graph.name!r} (QUANTIZER_TORCH_FLOAT_OP)", listed, "operators with a quantized form",
            "nothing if they may stay in float; custom_quant_ops quantizes their inputs and outputs",
        )  # fmt: skip
        logger.warning("%s", notice)


def say_frozen_buffers(graph: Graph) -> None:
    """Name the buffers that the module writes to in forward: they are constants of the graph."""
    native = graph.native
    if isinstance(native, NativeModule) and native.written:
        notice = Diagnostic(
            "Q1462", f"module {graph.name!r}", f"forward writes to {', '.join(native.written)}",
            "buffers that stay as they are", "nothing for counters; make state that counts an input and an output",
        )  # fmt: skip
        logger.warning("%s", notice)
