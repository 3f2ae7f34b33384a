"""A model as JSON records, on a small model and on files of the original compiler."""

from __future__ import annotations

import json

import pytest

from quantforge.debugging.describe import (
    boundary,
    describe_attributes,
    describe_op,
    op_named,
    plain,
    subgraph_at,
    subgraph_list,
)
from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Attr, XModel
from quantforge.xmodel.read import read_xmodel
from tests.compiled_xmodels import classifier, dpu_part
from tests.published_xmodels import published


def test_subgraphs_come_in_the_order_in_which_they_run() -> None:
    rows = subgraph_list(classifier())["subgraphs"]
    assert [row["device"] for row in rows] == ["USER", "DPU", "CPU"]
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert set(rows[0]) == {"index", "name", "device"}
    (given,) = rows[1]["input_tensor"]
    assert given == {"index": 0, "name": "image_t", "shape": [1, 8, 8, 3], "fixpos": 6}
    (result,) = rows[1]["output_tensor"]
    assert (result["name"], result["shape"], result["fixpos"]) == ("logits_t", [1, 10], 1)


def test_registers_say_what_they_hold() -> None:
    model = classifier()
    part = dpu_part(model)
    part.attrs["reg_id_to_context_type"] = Attr("map_string_2_string", {"REG_0": "CONST", "REG_2": "DATA"})
    part.attrs["reg_id_to_context_type_v2"] = Attr(
        "map_string_2_string", {"REG_10": "WORKSPACE", "REG_2": "INTERFACE", "REG_3": "INTERFACE"}
    )
    part.attrs["reg_id_to_size"] = Attr("map_string_2_int32", {"REG_2": 192, "REG_10": 7})
    part.attrs["reg_id_to_parameter_value"] = Attr("map_string_2_bytes", {"REG_0": b"12345"})
    upload = next(op for op in model.ops.values() if op.kind == "upload")
    upload.tensor.attrs["reg_id"] = Attr("int32", 2)
    rows = subgraph_list(model)["subgraphs"][1]["reg info"]
    assert [tuple(row.values()) for row in rows] == [
        ("REG_0", "CONST", 5),
        ("REG_2", "DATA_LOCAL_INPUT", 192),
        ("REG_3", "DATA_LOCAL", 0),
        ("REG_10", "WORKSPACE", 7),
    ]


def test_an_operator_without_parameters_and_what_quantizers_noted() -> None:
    model = classifier()
    conv = next(op for op in model.ops.values() if op.kind == "conv2d-fix")
    conv.attrs["quant_in_bit_width"] = Attr("int32", 8)
    found = describe_op(model, conv.name)
    assert found["type"] == "conv2d-fix" and found["attrs"]["kernel"] == [3, 3]
    assert "quant_in_bit_width" not in found["attrs"]
    assert [row["index"] for row in found["inputs"]] == [0, 1, 2]
    assert found["outputs"] == {
        "tensor_name": conv.tensor.name, "shape": [1, 8, 8, 8], "data_type": "XINT8",
    }  # fmt: skip
    weights = describe_op(model, conv.args["weights"][0])
    assert "data" not in weights["attrs"] and weights["inputs"] == []


def test_a_tensor_s_name_finds_its_operator() -> None:
    assert op_named(classifier(), "logits_t").name == "logits"


def test_an_operator_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"Q1302 .*the nearest is 'logits'"):
        op_named(classifier(), "logit")


@pytest.mark.parametrize("index", [-1, 3])
def test_a_subgraph_that_is_not_there(index: int) -> None:
    with pytest.raises(InputError, match=r"Q1301 .*expected 0 to 2"):
        subgraph_at(classifier(), index)


def test_a_model_without_subgraphs_has_none_to_find() -> None:
    with pytest.raises(InputError, match=r"Q1301 .*has no subgraphs"):
        subgraph_at(XModel("flat"), 0)


def test_tensors_at_the_boundary_are_sorted_by_name() -> None:
    model = classifier()
    inputs, outputs = boundary(model, dpu_part(model))
    assert [op.name for op in inputs] == ["image"] and [op.name for op in outputs] == ["logits"]


def test_attributes_are_json() -> None:
    model = classifier()
    model.attrs["files_md5sum"] = Attr("map_string_2_string", {"a.onnx": "0" * 32})
    model.attrs["blob"] = Attr("bytes", b"\x00\xff")
    found = json.loads(json.dumps(describe_attributes(model)))
    assert found["attrs"]["files_md5sum"] == {"a.onnx": "0" * 32} and found["attrs"]["blob"]["size"] == 2
    assert found["root"] == {"device": "graph"} and plain((b"", 1)) == [plain(b""), 1]


def test_a_published_model_is_described_as_its_readme_says() -> None:
    model = read_xmodel(published("mnist_DPUCV2DX8G_ISA1_C20B14.xmodel"))
    rows = subgraph_list(model)["subgraphs"]
    assert [row["device"] for row in rows] == ["USER", "DPU", "CPU", "DPU", "CPU"]
    dpu = [row for row in rows if row["device"] == "DPU"]
    assert {row["fingerprint"] for row in dpu} == {"0x901400044000e44"}
    assert sum(row["workload"] for row in dpu) == 28885386
    types = {row["name"]: row["context type"] for row in dpu[0]["reg info"]}
    assert types == {
        "REG_0": "CONST", "REG_1": "WORKSPACE", "REG_2": "DATA_LOCAL_INPUT", "REG_3": "DATA_LOCAL_OUTPUT",
    }  # fmt: skip
