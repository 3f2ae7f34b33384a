"""The view of a node that the kind table works with."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.frontends.onnx.fold import Body, TensorType
from quantforge.frontends.onnx.view import NodeView, NotExpressibleError

from .text_models import model


def view(node: str, **consts: object) -> NodeView:
    proto = model(f"g (float[2,3] x) => (y) {{ {node} }}")
    arrays = {name: np.asarray(value) for name, value in consts.items()}
    body = Body(list(proto.graph.node), arrays, ("y",), {"": 17}, 8, {"x": TensorType(("N", 3), "float32")})
    body.count_reads()
    return NodeView(proto.graph.node[0], body)


def test_parameters_come_from_attributes_or_constants() -> None:
    assert view("y = ReduceMean<axes = [1]>(x)").ints("axes", 1) == (1,)
    assert view("y = ReduceMean(x, a)", a=[1, 0]).ints("axes", 1) == (1, 0)
    assert view("y = ReduceMean(x)").ints("axes", 1) is None
    with pytest.raises(NotExpressibleError, match="input 1 is not constant"):
        view("y = ReduceMean(x, x)").ints("axes", 1)


def test_scalars() -> None:
    assert view("y = Clip(x, , h)", h=2.5).scalar(2) == 2.5
    assert view("y = Clip(x, , h)", h=2.5).scalar(1) is None
    with pytest.raises(NotExpressibleError, match="no scalar"):
        view("y = Clip(x, h)", h=[1.0, 2.0]).scalar(1)


def test_shapes_ranks_and_axes() -> None:
    relu = view("y = Relu(x)")
    assert relu.shape(0) == ("N", 3) and relu.rank(0) == 2 and relu.dtype(0) == "float32"
    assert relu.shape(5) is None and relu.output_shape() is None
    assert relu.axis(-1, 2) == 1
    with pytest.raises(NotExpressibleError, match="axis 2 of rank 2"):
        relu.axis(2, 2)
    with pytest.raises(NotExpressibleError, match="rank of input 1 is unknown"):
        relu.rank(1)


def test_a_used_second_output_is_refused() -> None:
    dropout = view("y, m = Dropout(x) z = Neg(m)")
    with pytest.raises(NotExpressibleError, match="second output"):
        dropout.only_output()
    view("y, m = Dropout(x)").only_output()
