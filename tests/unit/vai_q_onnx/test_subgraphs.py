from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import vai_q_onnx
from quantforge.frontends.onnx import import_model
from quantforge.graph import Array
from quantforge.quantization.recipe import CPU_CNN
from tests.unit.frontends.onnx.bodied_models import with_branches, with_scan
from tests.unit.frontends.onnx.text_models import random, run
from vai_q_onnx.subgraphs import BATCHES, PeekedReader, quantize_subgraphs


class Reader:
    def __init__(self, *shape: int, batches: int = 20) -> None:
        self.left = [random(*shape, seed=i) + np.float32(0.4 * (-1) ** i) for i in range(batches)]

    def get_next(self) -> dict[str, Array] | None:
        return {"x": self.left.pop()} if self.left else None


def test_a_reader_gives_everything_once() -> None:
    peeked = PeekedReader(Reader(2, batches=5))
    assert len(peeked.peek(3)) == 3
    rest = list(iter(peeked.get_next, None))
    assert [float(f["x"][0]) for f in rest] == [
        float(f["x"][0]) for f in iter(Reader(2, batches=5).get_next, None)
    ]


def test_bodies_take_the_first_batches() -> None:
    reader = Reader(5, 2, 4)
    graph, again, notes = quantize_subgraphs(
        import_model(with_scan()), reader, CPU_CNN, ["CPUExecutionProvider"]
    )
    assert (
        "body quantized, from 64 runs" in str(notes[0])
        and graph.op("scan").origin.made_by == "quantize-bodies"
    )
    assert len(reader.left) == 20 - BATCHES and len(list(iter(again.get_next, None))) == 20


@pytest.mark.parametrize("form", [vai_q_onnx.QuantFormat.QDQ, vai_q_onnx.QuantFormat.QOperator])
def test_the_option_quantizes_branches(form: Any, tmp_path: Path) -> None:
    proto, path = with_branches(), str(tmp_path / "q.onnx")
    counts = {}
    for on in (False, True):
        vai_q_onnx.quantize_static(
            proto, path, Reader(1, 3, 8, 8), quant_format=form, extra_options={"EnableSubgraph": on},
            print_summary=False,
        )  # fmt: skip
        made = onnx.load(path)
        onnx.checker.check_model(made, full_check=True)
        (node,) = (node for node in made.graph.node if node.op_type == "If")
        counts[on] = [len([n for n in a.g.node if n.op_type == "QuantizeLinear"]) for a in node.attribute]
        for shift in (0.4, -0.4):
            x = random(1, 3, 8, 8, seed=90) + np.float32(shift)
            want, got = run(proto, {"x": x})[0], run(path, {"x": x})[0]
            assert ((want - got) ** 2).sum() < 2e-3 * (want**2).sum()
    assert counts == {False: [0, 0], True: [2, 2]}
