"""Every argument and every key of `extra_options` of `quantize_static` changes the model as documented.

Each row of `EFFECTS` is quantized without and with its value; what differs is looked at in the written file. What
other files test in more depth is in `ELSEWHERE`. The page docs/vai_q_onnx.md lists both.
"""

from __future__ import annotations

import ast
import inspect
import logging
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

import vai_q_onnx
from quantforge.diagnostics import InputError
from tests.doors.everything import SIDE, Reader, Written, everything
from tests.unit.frontends.onnx.text_models import model as text_model
from tests.unit.frontends.onnx.text_models import random, run
from vai_q_onnx import CalibrationMethod, PowerOfTwoMethod, QuantFormat, QuantType, VitisQuantFormat
from vai_q_onnx.options import EXTRA

ROOT = Path(__file__).parents[2]
Check = Callable[[Written, Written], bool]
FLOAT_SCALES = {"calibrate_method": CalibrationMethod.MinMax}
DPU = {"enable_dpu": True}


def stored(*names: str, left: tuple[str, ...] = ()) -> Check:
    """With the option exactly these of both lists are quantized; without it all are."""
    return lambda off, on: (
        all(on.stored(name) for name in names)
        and not any(on.stored(name) for name in left)
        and all(off.stored(name) for name in (*names, *left))
    )


def counts(op_type: str, off_count: int, on_count: int) -> Check:
    return lambda off, on: (off.count(op_type), on.count(op_type)) == (off_count, on_count)


def scales(name: str, holds: Callable[[float, float], bool]) -> Check:
    return lambda off, on: holds(off.scale(name), on.scale(name))


def is_sixteen_bit(scale: float) -> bool:
    return any(abs(scale * 2**n - round(scale * 2**n)) < 1e-9 and scale * 2**n < 2**15 for n in range(17))


def saturated(found: Any, bits: int) -> bool:
    return bool(np.abs(found.astype(int)).max() < 2 ** (bits - 1))


