"""Whether a model has to be written in a newer opset than it was read in, and why."""

from __future__ import annotations

from quantforge.diagnostics import Diagnostic
from quantforge.frontends.onnx import pairs
from quantforge.frontends.onnx.build import needed_opset
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.onnx.native import NativeModel
from quantforge.frontends.onnx.vitis_functions import VAI
from quantforge.graph import Graph


def opset_notice(graph: Graph, form: Form = Form.QDQ) -> Diagnostic | None:
    """The notice Q0611 when emission raises the opset of `graph` for the sake of a format; None when it does not."""
    native = graph.native
    source = native.opsets.get("", 0) if isinstance(native, NativeModel) else 0
    opset = needed_opset(graph, form)
    if not source or opset <= source or pairs.least_opset(graph.quantized(), form) <= source:
        return None
    widest = max(graph.quantized(), key=lambda value: pairs.least_opset([value], form))
    found = f"{widest.name!r} in {widest.quant.format if widest.quant else ''}, opset {source}"
    return Diagnostic(
        "Q0611", f"model {graph.name!r}", found, f"opset {opset}, in which the model is written",
        f"8 bits, or operators of domain {VAI}, where an older opset is needed",
    )  # fmt: skip
