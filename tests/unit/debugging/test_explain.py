"""Reasons for differences, against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.debugging.explain import Explanation, exact_steps, factor_gap, float_slack, reasons
from quantforge.runtime.program import program_of
from tests.compiled_xmodels import dpu_part, single

POSITIONS = st.integers(0, 8)


@given(st.data(), POSITIONS, POSITIONS, POSITIONS, POSITIONS)
def test_exact_results_of_a_convolution(data: st.DataObject, fi: int, fw: int, fb: int, fo: int) -> None:
    draw = st.lists(st.integers(-128, 127), min_size=4, max_size=4)
    x, w = (np.array(data.draw(draw), np.int8) for _ in range(2))
    b = data.draw(st.integers(-128, 127))
    model = single(
        "conv2d-fix", [x.reshape(1, 1, 1, 4)], [fi], (1, 1, 1, 1), fo,
        {"weights": (w.reshape(1, 1, 1, 4), fw), "bias": (np.array([b], np.int8), fb)},
        kernel=(1, 1), stride=(1, 1), dilation=(1, 1), pad=(0, 0, 0, 0), nonlinear="NONE",
    )  # fmt: skip
    program = program_of(model, dpu_part(model))
    op = model.ops["result"]
    arrays = {
        "input": [x.reshape(1, 1, 1, 4)],
        **{k: [program.constants[op.args[k][0]]] for k in ("weights", "bias")},
    }
    terms = [int(p) * int(q) for p, q in zip(x, w, strict=True)]
    exact = Fraction(sum(terms)) / 2 ** (fi + fw) + Fraction(b) / 2**fb
    steps = exact * 2**fo
    found = exact_steps(op, arrays, program.read)
    assert found is not None
    if -128 <= steps <= 127:
        assert Fraction(float(found.item())) == steps
    assert np.all(float_slack(op, arrays, program.read) == 0)  # four products fit a float32


def test_sums_beyond_a_float32_have_slack() -> None:
    channels = 2048
    x = np.full((1, 1, 1, channels), 127, np.int8)
    w = np.full((1, 1, 1, channels), 127, np.int8)
    model = single(
        "conv2d-fix", [x], [4], (1, 1, 1, 1), 0, {"weights": (w, 4)},
        kernel=(1, 1), stride=(1, 1), dilation=(1, 1), pad=(0, 0, 0, 0), nonlinear="RELU",
    )  # fmt: skip
    program = program_of(model, dpu_part(model))
    op = model.ops["result"]
    arrays = {"input": [-x], "weights": [w]}
    total = channels * 127 * 127
    expected = total * (channels + 1) / 2**24 / 2**8
    assert float_slack(op, arrays, program.read) == pytest.approx(expected)


def test_a_copy_rounds_nothing() -> None:
    x = np.arange(4, dtype=np.int8).reshape(1, 1, 1, 4)
    model = single("reshape-fix", [x], [2], (1, 4), 2, shape=(1, 4))
    program = program_of(model, dpu_part(model))
    assert exact_steps(model.ops["result"], {"input": [x]}, program.read) is None


@given(st.lists(st.integers(-128, 127), min_size=9, max_size=9))
def test_a_mean_by_the_hardwares_factor_is_off_by_its_distance(numbers: list[int]) -> None:
    x = np.array(numbers, np.int8).reshape(1, 3, 3, 1)
    windows = {"kernel": (3, 3), "stride": (1, 1), "pad": (0, 0, 0, 0), "type": "AVG"}
    model = single("pool-fix", [x], [0], (1, 1, 1, 1), 0, **windows)
    program, op = program_of(model, dpu_part(model)), model.ops["result"]
    exact = exact_steps(op, {"input": [x]}, program.read)
    assert exact is not None
    gap = factor_gap(op, {"input": [x]}, program.read, exact)
    distance = abs(Fraction(sum(numbers), 9) - Fraction(7 * sum(numbers), 64))
    assert np.asarray(gap).item() == pytest.approx(float(distance), abs=2**-24)
    teacher = np.array([round(sum(numbers) / 9)]).reshape(exact.shape)
    found = reasons(teacher, exact, -128, 127, 0.0, gap)
    assert (found.mean | found.tie).item() == (distance > 0)
    assert not reasons(teacher + 4, exact, -128, 127, 0.0, gap).mean.item()


def test_a_mean_that_divides_has_no_gap() -> None:
    x = np.arange(9, dtype=np.int8).reshape(1, 3, 3, 1)
    model = single(
        "pool-fix", [x], [0], (1, 1, 1, 1), 0,
        kernel=(3, 3), stride=(1, 1), pad=(0, 0, 0, 0), type="AVG", avg_exact=True,
    )  # fmt: skip
    program = program_of(model, dpu_part(model))
    assert factor_gap(model.ops["result"], {"input": [x]}, program.read, np.zeros((1, 1, 1, 1))) == 0.0


@given(st.integers(-300, 300), st.integers(1, 8), st.integers(-140, 140))
def test_a_tie_is_explained_only_by_its_two_neighbours(numerator: int, bits: int, teacher: int) -> None:
    exact = Fraction(numerator, 2**bits)
    found = reasons(np.array([teacher]), np.array([float(exact)]), -128, 127)
    inside = -128 <= exact <= 127
    halfway = (exact - Fraction(1, 2)).denominator == 1
    expected = inside and halfway and abs(teacher - exact) == Fraction(1, 2)
    assert bool(found.tie[0]) == expected and not found.lost[0]


def test_lost_bits_reach_as_far_as_the_slack() -> None:
    teacher, exact = np.array([3, 3, 3, 2]), np.array([2.4, 2.4, 2.6, 2.4])
    found = reasons(teacher, exact, -128, 127, np.array([0.11, 0.09, 0.0, 0.0]))
    assert found.lost.tolist() == [True, False, False, False]


def test_saturation_is_part_of_the_reading() -> None:
    found = reasons(np.array([127, -128]), np.array([127.5, -128.5]), -128, 127)
    assert not found.tie.any()  # both sides saturate to the same integer: no reason to differ


def test_explanations_add_up() -> None:
    total = Explanation(3, 2, 1, 0) + Explanation(2, 0, 0, 2)
    assert (total.different, total.ties, total.floats, total.unexplained) == (5, 2, 1, 2)