# name -> (value, arguments around it, what differs)
EFFECTS: dict[str, tuple[Any, dict[str, Any], Check]] = {
    "quant_format": (QuantFormat.QOperator, {}, counts("QLinearConv", 0, 5)),
    "calibrate_method": (PowerOfTwoMethod.NonOverflow, {}, lambda off, on: differ(off, on)),
    "input_nodes": (["c3"], {}, stored("lr", "y", left=("x", "r1"))),
    "output_nodes": (["c3"], {}, stored("x", "r1", "k6", left=("y", "ad"))),
    "op_types_to_quantize": (["Conv"], {}, stored("x", "c3", left=("ad", "y", "sw"))),
    "nodes_to_quantize": (["c2"], {}, stored("r1", left=("x", "lr", "ad", "y"))),
    "nodes_to_exclude": (["m2", "y"], {}, stored("x", "rs", left=("y", "m2"))),
    "per_channel": (
        True,
        FLOAT_SCALES,
        lambda off, on: on.arrays["w1_scale"].size == 4 > off.arrays["w1_scale"].size,
    ),
    "reduce_range": (True, FLOAT_SCALES, lambda off, on: saturated(on.weights("w2"), 7)),
    "activation_type": (
        QuantType.QUInt8,
        {},
        lambda off, on: (off.zero("x").dtype, on.zero("x").dtype) == ("i1", "u1"),
    ),
    "weight_type": (QuantType.QUInt8, {}, lambda off, on: on.weights("w2").dtype == np.uint8),
    "optimize_model": (False, {}, counts("BatchNormalization", 0, 1)),
    "enable_dpu": (
        True,
        {},
        lambda off, on: (off.arrays["b2_quantized"].dtype, on.arrays["b2_quantized"].dtype) == ("i4", "i1"),
    ),
    "include_cle": (True, {}, lambda off, on: not np.array_equal(off.weights("w2"), on.weights("w2"))),
    "ActivationSymmetric": (
        True,
        {**FLOAT_SCALES, "activation_type": QuantType.QUInt8},
        lambda off, on: int(off.zero("ad")) != 128 == int(on.zero("ad")),
    ),
    "WeightSymmetric": (False, FLOAT_SCALES, lambda off, on: int(off.zero("w2")) == 0 != int(on.zero("w2"))),
    "UseUnsignedReLU": (
        True,
        {"activation_type": QuantType.QUInt8, "ActivationSymmetric": True},
        lambda off, on: (int(off.zero("r1")), int(on.zero("r1"))) == (128, 0),
    ),
    "QuantizeBias": (False, {}, lambda off, on: "b2_quantized" in off.arrays and "b2" in on.arrays),
    "AddQDQPairToWeight": (True, {}, lambda off, on: "w2" in on.arrays and "w2" not in off.arrays),
    "OpTypesToExcludeOutputQuantization": (["Sub"], {}, stored("gp", "ad", left=("su",))),
    "DedicatedQDQPair": (
        True,
        {},
        lambda off, on: on.count("DequantizeLinear") > off.count("DequantizeLinear"),
    ),
    "UseQDQVitisCustomOps": (
        False,
        {"quant_format": VitisQuantFormat.QDQ},
        lambda off, on: (
            {n.domain for n in off.nodes} >= {"com.vai.quantize"}
            and {n.domain for n in on.nodes} >= {"ai.onnx.contrib"}
        ),
    ),
    "CalibTensorRangeSymmetric": (
        False,
        {"activation_type": QuantType.QUInt8},
        lambda off, on: (int(off.zero("r1")), int(on.zero("r1"))) == (128, 0),
    ),
    "CalibMovingAverage": (True, FLOAT_SCALES, scales("x", lambda off, on: on < off / 2)),
    "CalibMovingAverageConstant": (
        0.9,
        {**FLOAT_SCALES, "CalibMovingAverage": True},
        scales("x", lambda off, on: on > 1.5 * off),
    ),
    "Int16Scale": (
        True,
        FLOAT_SCALES,
        scales("x", lambda off, on: is_sixteen_bit(on) and not is_sixteen_bit(off)),
    ),
    "MinMSEMode": ("MostCommon", {}, lambda off, on: on.arrays["x_scale"].size == 1 and differ(off, on)),
    "extra.Sigmoid.nnapi": (
        True,
        {"activation_type": QuantType.QUInt8},
        lambda off, on: on.scale("sg") == 1 / 256 and int(on.zero("sg")) == 0,
    ),
    "RemoveQDQConvLeakyRelu": (True, DPU, lambda off, on: off.stored("c3") and not on.stored("c3")),
    "RemoveQDQConvPRelu": (True, DPU, lambda off, on: off.stored("c4") and not on.stored("c4")),
    "ReplaceClip6Relu": (True, {}, lambda off, on: on.count("Clip") == off.count("Clip") - 1),
    "CLESteps": (0, {"include_cle": True}, lambda off, on: differ(off, on)),
    "CLETotalLayerDiffThreshold": (
        1e9,
        {"include_cle": True, "CLESteps": -1},
        lambda off, on: differ(off, on),
    ),
    "CLEScaleAppendBias": (False, {"include_cle": True}, lambda off, on: differ(off, on)),
    "IPULimitationCheck": (False, DPU, lambda off, on: differ(off, on)),
    "NPULimitationCheck": (False, DPU, lambda off, on: differ(off, on)),
    "SimulateDPU": (False, DPU, counts("Sigmoid", 0, 1)),
}

