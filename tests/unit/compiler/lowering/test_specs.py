from __future__ import annotations

import numpy as np
import pytest

from quantforge.compiler.lowering.specs import constant_data, fix_attrs
from quantforge.diagnostics import InputError, InternalError
from quantforge.graph import QuantSpec, Value
from quantforge.numerics.formats import BFLOAT16, INT8, INT16, INT32, UINT8, Format, IntFormat
from quantforge.numerics.rounding import Rounding


def attrs(spec: QuantSpec, const: bool = False) -> dict[str, object]:
    data = np.zeros(3, np.float32) if const else None
    return {name: attr.value for name, attr in fix_attrs(Value("v", (3,), const=data, quant=spec)).items()}


@pytest.mark.parametrize(("form", "bits", "signed"), [(INT8, 8, True), (UINT8, 8, False), (INT16, 16, True)])
@pytest.mark.parametrize("position", [-3, 0, 7, 20])
def test_powers_of_two(form: Format, bits: int, signed: bool, position: int) -> None:
    spec = QuantSpec.power_of_two(form, position)
    expected = {"fix_point": position, "bit_width": bits, "if_signed": signed, "round_mode": "PY3_ROUND"}
    assert attrs(spec) == expected


@pytest.mark.parametrize(
    ("rounding", "mode"),
    [
        (Rounding.HALF_EVEN, "PY3_ROUND"),
        (Rounding.HALF_UP, "DPU_ROUND"),
        (Rounding.HALF_AWAY, "STD_ROUND"),
    ],
)
def test_rounding(rounding: Rounding, mode: str) -> None:
    assert attrs(QuantSpec.power_of_two(INT8, 3, rounding))["round_mode"] == mode


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (QuantSpec(INT8, (0.3,)), "scale 0.3"),
        (QuantSpec(INT8, (0.5,), (3,)), "zero point 3"),
        (QuantSpec(INT8, (0.5, 0.25, 1.0), (0, 0, 0), 0), "3 scales along axis 0"),
        (QuantSpec(BFLOAT16), "format bfloat16"),
        (QuantSpec.power_of_two(IntFormat(8, narrow=True), 3), "the narrow range of int8n"),
        (QuantSpec.power_of_two(INT8, 3, Rounding.FLOOR), "rounding floor"),
    ],
)
def test_what_no_fix_can_say(spec: QuantSpec, found: str) -> None:
    with pytest.raises(InputError) as error:
        attrs(spec)
    diagnostic = error.value.diagnostic
    assert (diagnostic.code, diagnostic.found) == ("Q1152", found)
    assert "'v'" in diagnostic.where and "dpu-cnn" in diagnostic.fix


def test_constants_are_rounded_before_they_are_written() -> None:
    spec = QuantSpec.power_of_two(IntFormat(8, narrow=True), 0, Rounding.FLOOR)
    data = np.array([-128.0, 1.75, 200.0], np.float32)
    value = Value("w", (3,), const=data, quant=spec)
    assert constant_data(value).tolist() == [-127.0, 1.0, 127.0]
    assert attrs(spec, const=True)["bit_width"] == 8  # what the fix would do otherwise has happened already
    assert constant_data(Value("w", (3,), const=data)) is data


def test_integers_that_float32_cannot_hold() -> None:
    spec = QuantSpec.power_of_two(INT32, 0)
    small = Value("b", (1,), const=np.array([2.0**23], np.float32), quant=spec)
    assert constant_data(small).tolist() == [2.0**23]
    with pytest.raises(InputError, match="Q1152"):
        constant_data(Value("b", (1,), const=np.array([2.0**30], np.float32), quant=spec))


def test_a_value_without_a_spec_is_a_bug() -> None:
    with pytest.raises(InternalError, match="Q1190"):
        fix_attrs(Value("v", (3,)))
