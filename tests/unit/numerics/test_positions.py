from __future__ import annotations

import numpy as np
import pytest
from onnxruntime.quantization.quant_utils import compute_scale_zp

from quantforge.diagnostics import InputError, explain
from quantforge.numerics.formats import INT8, INT16, UINT8, UINT16, IntFormat
from quantforge.numerics.positions import (
    affine_parameters,
    nearest_log_position,
    non_overflow_position,
    position_of_scale,
    scale_of_position,
)

K = np.arange(1001)
# vai_q_pytorch fact sheet 13.2: "scope 1", the start of the original's search, at 4, 8 and 16 bits.
ORIGINAL = {
    "1.7 sin": (1.7 * np.sin(0.37 * K), (2, 6, 14)),
    "k / 1000": (K / 1000, (2, 6, 14)),
    "constant -1": (np.full(16, -1.0), (3, 7, 15)),
    "constant +1": (np.full(16, 1.0), (2, 6, 14)),
    "0.01 sin and one 1.0": (np.append(0.01 * np.sin(0.37 * K), 1.0), (2, 6, 14)),
    "0.03 sin and one 0.04": (np.append(0.03 * np.sin(0.37 * K), 0.04), (7, 11, 19)),
    "0.3 k": (0.3 * K, (-6, -2, 6)),
    "0.0001 sin": (0.0001 * np.sin(0.37 * K), (16, 20, 28)),
}


@pytest.mark.parametrize("name", ORIGINAL)
def test_the_original_search_starts_here(name: str) -> None:
    values, expected = ORIGINAL[name]
    x = values.astype(np.float32)
    found = tuple(non_overflow_position(float(x.min()), float(x.max()), IntFormat(b)) for b in (4, 8, 16))
    assert found == expected


@pytest.mark.parametrize("position", [-127, -1, 0, 5, 126])
def test_positions_and_scales_are_inverse(position: int) -> None:
    assert position_of_scale(scale_of_position(position)) == position


@pytest.mark.parametrize("scale", [0.0, 0.3, -0.5, np.inf, np.nan])
def test_no_position(scale: float) -> None:
    assert position_of_scale(scale) is None


def test_the_end_may_lie_a_half_step_outside() -> None:
    assert non_overflow_position(0.0, 127.5, INT8) == 0
    assert non_overflow_position(0.0, np.nextafter(127.5, 128), INT8) == -1
    assert non_overflow_position(-128.5, 0.0, INT8) == 0
    assert non_overflow_position(-127.75, 0.0, IntFormat(8, narrow=True)) == -1


def test_an_unsigned_format_ignores_negative_values() -> None:
    assert non_overflow_position(-1000.0, 1.0, UINT8) == 7
    assert non_overflow_position(-1.0, -0.5, UINT8) == 0


def test_zeros_and_tiny_ranges_get_position_zero() -> None:
    assert non_overflow_position(0.0, 0.0, INT8) == 0
    assert non_overflow_position(-1e-45, 1e-40, INT8) == 0
    assert non_overflow_position(2.0**-120, 2.0**-120, INT8) == 126


def test_the_largest_range_keeps_a_float32_scale() -> None:
    huge = float(np.finfo(np.float32).max)
    assert non_overflow_position(-huge, huge, IntFormat(2)) == -127


def test_one_position_per_slice() -> None:
    positions = non_overflow_position(np.array([-1.0, 0.0, -1.0]), np.array([1.0, 0.0, 0.5]), INT8)
    assert positions.dtype == np.int64
    assert positions.tolist() == [6, 0, 7]


def test_nearest_log_position_may_overflow() -> None:
    """vai_q_onnx fact sheet 2.3: largest magnitude 1.4 at 8 bits gives 7, which represents up to 0.992."""
    assert nearest_log_position(1.4 / 127) == 7
    assert non_overflow_position(-1.4, 1.4, INT8) == 6
    assert [nearest_log_position(scale) for scale in (2.0, 1.0, 0.0, 1e60)] == [-1, 0, 127, -127]


RANGES = [
    (-1.0, 2.0),
    (0.0, 6.0),
    (-3.1, 0.0),
    (0.5, 2.0),
    (-2.0, -0.5),
    (-1e-3, 7e4),
    (0.0, 0.0),
    (0.0, 1e-37),
]
RANGES += [(-float(np.finfo(np.float32).max), float(np.finfo(np.float32).max))]


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("format", [INT8, UINT8, INT16, UINT16, IntFormat(4, signed=False)], ids=str)
def test_onnx_runtime_computes_the_same(format: IntFormat, symmetric: bool) -> None:
    narrow = symmetric and format.signed  # ONNX Runtime's symmetric range of signed types
    ends = np.array(format.qmin + narrow, np.int64), np.array(format.qmax, np.int64)
    for lo, hi in RANGES:
        low, high = np.float32(lo), np.float32(hi)
        zero_point, scale = compute_scale_zp(low, high, *ends, symmetric=symmetric)
        ours = affine_parameters(float(low), float(high), format, symmetric)
        assert ours == (float(scale), int(zero_point)), (lo, hi)


def test_parameters_per_slice_equal_those_alone() -> None:
    lo, hi = np.array([-1.0, 0.0, -0.1]), np.array([2.0, 0.0, 6.3])
    for format in (INT8, UINT8):
        for symmetric in (False, True):
            scale, zero = affine_parameters(lo, hi, format, symmetric)
            alone = [
                affine_parameters(float(a), float(b), format, symmetric) for a, b in zip(lo, hi, strict=True)
            ]
            assert list(zip(scale.tolist(), zero.tolist(), strict=True)) == alone


def test_a_range_of_zeros_has_scale_one() -> None:
    for format in (INT8, UINT8):
        for symmetric in (False, True):
            assert affine_parameters(0.0, 0.0, format, symmetric) == (1.0, 0)


@pytest.mark.parametrize(
    ("lo", "hi"), [(np.nan, 1.0), (0.0, np.inf), (-np.inf, 0.0), (1.0, -1.0), (0.0, 1e39), (0.0, np.nan)]
)
def test_the_range_is_checked(lo: float, hi: float) -> None:
    with pytest.raises(
        InputError, match=r"Q0309 range: found from .* to .*; expected two ordered, finite"
    ) as error:
        non_overflow_position(lo, hi, INT8)
    assert f"from {lo} to {hi}" in str(error.value)
    with pytest.raises(InputError, match="Q0309"):
        affine_parameters(np.array([0.0, lo]), np.array([1.0, hi]), UINT8, False)
    assert explain("Q0309").title == "The range of values cannot be used"
