"""Integers of 4 bits, two in a byte."""

from __future__ import annotations

import numpy as np

from quantforge.debugging.stage import Array


def packed(integers: Array) -> Array:
    """Integers of 4 bits, two in a byte: the first of a pair in the upper half."""
    even = np.zeros(len(integers) + len(integers) % 2, np.uint8)
    even[: len(integers)] = integers.astype(np.uint8) & 0x0F
    return np.asarray(even[0::2] << 4 | even[1::2], np.uint8)


def unpacked(data: Array, count: int) -> Array:
    """The inverse of `packed`, for `count` integers.

    >>> unpacked(np.array([0x1F, 0x20], np.uint8), 3).tolist()
    [1, -1, 2]
    """
    halves = np.stack([data >> 4, data & 0x0F], axis=1).reshape(-1)[:count].astype(np.int8)
    return np.asarray(np.where(halves > 7, halves - 16, halves), np.int8)
