from __future__ import annotations

from pathlib import Path

import pytest

from quantforge import quantize
from quantforge.diagnostics import InputError
from tests.unit.frontends.onnx.text_models import model, random
from vai_q_onnx.debug_file import write_debug_file


def test_it_holds_report_notes_and_graph(tmp_path: Path) -> None:
    proto = model(
        "agraph (float[n,2,4,4] x) => (float[n,3,4,4] y) { [c] h = Conv (x, w) [i] y = Identity (h) }",
        w=random(3, 2, 1, 1),
    )
    result = quantize(proto, [{"x": random(2, 2, 4, 4)}], recipe="dpu-cnn")
    path = write_debug_file(tmp_path / "q.onnx", result.graph, result.report)
    text = path.read_text("utf-8")
    assert path.name == "q.onnx.debug.txt"
    assert "remove-identity: i: identity removed" in text and "SQNR" in text
    assert "@int8(position=" in text and "= conv2d(" in text
    with pytest.raises(InputError, match="Q0601"):
        write_debug_file(tmp_path / "none" / "q.onnx", result.graph, result.report)