UNIT = "tests/unit/vai_q_onnx"
# name -> the test that shows its effect
ELSEWHERE = {
    **dict.fromkeys(
        ("model_input", "model_output", "calibration_data_reader", "extra_options"),
        (f"{UNIT}/test_quantize_static.py", "test_the_guides_configurations_run_as_they_are"),
    ),
    "random_data_reader_input_shape": (
        f"{UNIT}/test_quantize_static.py",
        "test_without_a_reader_the_data_is_random",
    ),
    "use_external_data_format": (
        f"{UNIT}/test_quantize_static.py",
        "test_external_data_goes_to_a_file_beside_the_model",
    ),
    "print_summary": (f"{UNIT}/test_quantize_static.py", "test_the_report_is_printed_or_logged"),
    "debug_mode": (f"{UNIT}/test_quantize_static.py", "test_debug_mode_writes_what_was_decided"),
    **dict.fromkeys(
        ("convert_fp16_to_fp32", "convert_nchw_to_nhwc"),
        (f"{UNIT}/test_model_changes.py", "test_both_without_a_reader"),
    ),
    **dict.fromkeys(
        ("RemoveInputInit",),
        (f"{UNIT}/test_input_constants.py", "test_they_stay_inputs_where_they_are_as_they_were"),
    ),
    "MatMulConstBOnly": (
        f"{UNIT}/test_operator_options.py",
        "test_products_of_two_computed_matrices_stay_float",
    ),
    "ForceQuantizeNoInputCheck": (
        f"{UNIT}/test_operator_options.py",
        "test_operators_that_move_data_can_be_forced",
    ),
    "EnableSubgraph": (f"{UNIT}/test_subgraphs.py", "test_the_option_quantizes_branches"),
    **dict.fromkeys(
        (
            *(
                "ConvertBNToConv",
                "ConvertReduceMeanToGlobalAvgPool",
                "SplitLargeKernelPool",
                "ConvertSplitToSlice",
            ),
            *("FuseInstanceNorm", "FuseL2Norm", "ConvertClipToRelu", "ConvertSoftmaxToDPUVersion"),
        ),
        (f"{UNIT}/test_dpu_options.py", "test_each_change_of_the_graph_on_and_off"),
    ),
    **dict.fromkeys(
        (
            *(
                "ConvertLeakyReluToDPUVersion",
                "ConvertSigmoidToHardSigmoid",
                "ConvertHardSigmoidToDPUVersion",
            ),
            *("ConvertAvgPoolToDPUVersion", "ConvertReduceMeanToDPUVersion"),
        ),
        (f"{UNIT}/test_dpu_options.py", "test_each_operator_computes_as_a_dpu_does"),
    ),
    "AlignConcat": (f"{UNIT}/test_dpu_options.py", "test_align_concat"),
    "AlignPool": (f"{UNIT}/test_dpu_options.py", "test_align_pool"),
    **dict.fromkeys(
        (
            *("AdjustShiftCut", "AdjustShiftBias", "AdjustShiftRead", "AdjustShiftWrite"),
            *("AdjustHardSigmoid", "AdjustShiftSwish"),
        ),
        ("tests/doors/test_vai_q_onnx_surface.py", "test_each_limit_moves_positions"),
    ),
    "execution_providers": (
        "tests/doors/test_vai_q_onnx_surface.py",
        "test_execution_providers_are_those_of_onnx_runtime",
    ),
    **dict.fromkeys(
        ("inclue_cle", "use_dpu", "enable_ipu_cnn", "enable_ipu_transformer", "fp16_fp32_convert"),
        (f"{UNIT}/test_quantize_static.py", "test_older_names_do_the_same"),
    ),
    "QDQOpTypePerChannelSupportToAxis": (
        f"{UNIT}/test_operator_options.py",
        "test_the_axis_of_output_channels_is_the_one_that_has_scales",
    ),
    "RandomDataReaderInputDataRange": (f"{UNIT}/test_random_reader.py", "test_ranges"),
    **dict.fromkeys(
        ("bfp_method", "bit_width", "block_size", "rounding_mode", "sub_block_size", "sub_block_shift_bits"),
        ("tests/doors/test_vai_q_onnx_surface.py", "test_each_attribute_of_blocks_is_on_the_nodes"),
    ),
}
NAMES = [*inspect.signature(vai_q_onnx.quantize_static).parameters, *EXTRA]


def differ(off: Written, on: Written) -> bool:
    """Whether any constant of the two is another."""
    return off.arrays.keys() != on.arrays.keys() or any(
        not np.array_equal(off.arrays[name], on.arrays[name]) for name in off.arrays
    )


@cache
def model() -> Any:
    return everything()


