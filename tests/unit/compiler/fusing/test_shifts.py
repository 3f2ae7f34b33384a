from __future__ import annotations

import pytest

from quantforge.compiler.fusing.draft import NotOnDpuError
from quantforge.compiler.fusing.shifts import check_convolution, check_hard_sigmoid, check_product, check_sum


@pytest.mark.parametrize(("cut", "bias"), [(0, -16), (16, 16), (16, 0), (8, -8), (5, None)])
def test_convolutions_within_range(cut: int, bias: int | None) -> None:
    check_convolution(cut, bias)


@pytest.mark.parametrize(("cut", "bias"), [(-1, 0), (17, 0), (0, -17), (0, 17), (16, -1)])
def test_convolutions_out_of_range(cut: int, bias: int) -> None:
    with pytest.raises(NotOnDpuError, match="shift_"):
        check_convolution(cut, bias)


@pytest.mark.parametrize(
    ("positions", "out", "fits"),
    [
        ((0, 15), 15, True), ((0, 16), 4, False), ((4, 4), 19, True), ((4,), 20, False), ((25,), 0, True),
        ((26,), 0, False),
    ],
)  # fmt: skip
def test_sums(positions: tuple[int, ...], out: int, fits: bool) -> None:
    if fits:
        check_sum(positions, out)
    else:
        with pytest.raises(NotOnDpuError, match="shift_"):
            check_sum(positions, out)


def test_products_and_hard_sigmoids() -> None:
    check_product((4, 4), 8)
    check_product((16, 16), 0)
    check_hard_sigmoid(15, 7)
    for positions, out in (((4, 4), 9), ((17, 16), 0)):
        with pytest.raises(NotOnDpuError, match="product"):
            check_product(positions, out)
    for position, out in ((-1, 7), (16, 7), (4, 6), (0, 15)):
        with pytest.raises(NotOnDpuError, match="hard sigmoid"):
            check_hard_sigmoid(position, out)
