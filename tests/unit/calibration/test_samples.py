"""Items become batches that fit the model, or errors that say why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.calibration.samples import Conformer, InputInfo, Layout, Regrouper, limited
from quantforge.diagnostics import InputError

IMAGE = InputInfo("image", "float32", ("batch", 3, 4, 5))
MASK = InputInfo("mask", "int64", ("batch", 7))
ONE = Layout.of([IMAGE])
TWO = Layout.of([IMAGE, MASK])
SAMPLE = np.zeros((3, 4, 5), np.float32)


def chunk(layout: Layout, item: Any) -> dict[str, np.ndarray]:
    return Conformer(layout).chunk(item, "data, item 0")


def message(layout: Layout, item: Any) -> str:
    with pytest.raises(InputError) as caught:
        chunk(layout, item)
    return str(caught.value)


def test_layouts() -> None:
    assert (ONE.batched, ONE.fixed) == (True, None)
    assert Layout.of([InputInfo("x", "float32", (1, 3))]).fixed == 1
    assert not Layout.of([InputInfo("x", "float32", (1, 3)), InputInfo("n", "int64", (2,))]).batched
    assert not Layout.of([InputInfo("x", "float32", ())]).batched
    assert Layout.of([InputInfo("x", "float32", None)]).batched


@pytest.mark.parametrize(
    "item", [SAMPLE, SAMPLE[None], {"image": SAMPLE}, (SAMPLE,), [SAMPLE], SAMPLE.tolist()]
)
def test_one_input_in_every_dress(item: Any) -> None:
    if isinstance(item, list) and isinstance(item[0], list):
        item = np.array(item, np.float32)
    assert chunk(ONE, item)["image"].shape == (1, 3, 4, 5)


def test_tuples_follow_the_order_of_the_inputs() -> None:
    made = chunk(TWO, (np.zeros((2, 3, 4, 5), np.float32), np.ones((2, 7), np.int64)))
    assert [made["image"].shape, made["mask"].shape] == [(2, 3, 4, 5), (2, 7)]


def test_names() -> None:
    assert message(ONE, {"img": SAMPLE}) == (
        "Q0208 data, item 0: found inputs named 'img'; expected 'image'; try: name the arrays after the inputs"
    )
    assert message(ONE, (SAMPLE, np.array(3))) == (
        "Q0208 data, item 0: found 2 arrays; expected 1: 'image'; try: leave labels out"
    )
    assert "Q0208 data, item 0: found 1 arrays; expected 2: 'image', 'mask'" in message(TWO, SAMPLE)


def test_dtypes() -> None:
    assert message(ONE, SAMPLE.astype(np.uint8)) == (
        "Q0209 data, item 0, input 'image': found dtype uint8; expected dtype float32; "
        "try: normalize it as in training, such as (x.astype('float32') / 255 - mean) / std"
    )
    assert "found dtype int64; expected dtype float32; try: convert it with .astype('float32')" in message(
        ONE, SAMPLE.astype(np.int64)
    )
    assert "Q0209" in message(ONE, SAMPLE.astype(np.str_))
    assert "Q0209" in message(TWO, (SAMPLE[None], np.ones((1, 7), np.float32)))


def test_lossless_conversions_are_made() -> None:
    made = chunk(TWO, (SAMPLE[None].astype(np.float16), np.ones((1, 7), np.int32)))
    assert (made["image"].dtype, made["mask"].dtype) == (np.float32, np.int64)


def test_float64_is_rounded_with_one_notice() -> None:
    conformer = Conformer(ONE)
    for _ in range(3):
        assert conformer.chunk(SAMPLE.astype(np.float64), "here")["image"].dtype == np.float32
    assert [str(notice) for notice in conformer.notices.values()] == [
        "Q0216 calibration data, input 'image': found dtype float64; expected dtype float32; "
        "try: nothing to do; the values were rounded"
    ]


def test_shapes() -> None:
    assert message(ONE, np.zeros((1, 3, 4, 6), np.float32)) == (
        "Q0210 data, item 0, input 'image': found shape [1, 3, 4, 6]; expected shape [batch, 3, 4, 5]; "
        "try: resize or reshape the samples"
    )
    assert "transpose it with (0, 3, 1, 2)" in message(ONE, np.zeros((2, 4, 5, 3), np.float32))
    last = Layout.of([InputInfo("image", "float32", (None, 4, 5, 3))])
    text = message(last, np.zeros((2, 3, 4, 5), np.float32))
    assert "transpose it with (0, 2, 3, 1)" in text and "[?, 4, 5, 3]" in text
    assert "Q0210" in message(ONE, np.zeros(3, np.float32))


def test_numbers_of_samples() -> None:
    assert message(TWO, (np.zeros((2, 3, 4, 5), np.float32), np.ones((3, 7), np.int64))) == (
        "Q0212 data, item 0: found 2 of 'image', 3 of 'mask'; expected equally many samples of every input; "
        "try: cut them to one length"
    )


def batches(layout: Layout, size: int | None, *lengths: int) -> tuple[list[int], int]:
    regrouper = Regrouper(layout, size)
    start = np.cumsum([0, *lengths])
    chunks = [{"x": np.arange(a, a + n)} for a, n in zip(start, lengths, strict=False)]
    made = list(regrouper.batches(chunks))
    joined = np.concatenate([m["x"] for m in made]) if made else np.zeros(0)
    np.testing.assert_array_equal(joined, np.arange(joined.size))
    return [len(m["x"]) for m in made], regrouper.left_over


def test_regrouping() -> None:
    free, fixed = Layout.of([InputInfo("x", "int64", ("n",))]), Layout.of([InputInfo("x", "int64", (3,))])
    assert batches(free, None, 2, 5) == ([2, 5], 0)
    assert batches(free, 4, 1, 1, 1, 1, 1) == ([4, 1], 0)
    assert batches(free, 2, 5, 4) == ([2, 2, 2, 2, 1], 0)
    assert batches(fixed, 8, 5, 3) == ([3, 3], 2)


def test_samples_of_other_sizes_are_not_stacked() -> None:
    chunks = [{"x": np.zeros((1, n))} for n in (4, 4, 5, 5, 5)]
    made = Regrouper(Layout.of([InputInfo("x", "float32", ("n", None))]), 2).batches(chunks)
    assert [m["x"].shape for m in made] == [(2, 4), (2, 5), (1, 5)]


def test_limits() -> None:
    chunks = [{"x": np.zeros(3)}, {"x": np.zeros(3)}, {"x": np.zeros(3)}]
    assert [len(c["x"]) for c in limited(chunks, 4)] == [3, 1]
    assert [len(c["x"]) for c in limited(chunks, 6)] == [3, 3]
    assert len(list(limited(chunks, None))) == 3
