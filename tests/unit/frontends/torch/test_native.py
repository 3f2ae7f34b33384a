from __future__ import annotations

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.native import Size, dtype_name, shape_of, symbol_of  # noqa: E402


class Pass(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x])


def test_shapes_name_symbols_and_leave_expressions_unknown() -> None:
    shapes = {"x": {0: torch.export.Dim.AUTO}}
    program = torch.export.export(Pass(), (torch.zeros(3, 4),), dynamic_shapes=shapes)
    tensors = {node.name: node.meta["val"] for node in program.graph.nodes if "val" in node.meta}
    symbol = symbol_of(tensors["x"].shape[0])
    assert symbol is not None
    assert shape_of(tensors["x"], {symbol: "batch"}) == ("batch", 4)
    assert shape_of(tensors["x"], {}) == (symbol, 4)
    assert shape_of(tensors["cat"], {}) == (None, 4)
    assert symbol_of(tensors["cat"].shape[0]) is None and symbol_of(4) is None
    assert Size(tensors["cat"].shape[0].node.expr).of({symbol: 5}) == 10


def test_names_of_dtypes_are_those_of_numpy() -> None:
    assert [dtype_name(d) for d in (torch.float16, torch.bool, torch.int32)] == ["float16", "bool", "int32"]


def test_sympy_is_not_loaded_for_nothing() -> None:
    """It takes 0.7 s and 40 MB, which fine-tuning of an ONNX model would pay for."""
    code = "import sys, quantforge.frontends.torch.tuning.calibrated; print('sympy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
