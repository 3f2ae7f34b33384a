from __future__ import annotations

import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import Dim, Shape
from quantforge.ops.dims import broadcast, count, product, reshaped, window_count


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(2, 3), (3,)], (2, 3)),
        ([("b", 1), (1, 4)], ("b", 4)),
        ([("b", 3), ("b", 3)], ("b", 3)),
        ([("b",), (5,)], (5,)),
        ([("b",), ("c",)], (None,)),
        ([(None,), (1,)], (None,)),
        ([("b",), None], None),
        ([(), (2,)], (2,)),
    ],
)
def test_broadcast(shapes: list[Shape | None], expected: Shape | None) -> None:
    assert broadcast("op", shapes) == expected


def test_broadcast_refuses() -> None:
    with pytest.raises(
        InputError, match="Q0404 add: found sizes 2 and 3 on the same axis; expected equal sizes, or 1"
    ):
        broadcast("add", [(2,), (3,)])


def test_product_and_count() -> None:
    assert product((2, 3)) == 6 and product(("b", 3)) is None and product(()) == 1
    assert count(("b", 3, None, 4)) == 12


@pytest.mark.parametrize(
    ("shape", "wanted", "expected"),
    [
        ((2, 3, 4), (6, -1), (6, 4)),
        (("b", 3, 4), (-1, 12), ("b", 12)),
        (("b", 3, 4), (-1, 6), (None, 6)),
        (("b", "c", 4), (0, 0, 2, -1), ("b", "c", 2, 2)),
        (("b", "c"), (-1,), (None,)),
        ((None, 4), (-1, 4), (None, 4)),
        ((0, 4), (-1, 0), (0, 4)),
        (("b", 4), (2, 2), (2, 2)),
    ],
)
def test_reshaped(shape: Shape, wanted: tuple[int, ...], expected: Shape) -> None:
    assert reshaped(shape, wanted) == expected


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "pads", "ceil", "expected"),
    [
        (7, 3, 2, 1, (0, 0), False, 3),
        (8, 3, 2, 1, (0, 0), False, 3),
        (8, 3, 2, 1, (0, 0), True, 4),
        (8, 3, 2, 2, (1, 1), False, 3),
        (5, 2, 3, 1, (0, 2), True, 2),
        ("w", 3, 1, 1, (1, 1), False, "w"),
        ("w", 3, 1, 2, (2, 2), False, "w"),
        ("w", 3, 2, 1, (1, 1), False, None),
        (None, 1, 1, 1, (0, 0), False, None),
    ],
)
def test_window_count(
    size: Dim, kernel: int, stride: int, dilation: int, pads: tuple[int, int], ceil: bool, expected: Dim
) -> None:
    assert window_count(size, kernel, stride, dilation, pads, ceil) == expected
