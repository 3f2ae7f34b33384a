"""Operators that XIR does not know, kept as single ONNX nodes: run by ONNX Runtime.

Attributes: `onnx_node` the serialized NodeProto, `onnx_opset`, `onnx_inputs` the type and shape of each input such as
"int64[1,3]", `onnx_output` those of the output. Scalars are stored as tensors of shape [1].
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.runtime.fixed import Array
from quantforge.xmodel.model import XOp

Arrays = dict[str, list[Array]]


class ForeignOp:
    """One ONNX node with a session of its own, made once and shared by all threads."""

    def __init__(self, op: XOp) -> None:
        """Compile the node.

        Raises:
            InputError: Q1203 for a node that ONNX Runtime refuses.
        """
        import onnx
        from onnx import helper

        node = onnx.NodeProto.FromString(op.get("onnx_node", b""))
        self.types = [_typed(op, text) for text in op.get("onnx_inputs", ())]
        self.output = _typed(op, op.get("onnx_output", f"float32{list(op.tensor.shape)}".replace(" ", "")))
        self.names = [name for name in dict.fromkeys(node.input) if name]
        given = [name for name in node.input if name]
        if len(given) != len(self.types) or not node.output:
            found = f"{op.kind} with {len(given)} inputs and {len(self.types)} types"
            raise InputError("Q1203", op.name, found, "one type per input", "compile the model again")
        kinds = dict(zip(given, self.types, strict=True))
        del node.output[1:]
        feeds = [
            helper.make_tensor_value_info(name, _element(kinds[name][0]), list(kinds[name][1]))
            for name in self.names
        ]
        results = [helper.make_tensor_value_info(node.output[0], _element(self.output[0]), None)]
        graph = helper.make_graph([node], op.name, feeds, results)
        opsets = [helper.make_opsetid(node.domain, op.get("onnx_opset", 17))]
        self.order = [given.index(name) for name in self.names]
        version = helper.find_min_ir_version_for(opsets, ignore_unknown=True)
        model = helper.make_model(graph, opset_imports=opsets, ir_version=version)
        self._session = _open(op, model.SerializeToString())

    def __call__(self, op: XOp, arrays: Arrays) -> Array:
        """Run the node on the arrays of argument `input`."""
        feeds = {}
        for name, at in zip(self.names, self.order, strict=True):
            dtype, shape = self.types[at]
            feeds[name] = np.ascontiguousarray(arrays["input"][at].reshape(shape), dtype)
        result = np.asarray(self._session.run(None, feeds)[0])
        return result.reshape(op.tensor.shape).astype(op.tensor.dtype.numpy or result.dtype, copy=False)


def _open(op: XOp, model: bytes) -> Any:
    import onnxruntime as ort
    from onnxruntime.capi.onnxruntime_pybind11_state import (
        Fail,
        InvalidArgument,
        InvalidGraph,
        NotImplemented,
    )

    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidArgument, InvalidGraph, NotImplemented) as error:
        fix = "check the operator in the original ONNX model"
        raise InputError("Q1203", op.name, f"{op.kind}: {error}", "a node ONNX Runtime runs", fix) from error


def _typed(op: XOp, text: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    found = re.fullmatch(r"(\w+)\[([\d,]*)\]", text)
    if found is None:
        raise InputError(
            "Q1203", op.name, f"{text!r}", "a type and shape such as float32[1,3]", "compile again"
        )
    return np.dtype(found[1]), tuple(int(size) for size in found[2].split(",") if size)


def _element(dtype: np.dtype[Any]) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(dtype))
