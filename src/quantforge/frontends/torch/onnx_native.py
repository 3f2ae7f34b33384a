"""ONNX nodes for opaque torch calls: operators that the graph has no kind for, and sizes that it cannot hold."""

from __future__ import annotations

from quantforge.diagnostics import UnsupportedError
from quantforge.frontends.torch.names import packet_name
from quantforge.frontends.torch.native import NativeCall, NativeModule
from quantforge.frontends.torch.onnx_forms.table import FORMS
from quantforge.frontends.torch.onnx_forms.writer import OPSET, NoFormError, Writer
from quantforge.graph import Graph, Op


def with_onnx_nodes(graph: Graph, opset: int = OPSET) -> Graph:
    """A copy of `graph` in which opaque ATen calls are ONNX nodes of `opset`; other opaque calls stay as they are.

    Raises:
        UnsupportedError: Q0605 for a call without an ONNX form, which it names.
    """
    written = Graph(graph.name, graph.values, (), graph.inputs, graph.outputs)
    symbols = graph.native.symbols if isinstance(graph.native, NativeModule) else {}
    for op in graph.ops:
        native = op.origin.native
        name = packet_name(native.target) if isinstance(native, NativeCall) and op.kind == "opaque" else None
        form = FORMS.get(name) if name is not None else None
        if name is None:
            written.add_op(op)
        elif form is None:
            raise _refusal(op, f"aten.{name}, which is not in the table of ONNX forms")
        else:
            try:
                form(Writer(written, op, native, symbols, opset))
            except NoFormError as reason:
                raise _refusal(op, f"aten.{name} with {reason}") from reason
    return written


def _refusal(op: Op, found: str) -> UnsupportedError:
    return UnsupportedError(
        "Q0605", f"op {op.name!r}", found, "an operator that ONNX can express",
        "compute it outside of the module, write it in other operators, or export TorchScript",
    )  # fmt: skip
