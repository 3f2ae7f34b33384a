from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph.quantize import dequantize_value, fake_quantize_value, quantize_value
from quantforge.graph.spec import QuantSpec
from quantforge.numerics.formats import BFLOAT16, FLOAT16, INT8, UINT8, IntFormat
from quantforge.numerics.rounding import Rounding

SPECS = {
    "power of two": QuantSpec.power_of_two(INT8, 4, Rounding.HALF_UP),
    "affine": QuantSpec(UINT8, (0.1,), (128,)),
    "per axis": QuantSpec(IntFormat(8, narrow=True), (0.1, 0.2, 0.4), (0, 0, 0), axis=1),
    "int32": QuantSpec(IntFormat(32), (1e-6,), (0,)),
    "float16": QuantSpec(FLOAT16),
    "bfloat16": QuantSpec(BFLOAT16),
}
X = np.array([[0.03125, -7.77, 1e6], [-0.0, 8.0, -np.inf]], np.float32)


@pytest.mark.parametrize("name", SPECS)
def test_fake_is_there_and_back(name: str) -> None:
    spec = SPECS[name]
    fake = fake_quantize_value(X, spec)
    assert fake.tobytes() == dequantize_value(quantize_value(X, spec), spec).tobytes()
    assert np.isfinite(fake).all()
    assert fake_quantize_value(fake, spec).tobytes() == fake.tobytes()


def test_storage_types() -> None:
    stored = {name: quantize_value(X, spec).dtype.name for name, spec in SPECS.items()}
    assert stored == {
        "power of two": "int8",
        "affine": "uint8",
        "per axis": "int8",
        "int32": "int32",
        "float16": "float16",
        "bfloat16": "uint16",
    }


def test_the_rounding_of_the_spec_is_used() -> None:
    tie = [0.5 / 16, -0.5 / 16]
    assert quantize_value(tie, QuantSpec.power_of_two(INT8, 4, Rounding.HALF_UP)).tolist() == [1, 0]
    assert quantize_value(tie, QuantSpec.power_of_two(INT8, 4, Rounding.HALF_AWAY)).tolist() == [1, -1]


def test_errors_name_the_tensor() -> None:
    with pytest.raises(InputError, match="Q0305 conv1/out: found NaN in 1 of 1 values"):
        fake_quantize_value([np.nan], SPECS["affine"], where="conv1/out")
    with pytest.raises(InputError, match="Q0308 conv1/w"):
        dequantize_value(np.zeros((2, 2), np.int8), SPECS["per axis"], where="conv1/w")
