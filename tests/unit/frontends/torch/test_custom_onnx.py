from __future__ import annotations

import logging
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.frontends.torch.custom_onnx import DOMAIN, Body, with_custom_nodes  # noqa: E402
from quantforge.frontends.torch.custom_ops import CustomOp, call, register  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.onnx_export import to_onnx  # noqa: E402

TABLE = torch.arange(6.0).reshape(2, 3)
INNER = register(CustomOp("OnnxInner", lambda ctx, x: x @ TABLE, ()))
OUTER = register(
    CustomOp("OnnxOuter", lambda ctx, x, w, flag: call(INNER, (x,), {}).relu() * w, ("w", "flag"))
)
LOOP = register(CustomOp("OnnxLoop", lambda ctx, x: torch.stack([x[i].sort()[0] for i in range(len(x))])))


class Net(nn.Module):
    def __init__(self, op: CustomOp, *args: Any) -> None:
        super().__init__()
        self.op, self.args = op, args

    def forward(self, x: Any) -> Any:
        return call(self.op, (x, *self.args), {}) + 1


def test_functions_that_call_functions_run_in_onnx_runtime() -> None:
    module = Net(OUTER, 2, True)
    model = to_onnx(import_module(module, torch.zeros(3, 2)))
    assert [(f.domain, f.name) for f in model.functions] == [(DOMAIN, "OnnxInner"), (DOMAIN, "OnnxOuter")]
    node = next(node for node in model.graph.node if node.domain == DOMAIN)
    assert {a.name: a.i for a in node.attribute} == {"w": 2, "flag": 1}
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = torch.randn(5, 2)
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    np.testing.assert_allclose(found, module(x).numpy(), rtol=1e-6)


def test_a_body_that_onnx_cannot_express_leaves_a_bare_node(caplog: pytest.LogCaptureFixture) -> None:
    graph = import_module(Net(LOOP), torch.zeros(3, 2))
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        written, functions = with_custom_nodes(graph, to_onnx)
    assert functions == () and "Q1459 operator" in caplog.text
    assert [op.attrs["domain"] for op in written.ops if op.kind == "opaque"] == [DOMAIN]


def test_a_body_is_the_function() -> None:
    x = torch.randn(2, 2)
    assert torch.equal(Body("OnnxInner", '{"x": {"tensor": 0}}')(x), x @ TABLE)
