from __future__ import annotations

import pytest

from .checks import kinds, lowered, only


@pytest.mark.parametrize("keep", [0, 1])
def test_axes_are_those_in_memory(keep: int) -> None:
    made = lowered(
        f"""g (float[1,3,4,5] x) => (a, b, c, d) {{
            a = ReduceMean <axes = [2,3], keepdims = {keep}> (x)
            b = ReduceSum <keepdims = {keep}> (x, axes)
            c = ReduceMax <axes = [1], keepdims = {keep}> (x)
            d = ReduceMean <keepdims = {keep}> (x) }}""",
        axes=[2],
    )
    assert [made.ops[name].get("axis") for name in "abcd"] == [(1, 2), (1,), (3,), (0, 1, 2, 3)]
    assert all(made.ops[name].get("keep_dims") is bool(keep) for name in "abcd")


def test_a_mean_says_that_it_is_exact() -> None:
    made = lowered("g (float[N,3,4,5] x) => (y) { y = ReduceMean <axes = [2,3], keepdims = 0> (x) }")
    assert only(made, "reduction_mean").get("avg_exact") is True and made.ops["y"].tensor.shape == (1, 3)


def test_the_largest_element() -> None:
    made = lowered(
        """g (float[1,3,4,5] x) => (a, b) {
            a = ArgMax <axis = 1, keepdims = 1> (x) b = ArgMax <axis = 1, keepdims = 0> (x) }"""
    )
    assert made.ops["a"].get("axis") == 3 and made.ops["a"].tensor.shape == (1, 4, 5, 1)


def test_casts_and_what_stays_an_onnx_node() -> None:
    made = lowered(
        """g (float[1,3,4,5] x, bool[1,3,4,5] m) => (a, b, c) {
            a = Cast <to = 7> (x) b = ReduceMin <axes = [1]> (x) c = Cast <to = 1> (m) }"""
    )
    assert kinds(made) == {"cast": 1, "onnx:ReduceMin": 1, "onnx:Cast": 1, "transpose": 2, "reshape": 1}
    assert made.ops["a"].get("data_type") == "INT64"


def test_sums_of_integers_stay_onnx_nodes() -> None:
    assert "onnx:ReduceSum" in kinds(lowered("g (int64[1,3] x) => (y) { y = ReduceSum(x) }"))
