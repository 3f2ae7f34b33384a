"""Old opsets: each rule against ONNX Runtime, which still runs the old form."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from quantforge.diagnostics import UnsupportedError
from quantforge.frontends.onnx import import_model, to_proto

from .text_models import kinds, model, random, round_trip, run

X = {"x": random(2, 3, 4, 4)}
IMAGE = "float[N,3,4,4] x"


@pytest.mark.parametrize(
    ("opset", "nodes", "kind"),
    [
        (9, "y = Slice<axes = [2, 3], starts = [1, 0], ends = [3, -1]>(x)", "strided-slice"),
        (9, "y = Slice<starts = [0, 1], ends = [1, 9]>(x)", "strided-slice"),
        (7, "y = Clip<min = -0.5, max = 0.5>(x)", "clip"),
        (10, "y = Clip<min = 0.0>(x)", "relu"),
        (10, "y = Clip<min = 0.0, max = 6.0>(x)", "relu6"),
        (10, "y = Clip<max = 0.5>(x)", "clip"),
        (10, "y = Pad<pads = [0, 0, 1, 1, 0, 0, 2, 2], value = 0.5>(x)", "pad"),
        (7, 'y = Pad<mode = "reflect", pads = [0, 0, 1, 1, 0, 0, 2, 2]>(x)', "pad"),
        (7, "y = Upsample<scales = [1.0, 1.0, 2.0, 2.0]>(x)", "resize"),
        (9, "y = Upsample(x, k)", "resize"),
        (9, 'y = Upsample<mode = "linear">(x, k)', "resize"),
        (10, "y = Resize(x, k)", "resize"),
        (10, 'y = Resize<mode = "linear">(x, k)', "resize"),
        (7, "y = BatchNormalization(x, m, m, m, m)", "batchnorm"),
        (9, "y = BatchNormalization<epsilon = 0.01>(x, m, m, m, m)", "batchnorm"),
        (7, "y = Dropout<ratio = 0.5>(x)", "dropout"),
        (10, "y, mask = Dropout(x)", "dropout"),
        (11, "y = Softmax<axis = 3>(x)", "softmax"),
        (9, "t = GlobalAveragePool(x) y = Softmax<axis = 1>(t)", "softmax"),
        (11, "y = Squeeze<axes = [2, 3]>(t) t = GlobalMaxPool(x)", "squeeze"),
        (11, "y = Unsqueeze<axes = [0]>(x)", "unsqueeze"),
        (11, "y = ReduceSum<axes = [2, 3], keepdims = 0>(x)", "reduction-sum"),
        (11, "y, z = Split<axis = 1, split = [1, 2]>(x)", "split"),
        (11, "y = ReduceMean<axes = [-1, 2]>(x)", "reduction-mean"),
        (7, "y = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x)", "maxpool2d"),
    ],
)
def test_old_forms(opset: int, nodes: str, kind: str) -> None:
    if nodes.startswith("y = Squeeze"):
        nodes = "t = GlobalMaxPool(x) y = Squeeze<axes = [2, 3]>(t)"
    arrays = {"k": np.array([1, 1, 2, 2], np.float32), "m": np.array([0.5, 1, 2], np.float32)}
    used = {name: array for name, array in arrays.items() if f", {name}" in nodes}
    graph = round_trip(model(f"g ({IMAGE}) => (y) {{ {nodes} }}", opset=opset, **used), X)
    assert kind in kinds(graph)
    assert "opaque" not in kinds(graph)


@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_over_several_axes(op_type: str, axis: int) -> None:
    round_trip(model(f"g ({IMAGE}) => (y) {{ y = {op_type}<axis = {axis}>(x) }}", opset=11), X)


def test_top_k_and_scatter() -> None:
    round_trip(model(f"g ({IMAGE}) => (y, i) {{ y, i = TopK<k = 2>(x) }}", opset=9), X)
    text = "g (float[4] x) => (y) <int64[2] i = {0, 2}, float[2] u = {5.0, 6.0}> { y = Scatter(x, i, u) }"
    round_trip(model(text, opset=9), {"x": random(4)})


def test_nodes_inside_subgraphs_are_upgraded() -> None:
    text = f"""g (bool c, {IMAGE}) => (y) {{
      y = If(c) <then_branch = a () => (float[N,3,4,4] p) {{ p = Clip<max = 0.25>(x) }},
                 else_branch = b () => (float[N,3,4,4] q) {{ q = Neg(x) }}>
    }}"""
    round_trip(model(text, opset=10), {"c": np.array(True), **X})


def test_emission_can_ask_for_a_newer_opset() -> None:
    text = f"""g ({IMAGE}) => (y) {{
      m = ReduceMean<axes = [2, 3]>(x)
      a, b = Split<axis = 2>(x)
      s = ReduceMax<axes = [2], keepdims = 0>(a)
      h = Mul(m, m)
      y = Concat<axis = 0>(h, m)
    }}"""
    proto = model(text, opset=13)
    graph = import_model(proto)
    op = graph.op("Mul_3") if graph.has_op("Mul_3") else graph.ops[1]
    graph.replace_op(op.changed("test", kind="gelu", attrs={}, inputs=("m",)))
    made = to_proto(graph)
    assert made.opset_import[0].version == 20
    onnx.checker.check_model(made, full_check=True)
    assert len(run(made, X)) == 1


def refused(text: str, opset: int, **arrays: Any) -> str:
    with pytest.raises(UnsupportedError, match=r"Q0105") as caught:
        import_model(model(text, opset=opset, **arrays))
    return str(caught.value)


def test_forms_that_no_opset_has_any_more() -> None:
    mean = {"m": np.ones((3, 4, 4), np.float32)}
    text = f"g ({IMAGE}) => (y) {{ y = BatchNormalization<spatial = 0>(x, m, m, m, m) }}"
    assert "'BatchNormalization_0' (BatchNormalization): found spatial=0" in refused(text, 7, **mean)
