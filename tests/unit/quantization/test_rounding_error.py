from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.graph import Graph, Op, QuantSpec, Value
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.quantization.rounding_error import LARGEST, averaged, mean_error_of_ties, unit_of_result

HALF = Fraction(1, 2)
NEAREST = {
    Rounding.HALF_UP: lambda x: floor(x + HALF),
    Rounding.HALF_DOWN: lambda x: floor(x + HALF) if x < 0 else -floor(-x + HALF),
    Rounding.HALF_AWAY: lambda x: floor(x + HALF) if x >= 0 else -floor(-x + HALF),
    Rounding.HALF_EVEN: round,
}


@given(st.integers(1, 300), st.sampled_from(list(NEAREST)))
def test_the_mean_over_all_rests(rests: int, rounding: Rounding) -> None:
    found = mean_error_of_ties(rests, rounding)
    for sign, mean in zip((1, -1), found, strict=True):
        numbers = [Fraction(sign * k, rests) for k in range(2 * rests)]
        exact = sum((NEAREST[rounding](x) - x for x in numbers), Fraction(0)) / len(numbers)
        assert mean == pytest.approx(float(exact), abs=1e-12)


@pytest.mark.parametrize("bits", range(1, 9))
def test_half_up_rises_by_half_the_last_bit_that_is_dropped(bits: int) -> None:
    assert mean_error_of_ties(1 << bits, Rounding.HALF_UP) == (2.0 ** -(bits + 1),) * 2


def test_nothing_dropped_and_rests_too_fine_to_be_seen() -> None:
    assert mean_error_of_ties(1, Rounding.HALF_UP) == (0.0, 0.0)
    assert mean_error_of_ties(2 * LARGEST, Rounding.HALF_UP) == (0.0, 0.0)


def test_odd_rests_have_no_ties() -> None:
    assert mean_error_of_ties(9, Rounding.HALF_UP) == pytest.approx((0.0, 0.0))


@pytest.mark.parametrize("rounding", [Rounding.FLOOR, Rounding.CEIL, Rounding.TOWARD_ZERO], ids=str)
def test_directed_roundings_count_only_what_continuous_numbers_do_not_have(rounding: Rounding) -> None:
    assert all(abs(mean) == 0.125 for mean in mean_error_of_ties(4, rounding))


def graph(kind: str, positions: list[int | None], **attrs: object) -> tuple[Graph, Op]:
    specs = [None if p is None else QuantSpec.power_of_two(INT8, p) for p in positions]
    names = [f"x{i}" for i in range(len(positions))]
    values = [Value(name, (1, 4, 8, 8), quant=spec) for name, spec in zip(names, specs, strict=True)]
    values.append(Value("y", (1, 4, 1, 1) if "axes" in attrs or "global" in attrs else (1, 4, 4, 4)))
    op = Op(kind, "op", tuple(names), ("y",), attrs)  # type: ignore[arg-type]
    return Graph("net", values, [op], names, ["y"]), op


@pytest.mark.parametrize(
    ("kind", "positions", "attrs", "unit"),
    [
        ("eltwise-add", [5, 3], {}, Fraction(1, 32)),
        ("eltwise-sub", [-1, -2], {}, Fraction(2)),
        ("eltwise-mul", [5, 3], {}, Fraction(1, 256)),
        ("eltwise-add", [5, None], {}, None),
        ("conv2d", [4, 7, 2], {}, Fraction(1, 2048)),
        ("avgpool2d", [4], {"kernel": (2, 2)}, Fraction(1, 64)),
        ("avgpool2d", [4], {"kernel": (3, 3), "dpu_factor": (7, 6)}, Fraction(7, 1024)),
        ("avgpool2d", [4], {"global": 1}, Fraction(1, 1024)),
        ("reduction-mean", [4], {"axes": (2, 3)}, Fraction(1, 1024)),
        ("sigmoid", [4], {}, None),
    ],
)
def test_the_unit_of_a_result(
    kind: str, positions: list[int | None], attrs: dict[str, object], unit: Fraction | None
) -> None:
    assert unit_of_result(*graph(kind, positions, **attrs)) == unit


def test_a_mean_over_an_open_size_has_no_count() -> None:
    net, op = graph("reduction-mean", [4], axes=(2, 3))
    net.set_value(Value("x0", (1, 4, "height", 8)))
    assert averaged(net, op) is None


@pytest.mark.parametrize("rounding", list(NEAREST), ids=str)
def test_sums_of_stored_values_move_by_what_is_said(rounding: Rounding) -> None:
    from quantforge.numerics.rounding import round_array

    rng = np.random.default_rng(0)
    total = rng.integers(0, 128, 200_000) / 4 + rng.integers(0, 128, 200_000) / 2
    found = (round_array(total, rounding) - total).mean()
    assert found == pytest.approx(mean_error_of_ties(4, rounding)[0], abs=0.004)
