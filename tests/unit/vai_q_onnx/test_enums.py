import onnxruntime.quantization as ort_quantization

import vai_q_onnx
from vai_q_onnx.enums import PowerOfTwoMethod, VitisQuantFormat, VitisQuantType


def test_members_have_the_documented_numbers() -> None:
    assert {m.name: m.value for m in PowerOfTwoMethod} == {"NonOverflow": 0, "MinMSE": 1}
    assert {m.name: m.value for m in VitisQuantFormat} == {"QDQ": 2, "FixNeuron": 3, "BFPFixNeuron": 4}
    assert {m.name: m.value for m in VitisQuantType} == {
        "QInt16": 3,
        "QUInt16": 4,
        "QInt32": 5,
        "QUInt32": 6,
        "QFloat16": 7,
        "QBFloat16": 8,
    }


def test_a_format_prints_as_its_name() -> None:
    assert str(VitisQuantFormat.FixNeuron) == "FixNeuron"
    assert VitisQuantFormat.from_string("FixNeuron") is VitisQuantFormat.FixNeuron


def test_the_others_are_those_of_onnx_runtime() -> None:
    for name in ("QuantType", "QuantFormat", "CalibrationMethod", "CalibrationDataReader"):
        assert getattr(vai_q_onnx, name) is getattr(ort_quantization, name)


def test_every_name_is_there() -> None:
    assert all(hasattr(vai_q_onnx, name) for name in vai_q_onnx.__all__)
    assert vai_q_onnx.__version__[0].isdigit()
