"""VitisQuantFormat.BFPFixNeuron as scripts ask for it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import vai_q_onnx
from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import import_model
from quantforge.quantization.recipe import Override
from tests.unit.frontends.onnx.text_models import random, run
from tests.unit.vai_q_onnx.test_quantize_static import Reader, network
from vai_q_onnx.block_formats import attributes_from, store_in_blocks
from vai_q_onnx.options import Options, recipe_of

X = {"x": random(16, 3, 8, 8, seed=99)}


@pytest.mark.parametrize(
    ("extra", "least_db"),
    [
        ({}, 30),
        ({"bfp_method": "to_bfp_prime_shared", "bit_width": 16}, 35),
        ({"bit_width": 24, "block_size": 8}, 80),
    ],
)
def test_the_file_runs_and_says_its_format(extra: dict[str, Any], least_db: float, tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "float.onnx")
    vai_q_onnx.quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "q.onnx",
        Reader(),
        quant_format=vai_q_onnx.VitisQuantFormat.BFPFixNeuron,
        extra_options=extra,
        print_summary=False,
    )
    proto = onnx.load(tmp_path / "q.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert {(entry.domain, entry.version) for entry in proto.opset_import} == {
        ("", 18),
        ("com.vai.quantize", 1),
    }
    nodes = [node for node in proto.graph.node if node.op_type == "BFPFixNeuron"]
    attributes = vars(attributes_from(extra))
    for node in nodes:
        said = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        assert {
            key: value.decode() if isinstance(value, bytes) else value for key, value in said.items()
        } == attributes
    want, got = run(network(), X)[0], run(proto, X)[0]
    assert 10 * np.log10((want**2).sum() / ((want - got) ** 2).sum()) > least_db


def test_the_report_measures_and_overrides_hold() -> None:
    recipe = recipe_of(Options()).with_overrides((Override(op="c1", keep_float=True),))
    stored, report = store_in_blocks(
        import_model(network()), Reader(), recipe, attributes_from({}), ("CPUExecutionProvider",)
    )
    assert not stored.has_value("w1_DequantizeLinear_Output") and stored.has_value(
        "w2_DequantizeLinear_Output"
    )
    assert report.outputs[0].sqnr_db is not None and report.outputs[0].sqnr_db > 25
    assert Counter(op.kind for op in stored.ops)["fake-quantize"] == 10


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ({"bfp_method": "to_bfp9"}, "Q0612 bfp_method: found 'to_bfp9'"),
        ({"rounding_mode": 1}, "Q0612 rounding_mode: found 1"),
        ({"bit_width": 40}, "Q1475 block format: found 40 bits"),
        ({"bit_width": "15"}, r"Q0702 extra_options\['bit_width'\]: found '15'; expected a whole number"),
    ],
)
def test_formats_that_do_not_exist(extra: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        attributes_from(extra)


def test_a_model_with_nothing_to_store_is_refused() -> None:
    recipe = recipe_of(Options()).with_overrides((Override(op="*", keep_float=True),))
    with pytest.raises(InputError, match="Q0507"):
        store_in_blocks(
            import_model(network()), Reader(), recipe, attributes_from({}), ("CPUExecutionProvider",)
        )
