from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import vai_q_onnx
from quantforge.frontends.onnx.dedicated_pairs import dedicate_pairs
from tests.unit.frontends.onnx.text_models import model, random, run

NET = """agraph (float[2,3,6,6] x) => (float[2,3,6,6] y, float[2,3,6,6] h) {
    h = Conv <kernel_shape = [1, 1]> (x, w)
    g = Conv <kernel_shape = [1, 1]> (h, w)
    s = Add (g, g)
    [last] y = Mul (s, h)
}"""
FORMATS = [
    {},
    {"quant_format": vai_q_onnx.VitisQuantFormat.QDQ},
    {"quant_format": vai_q_onnx.VitisQuantFormat.FixNeuron},
    {"enable_dpu": True, "extra_options": {"AddQDQPairToWeight": True}},
]


def quantized(folder: Path, dedicated: bool, arguments: dict[str, Any]) -> str:
    path = str(folder / f"{dedicated}.onnx")
    extra = {**arguments.get("extra_options", {}), "DedicatedQDQPair": dedicated}
    vai_q_onnx.quantize_static(
        model(NET, w=random(3, 3, 1, 1)),
        path,
        None,
        print_summary=False,
        **arguments | {"extra_options": extra},
    )
    onnx.checker.check_model(path, full_check=True)
    return path


def readers(path: str) -> Counter[str]:
    graph = onnx.load(path).graph
    ends = {node.output[0] for node in graph.node if node.op_type.endswith(("DequantizeLinear", "FixNeuron"))}
    found = Counter(name for node in graph.node for name in node.input if name in ends)
    return found + Counter(value.name for value in graph.output if value.name in ends)


@pytest.mark.parametrize("arguments", FORMATS)
def test_every_reader_has_a_pair_and_the_numbers_stay(arguments: dict[str, Any], tmp_path: Path) -> None:
    shared, own = (quantized(tmp_path, dedicated, arguments) for dedicated in (False, True))
    assert max(readers(shared).values()) > 1
    assert set(readers(own).values()) == {1}
    assert sum(readers(own).values()) == sum(readers(shared).values())
    x = random(2, 3, 6, 6, seed=5)
    for want, got in zip(run(shared, {"x": x}), run(own, {"x": x}), strict=True):
        np.testing.assert_array_equal(got, want)


def test_names_are_numbered(tmp_path: Path) -> None:
    names = {node.name for node in onnx.load(quantized(tmp_path, True, {})).graph.node}
    assert {"g_QuantizeLinear_1", "g_DequantizeLinear_2", "h_QuantizeLinear", "x_QuantizeLinear"} <= names
    assert not {"g_QuantizeLinear", "x_QuantizeLinear_1"} & names


def test_what_a_subgraph_reads_keeps_its_pair() -> None:
    proto = model(
        """agraph (float[4] x, bool c) => (float[4] y, float[4] z) {
            q = QuantizeLinear (x, s, o)
            d = DequantizeLinear (q, s, o)
            z = Neg (d)
            y = If (c) <
                then_branch = one () => (float[4] t) { t = Abs (d) },
                else_branch = two () => (float[4] e) { e = Neg (d) }
            >
        }""",
        s=np.asarray(0.5, np.float32),
        o=np.asarray(0, np.int8),
    )
    feeds = {"x": random(4), "c": np.asarray(True)}
    want = run(proto, feeds)
    dedicate_pairs(proto)
    onnx.checker.check_model(proto, full_check=True)
    assert [node.op_type for node in proto.graph.node].count("DequantizeLinear") == 2
    for before, after in zip(want, run(proto, feeds), strict=True):
        np.testing.assert_array_equal(after, before)