def quantized(path: Path, arguments: dict[str, Any]) -> Written:
    """The network, quantized; keys of `extra_options` may be among the arguments."""
    extra = {name: value for name, value in arguments.items() if name in EXTRA}
    rest = {name: value for name, value in arguments.items() if name not in EXTRA}
    vai_q_onnx.quantize_static(model(), path, Reader(), extra_options=extra, print_summary=False, **rest)
    return Written(str(path))


def plain(folder: Path, arguments: dict[str, Any]) -> Written:
    """The network without the option, made once for the same arguments around it."""
    key = repr(sorted(arguments.items()))
    if key not in _PLAIN:
        _PLAIN[key] = quantized(folder / "plain.onnx", arguments)
    return _PLAIN[key]


_PLAIN: dict[str, Written] = {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("surface")


@pytest.mark.parametrize("name", EFFECTS)
def test_it_changes_the_model(name: str, folder: Path) -> None:
    value, around, holds = EFFECTS[name]
    off = plain(folder, around)
    on = quantized(folder / "changed.onnx", {**around, name: value})
    assert holds(off, on)
    onnx.checker.check_model(on.proto, full_check=True)
    x = random(2, 3, SIDE, SIDE, seed=50)
    want, got = run(model(), {"x": x})[0], run(str(folder / "changed.onnx"), {"x": x})[0]
    assert np.abs(want - got).mean() < 0.05, "it still is this network"


def test_every_name_is_in_one_of_the_tables() -> None:
    assert sorted(NAMES) == sorted([*EFFECTS, *ELSEWHERE])


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_other_tests_are_there_and_speak_of_it(name: str) -> None:
    file, function = ELSEWHERE[name]
    text = (ROOT / file).read_text("utf-8")
    assert function in {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    assert re.search(rf"\b{re.escape(name)}\b", text) or name in (
        "model_input",
        "model_output",
        "calibration_data_reader",
    )


def test_the_page_lists_every_name_with_its_test() -> None:
    page = (ROOT / "docs" / "vai_q_onnx.md").read_text("utf-8")
    table = page.partition("## Which test shows it")[2].partition("\n## ")[0]
    rows = [row.split("|")[1:3] for row in table.splitlines() if row.startswith("| `")]
    listed = {name: test.strip() for names, test in rows for name in re.findall(r"`([^`]+)`", names)}
    assert set(listed) == set(NAMES)
    for name in EFFECTS:
        assert listed[name] == "`doors/test_vai_q_onnx_surface.py::test_it_changes_the_model`"
    for name, (file, function) in ELSEWHERE.items():
        assert listed[name] == f"`{file.removeprefix('tests/')}::{function}`"


CONV = "[c] h = Conv <kernel_shape = [1, 1]> (x, w, b) [r] y = Relu (h)"
SUM = "[c] h = Conv <kernel_shape = [1, 1]> (x, w) [s] y = Add (x, h)"
TINY = (2.0**-20 * random(2, 2, 1, 1)).astype(np.float32)
LIMITS: dict[
    str, tuple[str, dict[str, Any], str, dict[str, bool]]
] = {  # body, constants, what moves, other options
    "AdjustShiftCut": (CONV, {"w": TINY, "b": np.ones(2, np.float32)}, "w", {"AdjustShiftBias": False}),
    "AdjustShiftBias": (
        CONV,
        {"w": TINY * np.float32(2**11), "b": np.array([-999, 0.01], np.float32)},
        "w",
        {},
    ),
    "AdjustShiftRead": (SUM, {"w": TINY}, "h", {}),
    "AdjustShiftWrite": ("[m] h = Mul (x, b) [s] y = Add (x, h)", {"b": np.float32(-0.999)}, "y", {}),
    "AdjustHardSigmoid": (
        "[m] h = Mul (x, b) [s] y = HardSigmoid <alpha = 0.16666667> (h)",
        {"b": np.float32(1e-6)},
        "h",
        {},
    ),
    "AdjustShiftSwish": (
        "[m] a = Mul (x, b) [k] k = Clip (a, zero, eight) [p] h = Sub (c, k) "
        "[s] g = HardSigmoid <alpha = 0.16666667> (h) [t] y = Mul (h, g)",
        {"b": np.float32(1e6), "c": np.float32(0.001), "zero": np.float32(0), "eight": np.float32(8)},
        "y",
        {"AdjustShiftWrite": False},
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_moves_positions(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    body, constants, moved, others = LIMITS[name]
    proto = text_model(f"agraph (float[n,2,4,4] x) => (float[n,2,4,4] y) {{ {body} }}", **constants)
    found, notices = {}, {}
    for on in (False, True):
        caplog.clear()
        batches = [{"x": random(2, 2, 4, 4, seed=seed)} for seed in range(3)]
        reader = SimpleNamespace(get_next=lambda left=batches: left.pop() if left else None)
        path, extra = tmp_path / "q.onnx", {name: on, "SimulateDPU": False, **others}
        with caplog.at_level(logging.WARNING, "vai_q_onnx"):
            vai_q_onnx.quantize_static(proto, path, reader, extra_options=extra, print_summary=False, **DPU)
        found[on], notices[on] = Written(str(path)).scale(moved), caplog.text
    assert found[True] != found[False]
    assert name not in notices[True], "within its bounds"


def test_execution_providers_are_those_of_onnx_runtime(folder: Path) -> None:
    quantized(folder / "q.onnx", {"execution_providers": ["CPUExecutionProvider"]})
    with pytest.raises(InputError, match="Q0708 execution_providers: found 'CUDAProvider'"):
        quantized(folder / "q.onnx", {"execution_providers": ["CUDAProvider"]})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("bit_width", 13), ("block_size", 8), ("rounding_mode", 0), ("bfp_method", "to_bfp_prime_shared")),
        *(("sub_block_size", 4), ("sub_block_shift_bits", 2)),
    ],
)
def test_each_attribute_of_blocks_is_on_the_nodes(name: str, value: Any, folder: Path) -> None:
    base: dict[str, Any] = {"quant_format": VitisQuantFormat.BFPFixNeuron}
    if name.startswith("sub_"):
        base["bfp_method"] = "to_bfp_prime_shared"
    written = quantized(folder / "blocks.onnx", {**base, name: value})
    nodes = [node for node in written.nodes if node.op_type == "BFPFixNeuron"]
    attributes = [{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} for node in nodes]
    wanted = value.encode() if isinstance(value, str) else value
    assert nodes and all(row[name] == wanted for row in attributes)
    if name == "rounding_mode":
        with pytest.raises(InputError, match="Q0612 rounding_mode: found 1"):
            quantized(folder / "blocks.onnx", {**base, name: 1})
    x = random(2, 3, SIDE, SIDE, seed=50)
    assert np.abs(run(str(folder / "blocks.onnx"), {"x": x})[0] - run(model(), {"x": x})[0]).mean() < 0.1


@pytest.mark.parametrize("name", ["input_nodes", "output_nodes", "nodes_to_quantize", "nodes_to_exclude"])
def test_a_name_that_matches_nothing_suggests_the_nearest(name: str, folder: Path) -> None:
    with pytest.raises(InputError, match=rf"Q0706 {name}: found 'c22'; .*try: 'c2'"):
        quantized(folder / "q.onnx", {name: ["c22"]})


def test_an_operator_type_that_matches_nothing_suggests_the_nearest(folder: Path) -> None:
    for name in ("op_types_to_quantize", "OpTypesToExcludeOutputQuantization"):
        with pytest.raises(InputError, match=rf"Q0706 .*{name}.*: found 'Konv'; .*try: 'Conv'"):
            quantized(folder / "q.onnx", {name: ["Konv"]})
    with pytest.raises(
        InputError, match=r"Q0706 .*QDQOpTypePerChannelSupportToAxis.*: found 'MatMull'; .*'MatMul'"
    ):
        quantized(
            folder / "q.onnx",
            {"per_channel": True, "QDQOpTypePerChannelSupportToAxis": {"MatMull": 1}, **FLOAT_SCALES},
        )
