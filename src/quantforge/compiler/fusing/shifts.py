"""The shifts that a DPU's engines have registers for.

    convolution   shift_cut = fi + fw - fo in 0..16,  shift_bias = fi + fw - fb in min(0, -(24 - (8 + shift_cut)))..16
    sum           shift_read = max(fi) - min(fi) in 0..15,  shift_write = min(fi) - fo in -15..25
    product       sum of fi - fo in 0..32
    hard sigmoid  fi in 0..15,  fo >= 7

Source: the limits that the quantizers of Vitis AI keep (AdjustShiftCut, AdjustShiftBias, AdjustShiftRead,
AdjustShiftWrite, AdjustHardSigmoid) and those that the compiler's messages name; the wider where they differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from quantforge.compiler.fusing.draft import NotOnDpuError


def check_convolution(cut: int, bias: int | None) -> None:
    """See that the two shifts of a convolution can be set.

    Raises:
        NotOnDpuError: When one is out of range.
    """
    if not 0 <= cut <= 16:
        raise NotOnDpuError(f"shift_cut {cut} is not within 0..16")
    low = min(0, -(24 - (8 + cut)))
    if bias is not None and not low <= bias <= 16:
        raise NotOnDpuError(f"shift_bias {bias} is not within {low}..16")


def check_sum(positions: Sequence[int], out: int) -> None:
    """See that the shifts of a sum can be set.

    Raises:
        NotOnDpuError: When one is out of range.
    """
    read, write = max(positions) - min(positions), min(positions) - out
    if read > 15:
        raise NotOnDpuError(f"shift_read {read} is not within 0..15")
    if not -15 <= write <= 25:
        raise NotOnDpuError(f"shift_write {write} is not within -15..25")


def check_product(positions: Sequence[int], out: int) -> None:
    """See that the shift of a product can be set.

    Raises:
        NotOnDpuError: When it is out of range.
    """
    write = sum(positions) - out
    if not 0 <= write <= 32:
        raise NotOnDpuError(f"a product is shifted by {write}, which is not within 0..32")


def check_hard_sigmoid(position: int, out: int) -> None:
    """See that a hard sigmoid's constants fit.

    Raises:
        NotOnDpuError: When they do not.
    """
    if not 0 <= position <= 15 or out < 7 or not 0 <= 14 + position - out <= 31:
        raise NotOnDpuError(
            f"a hard sigmoid from fix point {position} to {out}; 0..15 to 7 or more are possible"
        )
