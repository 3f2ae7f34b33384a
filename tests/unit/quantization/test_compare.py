from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import Array, Graph
from quantforge.graph.execution import Feeds
from quantforge.quantization.compare import (
    CLEAN_DB,
    Difference,
    ValueComparison,
    add_differences,
    add_differences_reference,
    compared_outputs,
    compared_values,
    first_sharp_drop,
    run_side_by_side,
)
from tests.networks import Net

RNG = np.random.default_rng(0)


def normal(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def difference(*pairs: tuple[Array, Array]) -> Difference:
    found = Difference()
    for y, z in pairs:
        found = found.plus(y, z)
    return found


def test_sums_over_batches_are_those_of_all_data() -> None:
    y, z = normal(6, 4, 3, 3), normal(6, 4, 3, 3)
    found = difference((y[:2], z[:2]), (y[2:], z[2:]))
    a, b = y.astype(np.float64).ravel(), z.astype(np.float64).ravel()
    assert found.sqnr_db == pytest.approx(10 * math.log10(a @ a / ((a - b) @ (a - b))), rel=1e-12)
    assert found.cosine == pytest.approx(a @ b / math.sqrt((a @ a) * (b @ b)), rel=1e-12)
    assert found.largest == np.abs(a - b).max()


@pytest.mark.parametrize("shape", [(), (5,), (2, 5), (2, 5, 3), (2, 5, 3, 2), (2, 3, 2, 2, 2)])
def test_any_rank(shape: tuple[int, ...]) -> None:
    y = np.asarray(normal(*shape) + 1, np.float32)
    assert difference((y, y)).sqnr_db == math.inf
    assert difference((y, np.asarray(1.1 * y))).sqnr_db == pytest.approx(20.0, abs=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 4, 25), (1, 1, 1), (2, 3, 0), (0, 3, 4), (1, 1, 4097)])
def test_the_kernel_computes_its_definition(shape: tuple[int, int, int], dtype: type) -> None:
    y, z = normal(*shape).astype(dtype), normal(*shape).astype(dtype)
    for bad in (np.nan, np.inf, -np.inf):
        y.reshape(-1)[1:2] = bad
        z.reshape(-1)[3:4] = bad
        sums = np.ones((2, 4, shape[1]))
        assert add_differences(y, z, sums[0]) == add_differences_reference(y, z, sums[1])
        # equal terms, summed in another order: each sum of n positive terms is off by at most n roundings
        np.testing.assert_allclose(sums[0], sums[1], rtol=0, atol=1e-12 * max(1, y.size))


def test_nothing_to_compare_has_no_number() -> None:
    zero = np.zeros((2, 3), np.float32)
    assert (difference((zero, zero)).sqnr_db, difference((zero, zero)).cosine) == (None, None)
    assert difference((zero, zero + 1)).sqnr_db == -math.inf
    assert difference((zero[:0], zero[:0])).sqnr_db is None


def test_numbers_that_are_not_finite_are_counted_and_left_out() -> None:
    y = np.array([[1.0, np.inf, 2.0, np.nan]], np.float32)
    z = np.array([[1.0, 5.0, -np.inf, 3.0]], np.float32)
    found = difference((y, z))
    assert (found.not_finite, found.sqnr_db, found.largest) == (3, math.inf, 0.0)


def test_batches_of_different_shapes_are_counted_and_left_out() -> None:
    y = normal(2, 3)
    found = difference((y, y), (y, normal(3, 3)))
    assert (found.reshaped, found.sqnr_db) == (1, math.inf)


def test_a_number_of_channels_that_changes_adds_up_all_the_same() -> None:
    pairs = [(normal(1, n, 2), normal(1, n, 2)) for n in (3, 5, 3)]
    a, b = (np.concatenate([pair[i].ravel() for pair in pairs]).astype(np.float64) for i in (0, 1))
    assert difference(*pairs).sqnr_db == pytest.approx(10 * math.log10(a @ a / ((a - b) @ (a - b))))


def test_equalized_channels_are_seen_at_their_old_scale() -> None:
    y, noise = normal(8, 4, 5, 5), normal(8, 4, 5, 5)
    gains = np.array([0.1, 3.0, 1.0, 20.0], np.float32).reshape(1, 4, 1, 1)
    found = difference((y, gains * (y + 0.01 * noise)))
    assert found.sqnr_db is not None and found.sqnr_db < 0.0
    assert found.rescaled_db == pytest.approx(40.0, abs=0.5)


