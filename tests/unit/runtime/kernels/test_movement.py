from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime.kernels.movement import slices
from quantforge.runtime.program import program_of
from quantforge.runtime.reference import ReferenceEngine
from tests.compiled_xmodels import dpu_part, single

EIGHT = np.arange(1, 9, dtype=np.int8).reshape(1, 4, 2, 1)


def moved(kind: str, x: np.ndarray[Any, Any], shape: tuple[int, ...], out: int = 0, **attrs: Any) -> Any:
    model = single(kind, [x], [0], shape, out, **attrs)
    return ReferenceEngine(program_of(model, dpu_part(model))).run({"data0": x})["out"]


def test_reorg_and_tile_examples() -> None:
    assert moved("reorg-fix", EIGHT, (1, 2, 1, 4), scale=2, reverse=False).tolist() == [
        [[[1, 2, 5, 6]], [[3, 4, 7, 8]]]
    ]
    assert moved("tile-fix", EIGHT, (1, 2, 1, 4), stride=2, reverse=False).tolist() == [
        [[[1, 2, 3, 4]], [[5, 6, 7, 8]]]
    ]


@pytest.mark.parametrize(("kind", "name"), [("reorg-fix", "scale"), ("tile-fix", "stride")])
def test_reverse_is_the_inverse(kind: str, name: str) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (2, 8, 6, 3)).astype(np.int8)
    there = moved(kind, x[:1], (1, 4, 3, 12), **{name: 2}, reverse=False)
    back = moved(kind, there, (1, 8, 6, 3), **{name: 2}, reverse=True)
    np.testing.assert_array_equal(back, x[:1])


def test_symmetric_padding_example() -> None:
    x = np.array([1, 2, 3], np.int8).reshape(1, 1, 3, 1)
    found = moved("pad-fix", x, (1, 1, 6, 1), paddings=(0, 0, 0, 0, 2, 1, 0, 0), mode="SYMMETRIC")
    assert found.reshape(-1).tolist() == [2, 1, 1, 2, 3, 3]
    found = moved("pad-fix", x, (1, 1, 6, 1), paddings=(0, 0, 0, 0, 2, 1, 0, 0), mode="CONSTANT")
    assert found.reshape(-1).tolist() == [0, 0, 1, 2, 3, 0]


def test_pixel_shuffle_is_pytorchs() -> None:
    x = np.arange(8, dtype=np.int8).reshape(1, 1, 1, 8)
    found = moved("pixel-shuffle-fix", x, (1, 2, 2, 2), scale=2, upscale=True)
    assert found[..., 0].tolist() == [[[0, 1], [2, 3]]]
    assert found[..., 1].tolist() == [[[4, 5], [6, 7]]]


def test_slices_with_masks_and_whole_batches() -> None:
    op = single("strided_slice-fix", [EIGHT], [0], (1, 2, 2, 1), 0, begin=(0, 1), end=(1, 3)).ops["result"]
    assert slices(op, EIGHT.shape) == (slice(None, None, 1), slice(1, 3, 1))


def test_picking_a_maximum_and_its_index() -> None:
    assert moved("reduction_max-fix", EIGHT, (1, 4, 1), 1, axis=(2,), keep_dims=False).tolist() == [
        [[4], [8], [12], [16]]
    ]
    assert moved("argmax-fix", EIGHT, (1, 1, 2, 1), axis=1).reshape(-1).tolist() == [3, 3]


@pytest.mark.parametrize(
    ("kind", "shape", "attrs"),
    [
        ("tile-fix", (1, 2, 1, 4), {"stride": 3}),
        ("tile-fix", (1, 2, 1, 4), {}),
        ("reorg-fix", (1, 1, 1, 4), {"scale": 3}),
        ("pad-fix", (1, 4, 2, 1), {"paddings": (0, 0)}),
        ("pad-fix", (1, 4, 2, 1), {"paddings": (0,) * 8, "mode": "WRAP"}),
        ("reshape-fix", (1, 3), {}),
        ("strided_slice-fix", (1, 2, 2, 1), {"begin": (0, 1), "end": (1,)}),
    ],
)
def test_attributes_that_make_no_sense(kind: str, shape: tuple[int, ...], attrs: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"Q1203 result"):
        moved(kind, EIGHT, shape, **attrs)
