"""The function as scripts call it."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import CalibrationDataReader

import vai_q_onnx
from quantforge.diagnostics import InputError
from quantforge.graph import Array
from tests.unit.frontends.onnx.text_models import model, random, run
from vai_q_onnx.quantize_static import native_type

NET = """agraph (float[n, 3, 8, 8] x) => (float[n, 4] y) {
    [c1] c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w1, b1)
    [n1] n = BatchNormalization (c, gamma, beta, mean, var)
    [r1] r = Relu (n)
    [a1] k = Add (r, offset)
    [d1] d = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 4> (k, w2)
    [s1] s = Add (d, r)
    [p1] p = GlobalAveragePool (s)
    [f1] f = Flatten (p)
    [g1] y = Gemm <alpha = 0.5, transB = 1> (f, w3, b3)
}"""
GUIDE = {
    "NPU CNN": {
        "quant_format": vai_q_onnx.QuantFormat.QDQ,
        "calibrate_method": vai_q_onnx.PowerOfTwoMethod.MinMSE,
        "activation_type": vai_q_onnx.QuantType.QUInt8,
        "weight_type": vai_q_onnx.QuantType.QInt8,
        "enable_dpu": True,
        "extra_options": {"ActivationSymmetric": True},
    },
    "NPU transformer": {
        "quant_format": vai_q_onnx.QuantFormat.QDQ,
        "calibrate_method": vai_q_onnx.CalibrationMethod.MinMax,
        "activation_type": vai_q_onnx.QuantType.QInt8,
        "weight_type": vai_q_onnx.QuantType.QInt8,
    },
    "CPU CNN": {
        "quant_format": vai_q_onnx.QuantFormat.QDQ,
        "calibrate_method": vai_q_onnx.CalibrationMethod.MinMax,
        "activation_type": vai_q_onnx.QuantType.QUInt8,
        "weight_type": vai_q_onnx.QuantType.QInt8,
    },
}


class Reader(CalibrationDataReader):
    """Written as the documents of ONNX Runtime show."""

    def __init__(self, batches: int = 4) -> None:
        self.enum_data = iter([{"x": random(2, 3, 8, 8, seed=seed)} for seed in range(batches)])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.enum_data, None)


class DuckTyped:
    """No subclass of anything."""

    def __init__(self) -> None:
        self.left = 2

    def get_next(self) -> dict[str, Array] | None:
        self.left -= 1
        return {"x": random(1, 3, 8, 8, seed=self.left)} if self.left >= 0 else None


def network() -> Any:
    norm = {"beta": random(4, seed=3), "mean": random(4, seed=4)}
    positive = {"gamma": 1 + random(4, seed=5) ** 2, "var": 1 + random(4, seed=6) ** 2}
    weights = {
        "w1": random(4, 3, 3, 3),
        "b1": random(4),
        "w2": random(4, 1, 3, 3),
        "w3": random(4, 4),
        "b3": random(4),
    }
    return model(NET, **norm, **positive, **weights, offset=random(1, 4, 1, 1, seed=9) - 1)


@pytest.fixture
def paths(tmp_path: Path) -> tuple[str, str]:
    onnx.save(network(), tmp_path / "float.onnx")
    return str(tmp_path / "float.onnx"), str(tmp_path / "quantized.onnx")


def sqnr_db(paths: tuple[str, str]) -> float:
    x = random(16, 3, 8, 8, seed=99)
    want, got = run(paths[0], {"x": x})[0], run(paths[1], {"x": x})[0]
    return float(10 * np.log10((want**2).sum() / ((want - got) ** 2).sum()))


def quantize(paths: tuple[str, str], reader: Any = None, **arguments: Any) -> None:
    arguments = {"print_summary": False, **arguments}
    result: Any = vai_q_onnx.quantize_static(*paths, reader or Reader(), **arguments)  # type: ignore[func-returns-value]
    assert result is None


def parameters(path: str, op_type: str) -> dict[str, tuple[float, str, int]]:
    """Scale, integer type and zero point by node, of all QuantizeLinear or DequantizeLinear nodes."""
    proto = onnx.load(path)
    params = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    nodes = [node for node in proto.graph.node if node.op_type == op_type]
    rows = ((node.name, params[node.input[1]], params[node.input[2]]) for node in nodes)
    return {name: (float(scale.flat[0]), zero.dtype.name, int(zero.flat[0])) for name, scale, zero in rows}


@pytest.mark.parametrize("name", GUIDE)
def test_the_guides_configurations_run_as_they_are(name: str, paths: tuple[str, str]) -> None:
    quantize(paths, **GUIDE[name])
    onnx.checker.check_model(paths[1], full_check=True)
    assert sqnr_db(paths) > 25, "8 bits through four layers"


def test_uint8_on_an_npu_is_int8_moved_by_128(paths: tuple[str, str]) -> None:
    quantize(paths, **GUIDE["NPU CNN"])
    unsigned = {**parameters(paths[1], "QuantizeLinear"), **parameters(paths[1], "DequantizeLinear")}
    activations = parameters(paths[1], "QuantizeLinear")
    assert {row[1:] for row in activations.values()} == {("uint8", 128)}
    quantize(paths, **GUIDE["NPU CNN"] | {"activation_type": vai_q_onnx.QuantType.QInt8})
    signed = {**parameters(paths[1], "QuantizeLinear"), **parameters(paths[1], "DequantizeLinear")}
    assert {row[1:] for row in signed.values()} == {("int8", 0)}
    assert {name: row[0] for name, row in unsigned.items()} == {name: row[0] for name, row in signed.items()}
    assert all(np.frexp(scale)[0] == 0.5 for scale, _, _ in signed.values())


def test_unsigned_weights_have_zero_in_the_middle(paths: tuple[str, str]) -> None:
    quantize(paths, weight_type=vai_q_onnx.QuantType.QUInt8)
    found = parameters(paths[1], "DequantizeLinear")
    assert found["w2_DequantizeLinear"][1:] == ("uint8", 128)
    assert sqnr_db(paths) > 25


def test_the_defaults_are_those_of_the_guide() -> None:
    found = {name: p.default for name, p in inspect.signature(vai_q_onnx.quantize_static).parameters.items()}
    assert list(found)[:5] == [
        "model_input",
        "model_output",
        "calibration_data_reader",
        "quant_format",
        "calibrate_method",
    ]
    assert found["quant_format"] is vai_q_onnx.QuantFormat.QDQ
    assert found["calibrate_method"] is vai_q_onnx.PowerOfTwoMethod.MinMSE
    assert found["activation_type"] is found["weight_type"] is vai_q_onnx.QuantType.QInt8
    assert found["optimize_model"] is True
    assert not any(isinstance(default, list | dict) for default in found.values()), (
        "nothing shared between calls"
    )


def test_none_and_empty_stand_for_the_default(paths: tuple[str, str]) -> None:
    names = ("input_nodes", "output_nodes", "op_types_to_quantize", "nodes_to_quantize", "nodes_to_exclude")
    files = []
    for empty in (None, []):
        quantize(
            paths,
            **dict.fromkeys(names, empty),
            extra_options=None if empty is None else {},
            execution_providers=empty,
        )
        files.append(Path(paths[1]).read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"inclue_cle": True}, {"include_cle": True}),
        ({"use_dpu": True}, {"enable_dpu": True}),
        ({"enable_ipu_cnn": True}, {"enable_dpu": True}),
        ({"enable_ipu_transformer": True}, {}),
        ({"fp16_fp32_convert": False}, {}),
    ],
)
def test_older_names_do_the_same(older: Any, newer: Any, paths: tuple[str, str]) -> None:
    quantize(paths, **older)
    first = Path(paths[1]).read_bytes()
    quantize(paths, **newer)
    assert Path(paths[1]).read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"enable_dpu": True, "use_dpu": False},
            "Q0702 use_dpu: found False; expected the same as enable_dpu=True",
        ),
        ({"enable_dpu": "yes"}, "Q0702 enable_dpu: found 'yes'; expected True or False"),
        ({"enable_dpu": True, "enable_ipu_transformer": True}, "Q0704 enable_ipu_transformer=True"),
        ({"nodes_to_exclude": "c1"}, r"Q0702 nodes_to_exclude: found 'c1'; .*try: \['c1'\]"),
        ({"nodes_to_exclude": ["c2"]}, "Q0706 nodes_to_exclude: found 'c2'"),
        ({"execution_providers": ["NoSuchProvider"]}, "Q0708 execution_providers: found 'NoSuchProvider'"),
        ({"extra_options": {"CLESteps": "many"}}, "Q0702 extra_options..CLESteps"),
    ],
)
def test_bad_arguments_are_named(arguments: Any, text: str, paths: tuple[str, str]) -> None:
    with pytest.raises(InputError, match=text):
        quantize(paths, **arguments)
    assert not Path(paths[1]).exists()


def test_debug_mode_writes_what_was_decided(paths: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "vai_q_onnx"):
        quantize(paths, debug_mode=True)
    text = Path(f"{paths[1]}.debug.txt").read_text("utf-8")
    assert "fold-batch-norm: n1: folded into c1" in text and "fold-batch-norm: n1" in caplog.text
    assert "@int8(position=" in text
    with pytest.raises(InputError, match="Q0702 debug_mode: found 1"):
        quantize(paths, debug_mode=1)


def test_the_output_is_tried_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Q0601 "):
        vai_q_onnx.quantize_static("absent.onnx", tmp_path / "no" / "q.onnx", None)


def test_any_object_with_get_next_will_do(paths: tuple[str, str]) -> None:
    quantize(paths, DuckTyped())
    assert sqnr_db(paths) > 20


def test_without_a_reader_the_data_is_random(paths: tuple[str, str]) -> None:
    vai_q_onnx.quantize_static(*paths, None, print_summary=False)
    assert parameters(paths[1], "QuantizeLinear")["x_QuantizeLinear"][0] == 2.0**-7, "uniform in [0, 1)"
    with pytest.raises(InputError, match=r"Q02\d\d "):
        vai_q_onnx.quantize_static(
            *paths, None, random_data_reader_input_shape=[1, 3, 9, 9], print_summary=False
        )


@pytest.mark.parametrize(
    ("arguments", "quantized"),
    [
        ({"op_types_to_quantize": ["Conv"]}, {"x", "n", "k", "d"}),
        ({"nodes_to_exclude": ["g1", "n1"]}, {"x", "r", "k", "d", "s", "p", "f"}),
        ({"nodes_to_quantize": ["c1"]}, {"x", "n"}),
        ({"output_nodes": ["r1"]}, {"x", "r"}),
        ({"input_nodes": ["g1"]}, {"f", "y"}),
    ],
)
def test_selected_nodes(arguments: Any, quantized: set[str], paths: tuple[str, str]) -> None:
    quantize(paths, **arguments)
    found = parameters(paths[1], "QuantizeLinear")
    assert {name.removesuffix("_QuantizeLinear") for name in found} == quantized


def test_batch_normalization_stays_when_nothing_is_optimized(paths: tuple[str, str]) -> None:
    quantize(paths, optimize_model=False)
    assert "BatchNormalization" in [node.op_type for node in onnx.load(paths[1]).graph.node]
    quantize(paths)
    assert "BatchNormalization" not in [node.op_type for node in onnx.load(paths[1]).graph.node]


def test_external_data_goes_to_a_file_beside_the_model(tmp_path: Path) -> None:
    proto = model(
        "agraph (float[n, 64] x) => (float[n, 64] y) { y = Gemm (x, w) }", w=random(64, 64)
    )  # fmt: skip
    paths = str(tmp_path / "float.onnx"), str(tmp_path / "q.onnx")
    onnx.save(proto, paths[0])
    vai_q_onnx.quantize_static(*paths, None, use_external_data_format=True, print_summary=False)
    assert (tmp_path / "q.onnx.data").stat().st_size == 64 * 64
    run(paths[1], {"x": random(1, 64)})


def test_the_report_is_printed_or_logged(
    paths: tuple[str, str], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "vai_q_onnx"):
        quantize(paths, print_summary=True)
        assert "SQNR" in capsys.readouterr().out and "SQNR" not in caplog.text
        quantize(paths, print_summary=False)
        assert capsys.readouterr().out == "" and "SQNR" in caplog.text


def test_a_large_pool_is_split_for_a_dpu(paths: tuple[str, str]) -> None:
    onnx.save(
        model(
            "agraph (float[n,3,32,32] x) => (float[n,3,1,1] y) { r = Relu (x) [g] y = GlobalAveragePool (r) }"
        ),
        paths[0],
    )
    vai_q_onnx.quantize_static(*paths, None, enable_dpu=True, print_summary=False)
    assert len([node for node in onnx.load(paths[1]).graph.node if "Pool" in node.op_type]) == 0
    assert any(node.name == "r_Split" for node in onnx.load(paths[1]).graph.node)
    off = {"SplitLargeKernelPool": False}
    vai_q_onnx.quantize_static(*paths, None, enable_dpu=True, extra_options=off, print_summary=False)
    assert not any(node.name == "r_Split" for node in onnx.load(paths[1]).graph.node)


def test_the_type_of_a_node_survives_folded_factors() -> None:
    from quantforge.frontends.onnx import import_model

    types = [native_type(op) for op in import_model(network()).ops]
    assert types[0] == "Conv" and types[-1] == "Gemm" and "BatchNormalization" in types
