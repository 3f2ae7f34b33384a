"""Torch against `numerics`, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.fake_quantize import FakeQuantizer, round_tensor  # noqa: E402
from quantforge.graph import QuantSpec  # noqa: E402
from quantforge.graph.quantize import fake_quantize_value  # noqa: E402
from quantforge.numerics.formats import BFLOAT16, FLOAT16, INT8, INT16, INT32, UINT8, IntFormat  # noqa: E402
from quantforge.numerics.rounding import Rounding, round_array  # noqa: E402

# The PyTorch quantizer's method numbers and results at position 0, 8 bits.
GOLDEN_INPUT = (-2.5, -1.5, -0.5, -0.3, 0.3, 0.5, 1.5, 2.5, 2.7, -2.7)
GOLDEN = {
    Rounding.HALF_UP: (-2, -1, 0, 0, 0, 1, 2, 3, 3, -3),
    Rounding.HALF_AWAY: (-3, -2, -1, 0, 0, 1, 2, 3, 3, -3),
    Rounding.FLOOR: (-3, -2, -1, -1, 0, 0, 1, 2, 2, -3),
    Rounding.DPU_MIXED: (-2, -1, 0, 0, 0, 0, 2, 2, 3, -3),
    Rounding.HALF_DOWN: (-2, -1, 0, 0, 0, 0, 1, 2, 3, -3),
    Rounding.CEIL: (-2, -1, 0, 0, 1, 1, 2, 3, 3, -2),
    Rounding.HALF_EVEN: (-2, -2, 0, 0, 0, 0, 2, 2, 3, -3),
}
EDGES = [0.0, -0.0, np.inf, -np.inf, 1e-45, -1e-40, 3.4e38, -3.4e38, 0.49999997, 8388607.5, 127.5, -128.5]


def same_bits(found: Any, want: Any) -> None:
    assert found.dtype == want.dtype
    width = {2: np.uint16, 4: np.uint32, 8: np.uint64}[want.dtype.itemsize]
    np.testing.assert_array_equal(found.view(width), want.view(width))


def check(data: Any, spec: QuantSpec) -> None:
    same_bits(
        FakeQuantizer(spec)(torch.from_numpy(data)).numpy(), np.asarray(fake_quantize_value(data, spec))
    )


@pytest.mark.parametrize("mode", GOLDEN, ids=str)
def test_rounding_gives_the_published_results(mode: Rounding) -> None:
    spec = QuantSpec.power_of_two(INT8, 0, mode)
    found = FakeQuantizer(spec)(torch.tensor(GOLDEN_INPUT))
    assert found.tolist() == list(GOLDEN[mode])


@pytest.mark.parametrize("mode", list(Rounding), ids=str)
@given(st.lists(st.floats(-1e6, 1e6, width=32) | st.integers(-400, 400).map(lambda n: n / 2), min_size=1))
def test_rounding_is_that_of_numerics(mode: Rounding, numbers: list[float]) -> None:
    data = np.array(numbers, np.float32)
    found = round_tensor(torch.from_numpy(data), mode).numpy()
    np.testing.assert_array_equal(found, round_array(data, mode))  # the sign of a zero may differ


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("mode", list(Rounding), ids=str)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_integers_are_those_of_numerics(mode: Rounding, dtype: Any, data: st.DataObject) -> None:
    width = np.dtype(dtype).itemsize * 8
    floats = st.floats(allow_nan=False, width=width) | st.integers(-700, 700).map(lambda n: n / 8)
    numbers = data.draw(st.lists(floats, min_size=1, max_size=20))
    form = data.draw(st.sampled_from([INT8, UINT8, INT16, INT32, IntFormat(4), IntFormat(8, narrow=True)]))
    scale = data.draw(st.sampled_from([2.0**-5, 2.0**3, 2.0**-126, 0.037, 1.7e20]))
    zero = data.draw(st.integers(form.qmin, form.qmax)) if form.bits <= 16 else 0
    with np.errstate(over="ignore"):
        array = np.array([*numbers, *EDGES]).astype(dtype)
    spec = QuantSpec(form, (scale if dtype != np.float16 else 2.0**-5,), (zero,), None, mode)
    check(array, spec)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_one_scale_per_slice(dtype: Any) -> None:
    data = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(dtype)
    check(data, QuantSpec(UINT8, (0.1, 0.02, 0.5), (3, 128, 255), 1, Rounding.HALF_UP))
    check(data, QuantSpec(INT8, (0.1, 0.02), (0, 0), 0, Rounding.HALF_AWAY))


@pytest.mark.parametrize("form", [FLOAT16, BFLOAT16], ids=str)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_low_precision_floats(form: Any, dtype: Any, data: st.DataObject) -> None:
    floats = st.floats(allow_nan=False, width=np.dtype(dtype).itemsize * 8)
    numbers = data.draw(st.lists(floats, min_size=1, max_size=20))
    with np.errstate(over="ignore"):
        array = np.array([*numbers, *EDGES, 1.00390625, 1.00390625 + 2**-40, 65519.999]).astype(dtype)
    check(array, QuantSpec(form))


def test_nan_stays_nan_and_integers_and_empty_tensors_pass() -> None:
    quantizer = FakeQuantizer(QuantSpec.power_of_two(INT8, 3, Rounding.HALF_UP))
    assert torch.isnan(quantizer(torch.tensor([float("nan"), 1.0]))).tolist() == [True, False]
    whole = torch.arange(3)
    assert quantizer(whole) is whole
    assert quantizer(torch.empty(0)).shape == (0,)
