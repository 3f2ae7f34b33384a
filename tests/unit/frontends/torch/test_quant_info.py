from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError
from quantforge.frontends.torch.quant_info import (
    apply_json,
    graph_md5,
    node_names,
    ranges_of,
    to_json,
    type_name,
)
from quantforge.graph import Graph, Op, QuantSpec
from quantforge.numerics.formats import BFLOAT16, FLOAT16, INT8, UINT8
from quantforge.numerics.rounding import Rounding
from tests.networks import Net

UP = QuantSpec.power_of_two(INT8, 4, Rounding.HALF_UP)
CHANNELS = QuantSpec(INT8, (0.5, 0.25, 0.1, 0.2), (0, 0, 0, 0), 0)
AFFINE = QuantSpec(UINT8, (0.1,), (3,))


def quantized(**specs: QuantSpec) -> Graph:
    net = Net()
    graph = net.done(net.add("relu", "r", (net.conv("c", "x", 4),), 4))
    for name, spec in specs.items():
        value = graph.value(name.replace("__", "."))
        graph.set_value(replace(value, quant=spec))
    return graph


SPECS = {"x": UP, "c__w": CHANNELS, "c__b": QuantSpec.power_of_two(INT8, -2), "r__out": AFFINE}
UNIT = {
    "x": replace(UP, scale=(1.0,)),
    "c__w": replace(CHANNELS, scale=(1.0,) * 4),
    "c__b": QuantSpec(INT8),
    "r__out": QuantSpec(UINT8),
}


def test_names_types_and_entries_are_those_of_the_original() -> None:
    data = json.loads(to_json(quantized(**SPECS), "1.0", True, {"x": [0.1, 2.0]}))
    assert list(data) == [
        "param", "output", "input", "fast_finetuned", "bias_corrected", "version", "graph_md5", "channel_ranges"
    ]  # fmt: skip
    assert list(data["output"]) == ["net::nndct_input_0", "net::nndct_relu_2"]
    assert data["output"]["net::nndct_input_0"] == [[8, 4]]
    assert data["output"]["net::nndct_relu_2"] == [pytest.approx([8, 0.1, 3, 25.2])]
    assert data["param"]["net::c.b"] == [[8, -2]]
    assert data["param"]["net::c.w"][0][:3] == [8, [0.5, 0.25, 0.1, 0.2], [0, 0, 0, 0]]
    assert data["bias_corrected"] is True and data["fast_finetuned"] is False
    assert node_names(quantized()) == {
        "x": "net::nndct_input_0",
        "c": "net::nndct_conv2d_1",
        "r": "net::nndct_relu_2",
    }


def test_types_of_operators() -> None:
    types = {
        "nndct_dense": Op("inner-product", "a", (), ()),
        "nndct_elemwise_add": Op("eltwise-add", "a", (), ()),
        "nndct_adaptive_avg_pool2d": Op("avgpool2d", "a", (), (), {"global": True}),
        "nndct_depthwise_conv2d": Op("depthwise-conv2d", "a", (), ()),
        "aten_sort": Op("opaque", "a", (), (), {"type": "aten.sort"}),
    }
    assert {name: type_name(op) for name, op in types.items()} == {name: name for name in types}


def test_a_file_gives_back_the_steps() -> None:
    graph, text = quantized(**SPECS), to_json(quantized(**SPECS), "1.0", True, {"x": [0.1, 2.0]})
    found = apply_json(text, quantized(**UNIT), "file")
    for name in SPECS:
        value = name.replace("__", ".")
        assert found.value(value).quant == graph.value(value).quant


def test_files_of_other_models_are_refused() -> None:
    text = to_json(quantized(**SPECS), "1.0", True, {"x": [0.1, 2.0]})
    fewer = {name: spec for name, spec in UNIT.items() if name != "x"}
    other = Net()
    model = other.done(other.conv("c", "x", 4))
    assert graph_md5(model) != graph_md5(quantized())
    bad_entry = text.replace("[[8, 4]]", '[["a"]]')
    for given, planned in (
        ("{", quantized(**UNIT)),
        ("{}", quantized(**UNIT)),
        (text, quantized(**fewer)),
        (text.replace("net::c.b", "net::d.b"), quantized(**UNIT)),
        (text, model),
        (bad_entry, quantized(**UNIT)),
    ):
        with pytest.raises(InputError, match="Q1411 file"):
            apply_json(given, planned, "file")


def test_channel_ranges_come_back_and_files_of_the_original_have_none() -> None:
    assert ranges_of(to_json(quantized(**SPECS), "1.0", True, {"x": [0.1, 2.0]}), "file") == {"x": [0.1, 2.0]}
    assert ranges_of("{}", "file") == {}
    for text in ("{", "[]", '{"channel_ranges": {"x": 3}}'):
        with pytest.raises(InputError, match="Q1411 file"):
            ranges_of(text, "file")


def test_float_formats_have_a_section_for_their_names() -> None:
    specs = {"x": UP, "c__w": QuantSpec(BFLOAT16), "c__b": QuantSpec(FLOAT16), "r__out": QuantSpec(BFLOAT16)}
    text = to_json(quantized(**specs), "1.0", False, {})
    data = json.loads(text)
    assert data["param"] == {"net::c.w": [[16, None]], "net::c.b": [[16, None]]}
    assert data["dtype"] == {
        "param": {"net::c.w": ["bfloat16"], "net::c.b": ["float16"]},
        "output": {"net::nndct_input_0": ["int"], "net::nndct_relu_2": ["bfloat16"]},
        "input": {},
    }
    found = apply_json(text, quantized(**{**specs, "x": replace(UP, scale=(1.0,))}), "file")
    for name, spec in specs.items():
        assert found.value(name.replace("__", ".")).quant == spec
    for planned in (UNIT, {**specs, "c__w": QuantSpec(FLOAT16)}):
        with pytest.raises(InputError, match=r"Q1411 file: net::c\.[wb]: found datatype"):
            apply_json(text, quantized(**planned), "file")
    shorter = text.replace('["float16"]', "[]")
    with pytest.raises(InputError, match="1 entries"):
        apply_json(shorter, quantized(**specs), "file")


def test_one_channel_and_powers_of_two_per_channel_come_back() -> None:
    powers = QuantSpec(INT8, (0.5, 0.25, 0.125, 2.0), (0,) * 4, 0, Rounding.HALF_AWAY)
    affine = QuantSpec(UINT8, (0.1, 0.2, 0.3, 0.7), (3, 0, 255, 128), 0)
    for spec in (powers, affine):
        text = to_json(quantized(**{**SPECS, "c__w": spec}), "1.0", False, {})
        planned = {**UNIT, "c__w": replace(spec, scale=(1.0,) * 4, zero_point=(0,) * 4)}
        assert apply_json(text, quantized(**planned), "file").value("c.w").quant == spec
