from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from quantforge.diagnostics import InputError
from quantforge.runtime.cpu.foreign import ForeignOp
from quantforge.xmodel.model import Attr, DataType, Tensor, XOp


def kept(op_type: str, types: tuple[str, ...], output: str, shape: tuple[int, ...], **attrs: object) -> XOp:
    node = helper.make_node(op_type, [f"i{i}" for i in range(len(types))], ["y"], **attrs)
    letters = DataType("FLOAT", 32) if output.startswith("float") else DataType("INT", 64)
    return XOp(
        "op", f"onnx:{op_type}", Tensor("t", shape, letters), {"input": ("a",) * len(types)},
        {"onnx_node": Attr("bytes", node.SerializeToString()), "onnx_opset": Attr("int32", 17),
         "onnx_inputs": Attr("string_vec", types), "onnx_output": Attr("string", output)},
    )  # fmt: skip


def test_a_node_runs_on_the_types_it_had() -> None:
    op = kept("CumSum", ("float32[1,3]", "int64[]"), "float32[1,3]", (1, 3))
    arrays = {"input": [np.array([[1, 2, 3]], np.float32), np.array([1], np.int64)]}
    assert ForeignOp(op)(op, arrays).tolist() == [[1, 3, 6]]


def test_scalars_come_back_as_one_element() -> None:
    op = kept("ReduceSum", ("float32[3]",), "float32[]", (1,), keepdims=0)
    assert ForeignOp(op)(op, {"input": [np.array([1, 2, 3], np.float32)]}).tolist() == [6]


@pytest.mark.parametrize(
    ("op", "found"),
    [
        (kept("NoSuchOperator", ("float32[3]",), "float32[3]", (3,)), "NoSuchOperator"),
        (kept("Neg", ("float32[3",), "float32[3]", (3,)), r"'float32\[3'"),
    ],
)
def test_nodes_that_cannot_run(op: XOp, found: str) -> None:
    with pytest.raises(InputError, match=f"Q1203 op: .*{found}"):
        ForeignOp(op)


def test_types_must_match_the_inputs() -> None:
    op = kept("Add", ("float32[3]", "float32[3]"), "float32[3]", (3,))
    op.attrs["onnx_inputs"] = Attr("string_vec", ("float32[3]",))
    with pytest.raises(InputError, match=r"Q1203 op: .*2 inputs and 1 types"):
        ForeignOp(op)
