from __future__ import annotations

import numpy as np
import onnx
import pytest

from quantforge.frontends.onnx import import_model, to_proto
from quantforge.ops.dpu_softmax import compute
from quantforge.passes.dpu_softmax import dpu_softmaxes

from .text_models import model, random, run


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("opset", [13, 21])
def test_onnx_runtime_computes_the_same_bits(axis: int, opset: int) -> None:
    text = f"agraph (float[n,20,7] x) => (float[n,20,7] y) {{ [s] y = Softmax <axis = {axis}> (x) }}"
    graph = dpu_softmaxes(import_model(model(text, opset))).graph
    proto = to_proto(graph)
    onnx.checker.check_model(proto, full_check=True)
    x = random(9, 20, 7) * np.geomspace(0.01, 200, 9, dtype=np.float32)[:, None, None]
    (want,) = compute(graph.ops[0], [x])
    got = run(proto, {"x": x})[0]
    assert (got != want).mean() < 1e-3, "but for sums that float32 adds in another order"
    np.testing.assert_allclose(got, want, rtol=2**-7, atol=0)
    assert {"s/exp_poly/x", "s/exp_sum/s", "s/div", "s/output_cast"} <= {n.name for n in proto.graph.node}
