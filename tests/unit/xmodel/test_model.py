from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InternalError
from quantforge.xmodel.model import FLOAT32, XINT8, Attr, DataType, Subgraph, Tensor, XModel, XOp


def data(name: str) -> XOp:
    return XOp(name, "data", Tensor(name, (1, 2)))


def test_data_types_are_read_in_one_case() -> None:
    assert DataType.parse("FLOAT32") == FLOAT32
    assert DataType.parse("xint8") == XINT8
    assert XINT8.numpy == np.int8 and DataType("XUINT", 8).numpy == np.uint8
    assert DataType("BFLOAT", 16).numpy is None and DataType("XINT", 4).numpy is None
    with pytest.raises(ValueError, match="Float32"):
        DataType.parse("Float32")


def test_attributes_and_arguments_that_are_absent() -> None:
    op = XOp("y", "relu", Tensor("y", (1,), XINT8, {"fix_point": Attr("int32", 4)}), {"input": ("x",)})
    assert op.tensor.fix_point == 4
    assert op.arg("input") == "x" and op.arg("input", 1) is None and op.arg("bias") is None
    assert op.get("nonlinear", "NONE") == "NONE"


def test_operators_follow_their_producers() -> None:
    model = XModel("m")
    model.add(data("x"))
    model.add(XOp("y", "add", Tensor("y", (1, 2)), {"input": ("x", "x")}))
    assert model.consumers() == {"x": ["y"], "y": []}
    with pytest.raises(InternalError, match="Q0990"):
        model.add(data("x"))
    with pytest.raises(InternalError, match="comes later"):
        model.add(XOp("z", "relu", Tensor("z", (1, 2)), {"input": ("w",)}))


def test_the_operators_below_a_subgraph() -> None:
    tree = Subgraph(
        "root", children=[Subgraph("a", ["x"]), Subgraph("b", children=[Subgraph("c", ["y", "z"])])]
    )
    assert list(tree.all_ops()) == ["x", "y", "z"]
