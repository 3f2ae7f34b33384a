"""Every kernel against the reference kernel of its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.kernels import kernel  # noqa: E402
from quantforge.frontends.torch.movement_kernels import MOVEMENT  # noqa: E402
from quantforge.graph import Op  # noqa: E402
from quantforge.ops.registry import spec  # noqa: E402

SHAPE = (2, 4, 6)
CASES: list[tuple[str, dict[str, Any]]] = [
    ("reshape", {"shape": (0, -1, 3)}),
    ("flatten", {"axis": 1}),
    ("flatten", {"axis": 2}),
    ("flatten", {"axis": 0}),
    ("unsqueeze", {"axes": (0, -1)}),
    ("transpose", {"order": (2, 0, 1)}),
    ("strided-slice", {"begin": (1,), "end": (5,), "strides": (2,), "axes": (2,)}),
    ("strided-slice", {"begin": (-1, 0), "end": (-99, 2), "strides": (-2, 1), "axes": (2, 1)}),
    ("expand", {"shape": (3, 1, 1, 1)}),
    ("tile", {"repeats": (1, 2, 1)}),
    ("pad", {"mode": "constant", "pads": (0, 1, 0, 0, 0, 2), "value": 1.5}),
    ("pad", {"mode": "reflect", "pads": (0, 0, 1, 0, 0, 2), "value": 0.0}),
    ("cast", {"to": "int32"}),
]


@pytest.mark.parametrize(("kind", "attrs"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_a_kernel_is_the_reference_kernel(kind: str, attrs: dict[str, Any]) -> None:
    data = np.arange(48, dtype=np.float32).reshape(SHAPE)
    op = Op(kind, "op", ("x",), ("y",), attrs)
    (want,) = spec(kind).compute(op, [data])
    np.testing.assert_array_equal(kernel(op)([torch.from_numpy(data)]).numpy(), want)


def test_joins_parts_lookup_and_shuffles() -> None:
    data = np.arange(2 * 4 * 6, dtype=np.float32).reshape(2, 4, 6)
    image, rows = data.reshape(1, 8, 2, 3), np.array([[1, 0, 1]])
    cases: list[tuple[str, list[Any], dict[str, Any]]] = [
        ("concat", [data, data], {"axis": 1}),
        ("gather", [data, rows], {"axis": 0}),
        ("gather", [data[0], rows], {"axis": 0}),
        ("gather", [data, rows], {"axis": -1}),
        ("squeeze", [data[:, :1]], {"axes": (1,)}),
        ("pixel-shuffle", [image], {"scale": 2, "mode": "DCR", "layout": "NCHW"}),
        ("pixel-shuffle", [image], {"scale": 2, "mode": "CRD", "layout": "NCHW"}),
    ]
    for kind, arrays, attrs in cases:
        op = Op(kind, "op", tuple(f"x{i}" for i in range(len(arrays))), ("y",), attrs)
        (want,) = spec(kind).compute(op, arrays)
        np.testing.assert_array_equal(kernel(op)([torch.from_numpy(a) for a in arrays]).numpy(), want, kind)
    op = Op("split", "op", ("x",), ("a", "b"), {"axis": 1, "sizes": (1, 3)})
    for found, want in zip(
        kernel(op)([torch.from_numpy(data)]), spec("split").compute(op, [data]), strict=True
    ):
        np.testing.assert_array_equal(found.numpy(), want)


def test_all_kernels_here_were_tried() -> None:
    tried = {case[0] for case in CASES} | {"concat", "gather", "squeeze", "pixel-shuffle", "split"}
    assert tried == set(MOVEMENT)
