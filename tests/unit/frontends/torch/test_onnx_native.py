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
    assert {op.attrs["type"] for op in graph.ops if op.kind == "opaque"} >= {"aten.expand", "aten.full"}
    session = ort.InferenceSession(to_onnx(graph).SerializeToString(), providers=["CPUExecutionProvider"])
    for batch in (1, 4):
        x = torch.randn(batch, 2, 3)
        np.testing.assert_array_equal(session.run(None, {"x": x.numpy()})[0], Prefixed()(x).detach().numpy())


class Sorted(nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.sort(x)[0]


def test_other_calls_stay_and_are_refused_by_name() -> None:
    graph = import_module(Sorted(), torch.zeros(2, 3))
    assert [op.name for op in with_onnx_nodes(graph).ops] == ["sort"]
    with pytest.raises(UnsupportedError, match="Q0605 op 'sort'"):
        to_onnx(graph)
