from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.diagnostics import InputError
from quantforge.numerics.rounding import Rounding
from quantforge.runtime.engine import open_session
from quantforge.runtime.fixed import Fixed, fixed_of
from quantforge.runtime.lowering.builder import Builder
from quantforge.runtime.lowering.finish import limits_of, real_type, round_real
from quantforge.xmodel.model import Attr
from tests.compiled_xmodels import single

OP = single("eltwise-fix", [np.zeros((1, 1), np.int8)] * 2, [0, 0], (1, 1), 4, type="ADD").ops["result"]


@pytest.mark.parametrize(
    ("nonlinear", "limits"),
    [("NONE", (-128, 127)), ("RELU", (0, 127)), ("RELU6", (0, 96)), ("LEAKYRELU", (-128, 127))],
)
def test_activations_narrow_the_limits(nonlinear: str, limits: tuple[int, int]) -> None:
    OP.attrs["nonlinear"] = Attr("string", nonlinear)
    assert limits_of(OP, fixed_of(OP)) == limits
    OP.attrs.pop("nonlinear")


def test_relu6_on_a_coarse_grid_rounds_its_limit() -> None:
    OP.attrs["nonlinear"] = Attr("string", "RELU6")
    assert limits_of(OP, Fixed(-2)) == (0, 2)  # 6 / 4 = 1.5
    assert limits_of(OP, Fixed(-2, rounding=Rounding.HALF_EVEN)) == (0, 2)
    assert limits_of(OP, Fixed(-3)) == (0, 1)
    OP.attrs.pop("nonlinear")


def test_the_narrowest_float_that_is_exact() -> None:
    assert real_type(OP, (1 << 24) - 130, 0) == "float32"
    assert real_type(OP, 1 << 24, 0) == "float64"
    assert real_type(OP, 100, 17) == "float64"
    with pytest.raises(InputError, match=r"Q1204 result: .*a shift of 50 bits"):
        real_type(OP, 100, 50)


@given(
    st.lists(st.integers(-(2**23), 2**23), min_size=1, max_size=20),
    st.integers(-3, 16),
    st.sampled_from([Rounding.HALF_UP, Rounding.HALF_EVEN, Rounding.HALF_AWAY]),
    st.sampled_from(["float32", "float64"]),
    st.booleans(),
)
def test_rounding_in_floats(
    sums: list[int], shift: int, rounding: Rounding, dtype: str, signed: bool
) -> None:
    target = Fixed(0, signed=signed, rounding=rounding)
    sums = [value >> max(0, shift - 7) for value in sums] if dtype == "float32" else sums
    builder = Builder()
    name = builder.cast(builder.binary("Add", builder.cast("in0", dtype), 0, dtype), dtype)
    name = builder.node("Mul", [name, builder.constant(0, dtype)])
    name = builder.binary("Add", name, np.array(sums), dtype)
    name = round_real(builder, name, shift, target, (target.low, target.high), dtype)
    session = open_session(builder.model({"in0": (1,)}, {"out0": name}), 1)
    found = session.run(None, {"in0": np.zeros(1, np.uint8)})[0].astype(np.int64) - (128 if signed else 0)
    np.testing.assert_array_equal(found, target.requantize(np.array(sums), shift))
