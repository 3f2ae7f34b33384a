from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import UnsupportedError  # noqa: E402
from quantforge.frontends.torch.graph_operator import GraphOperator  # noqa: E402


def test_it_runs_the_kernel_of_its_kind() -> None:
    x = torch.arange(4.0)
    assert GraphOperator("tile", 1, repeats=(2,))(x).tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert [part.tolist() for part in GraphOperator("split", 2, sizes=(1, 3), axis=0)(x)] == [[0], [1, 2, 3]]


def test_attributes_that_torch_cannot_compute_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="Q1405"):
        GraphOperator("conv2d", 1, layout="NHWC")