@pytest.mark.parametrize("other", [0.5, 0.05, 0.0], ids=["clipped", "clipped much", "dead"])
def test_a_saturated_value_is_not_taken_for_an_equalized_one(other: float) -> None:
    y = normal(8, 4, 5, 5)
    assert difference((y, np.clip(y, -other, other))).rescaled_db is None


def test_plain_noise_is_not_rescaled() -> None:
    y = normal(8, 4, 5, 5)
    assert difference((y, y + 0.01 * normal(8, 4, 5, 5))).rescaled_db is None
    assert difference((y, y)).rescaled_db is None


class Scripted:
    """A session that returns what it is fed under other names, distorted."""

    def __init__(self, error: float, names: tuple[str, ...]) -> None:
        self.error, self.names = error, names

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        return dict.fromkeys(self.names, feeds["x"] + np.float32(self.error))


def batches(*sizes: int) -> Iterator[Feeds]:
    return ({"x": normal(size, 3)} for size in sizes)


PAIRS = {"a": "a_DequantizeLinear_Output", "y": "y"}


def test_two_sessions_over_one_stream() -> None:
    sessions = Scripted(0.0, ("a", "y")), Scripted(0.25, tuple(PAIRS.values()))
    sums = run_side_by_side(*sessions, PAIRS, ["y"], batches(2, 1), np.array([0, 1, 2]))
    assert (sums.samples, sums.batches) == (3, 2)
    values = compared_values(PAIRS, sums)
    assert [(v.name, v.counterpart) for v in values] == list(PAIRS.items())
    assert values[0].max_error == pytest.approx(0.25, abs=1e-6)
    (output,) = compared_outputs(["y"], sums)
    assert (output.name, output.samples, output.agreement) == ("y", 3, 1.0)
    assert output.float_accuracy == output.quantized_accuracy is not None


def test_no_data_and_too_few_labels_are_refused() -> None:
    sessions = Scripted(0.0, ("a", "y")), Scripted(0.0, tuple(PAIRS.values()))
    with pytest.raises(InputError, match="Q0201 data: found no batch"):
        run_side_by_side(*sessions, PAIRS, ["y"], batches())
    with pytest.raises(InputError, match="Q0221 labels: found 2 labels and at least 3 samples"):
        run_side_by_side(*sessions, PAIRS, ["y"], batches(2, 1), np.array([0, 1]))


def chain() -> Graph:
    """x -> c1 -> r1 -> c2 -> r2, and c3 beside c2, added."""
    net = Net()
    hidden = net.add("relu", "r1", (net.conv("c1", "x", 4),))
    total = net.add("eltwise-add", "a", (net.conv("c2", hidden, 4), net.conv("c3", hidden, 4)))
    return net.done(net.conv("c4", total, 2))


@pytest.mark.parametrize(
    ("sqnr_db", "expected"),
    [
        (
            {"c1.out": 45.0, "r1.out": 34.0, "c2.out": 33.0, "c3.out": 31.0, "a.out": 32.0, "c4.out": 25.0},
            None,
        ),
        (
            {"c1.out": 45.0, "r1.out": 19.0, "c2.out": 19.0, "c3.out": 18.0, "a.out": 18.0, "c4.out": 15.0},
            "r1.out",
        ),
        ({"r1.out": 30.0, "c2.out": 5.0, "c3.out": 30.0, "a.out": 8.0, "c4.out": 7.0}, "c2.out"),
        ({"r1.out": 30.0, "c2.out": 5.0, "c3.out": 30.0, "a.out": 28.0, "c4.out": 27.0}, None),
        ({"c1.out": CLEAN_DB - 10.0, "c4.out": 12.0}, "c1.out"),
        ({"c1.out": None, "r1.out": math.inf, "c4.out": -math.inf}, "c4.out"),
        ({}, None),
    ],
    ids=["even", "drop", "in a branch", "healed", "the first", "no numbers", "nothing"],
)
def test_the_first_sharp_drop(sqnr_db: dict[str, float | None], expected: str | None) -> None:
    assert first_sharp_drop(chain(), sqnr_db) == expected


def test_what_a_value_lost_is_seen_without_equalization() -> None:
    assert ValueComparison("a", "a", 12.0, 1.0, 0.9).fair_db == 12.0
    assert ValueComparison("a", "a", 12.0, 1.0, 0.9, rescaled_db=30.0).fair_db == 30.0
