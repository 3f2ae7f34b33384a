from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.diagnostics import UnsupportedError  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.onnx_export import to_onnx  # noqa: E402
from quantforge.frontends.torch.onnx_native import with_onnx_nodes  # noqa: E402


class Prefixed(nn.Module):
    """A row put before every sample, and a state of zeros: both as large as the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.row = nn.Parameter(torch.arange(3.0).reshape(1, 1, 3))

    def forward(self, x: Any) -> Any:
        state = torch.full((x.shape[0], 1, 3), 0.5) + torch.zeros(x.shape[0], 1, 3)
        return torch.cat([self.row.expand(x.shape[0], -1, -1), state, x], 1)


def test_shapes_that_depend_on_the_batch_run_in_onnx_runtime() -> None:
    graph = import_module(Prefixed(), torch.zeros(1, 2, 3))
    assert {op.attrs["type"] for op in graph.ops if op.kind == "opaque"} == {"aten.expand"}
    session = ort.InferenceSession(to_onnx(graph).SerializeToString(), providers=["CPUExecutionProvider"])
    for batch in (1, 4):
        x = torch.randn(batch, 2, 3)
        np.testing.assert_array_equal(session.run(None, {"x": x.numpy()})[0], Prefixed()(x).detach().numpy())


class Running(nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.cummax(x, 1)[0]


def test_other_calls_are_refused_by_name() -> None:
    graph = import_module(Running(), torch.zeros(2, 3))
    with pytest.raises(
        UnsupportedError, match=r"Q0605 op 'cummax': found aten\.cummax, which is not in the table"
    ):
        to_onnx(graph)


def test_what_a_form_cannot_express_says_why() -> None:
    graph = import_module(Order3(), torch.zeros(2, 3))
    with pytest.raises(UnsupportedError, match=r"aten\.linalg_vector_norm with a norm of order 3"):
        with_onnx_nodes(graph)


class Order3(nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.linalg.vector_norm(x, 3, 1)
