from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError, UnsupportedError
from quantforge.xmodel.model import DataType
from tests.compiled_xmodels import single
from tests.unit.runtime.lowering.graphs import lowered_nodes

X = np.zeros((1, 4, 4, 4), np.int8)


def nodes(kind: str, shape: tuple[int, ...], **attrs: Any) -> list[str]:
    return lowered_nodes(single(kind, [X], [4], shape, 4, **attrs))


def test_moves_are_nodes_on_bytes() -> None:
    assert nodes("reshape-fix", (1, 64)) == ["Reshape"]
    assert nodes("tile-fix", (1, 2, 2, 16), stride=2) == ["Reshape", "Transpose", "Reshape"]
    assert nodes("reorg-fix", (1, 2, 2, 16), scale=2) == ["Gather", "Reshape", "Transpose", "Reshape"]
    assert nodes("pad-fix", (1, 5, 4, 4), paddings=(0, 0, 1, 0, 0, 0, 0, 0)) == ["Pad"]
    assert nodes("strided_slice-fix", (1, 4, 4, 4), begin=(0,), end=(1,)) == []
    assert nodes("argmax-fix", (1, 4, 4, 1), axis=-1) == ["ArgMax"]


@pytest.mark.parametrize(
    ("kind", "shape", "attrs"),
    [
        ("pad-fix", (1, 4, 4, 4), {"paddings": (0,) * 8, "mode": "WRAP"}),
        ("reshape-fix", (1, 3), {}),
        ("tile-fix", (1, 1, 1, 4), {"stride": 3}),
    ],
)
def test_attributes_that_make_no_sense(kind: str, shape: tuple[int, ...], attrs: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"Q1203 result"):
        nodes(kind, shape, **attrs)


def test_indices_are_integers() -> None:
    model = single("argmax-fix", [X], [4], (1, 4, 4, 1), 4, axis=-1)
    model.ops["result"].tensor.dtype = DataType("FLOAT", 32)
    with pytest.raises(UnsupportedError, match=r"Q1202 result: .*FLOAT32"):
        lowered_nodes(model)
