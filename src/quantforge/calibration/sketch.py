"""A fixed-size, mergeable summary of all values a tensor takes.

What: the exact number of values, the exact minimum and maximum, the number of NaN and infinities, and one count
for each value of a float32's top 16 bits (sign, 8 exponent bits, 7 mantissa bits: 65536 bins).
Why: the bins are logarithmic and need no range in advance, so one pass suffices whatever the range method; each
is at most 1/128 of its lower edge wide, so whatever is derived from the counts has a known bound.
Cost: half a megabyte of address space per tensor, of which only pages with counts become memory (32 KiB for a
typical activation); 0.65 ns per value on one core at 2.5 GHz from its cache, 1 ns from memory.
Counts add: batches, shards and machines give the same sketch in any order.

The counting kernel works on the bits as unsigned integers. Two counters per bin take turns, because a processor
that adds to the address it has just written waits for that write (runs of exact zeros behind a ReLU); they are 32
bits wide to halve the memory traffic, and are folded into 64 bits before they can overflow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Array
from quantforge.numerics.compiled import compiled

BINS = 1 << 16
_INFINITY = 0x7F80  # first bin of infinities and NaN; with the sign bit 0xFF80
_SIGN = 0x8000
_FOLD_AT = (1 << 32) - 1  # values that two 32-bit counters certainly hold

_PATTERNS, _FLOATS = Struct("=II"), Struct("=ff")

Counts = NDArray[np.int64]
Lanes = NDArray[np.uint32]
Bits = NDArray[np.uint32]


@dataclass(frozen=True)
class Extent:
    """Smallest and largest finite value; `lo` > `hi` (inf, -inf) when there is none."""

    lo: float = np.inf
    hi: float = -np.inf

    def __or__(self, other: Extent) -> Extent:
        """The extent of both."""
        return Extent(min(self.lo, other.lo), max(self.hi, other.hi))

    @property
    def empty(self) -> bool:
        """Whether no finite value was seen."""
        return self.lo > self.hi


class Sketch:
    """Counts of the values of one tensor; see the module's text.

    >>> sketch = Sketch()
    >>> sketch.add(np.array([[0.5, -2.0], [3.0, 0.0]], np.float32))
    Extent(lo=-2.0, hi=3.0)
    >>> sketch.count, sketch.lo, sketch.hi, sketch.nans
    (4, -2.0, 3.0, 0)

    Attributes:
        count: Number of values, NaN and infinities included.
        extent: Of the finite values.
        nans: Number of NaN.
        infinities: Number of -inf and of +inf.
        empty_arrays: Number of arrays without a value.
    """

    def __init__(self) -> None:
        self.count = 0
        self.extent = Extent()
        self.nans = 0
        self.infinities = (0, 0)
        self.empty_arrays = 0
        self._lanes: Lanes = np.zeros((BINS, 2), np.uint32)
        self._folded: Counts | None = None
        self._pending = 0

    @property
    def lo(self) -> float:
        """Smallest finite value; inf when there is none."""
        return self.extent.lo

    @property
    def hi(self) -> float:
        """Largest finite value; -inf when there is none."""
        return self.extent.hi

    @property
    def finite(self) -> int:
        """Number of finite values."""
        return self.count - self.special

    @property
    def special(self) -> int:
        """Number of NaN and infinities."""
        return self.nans + sum(self.infinities)

    @property
    def counts(self) -> Counts:
        """Count per bin, int64 [65536]: bin b holds the float32 numbers whose bits are b << 16 and up."""
        total = self._lanes[:, 0].astype(np.int64)
        total += self._lanes[:, 1]
        if self._folded is not None:
            total += self._folded
        return total

    def occupied(self) -> tuple[Counts, Counts]:
        """The bins with at least one value, ascending, and their counts."""
        if self._folded is not None:
            counts = self.counts
            bins = np.flatnonzero(counts)
            return bins, counts[bins]
        pairs = self._lanes.view(np.uint64).reshape(-1)
        bins = np.flatnonzero(pairs != 0)
        counters = pairs[bins].view(np.uint32).astype(np.int64)
        return bins, counters[::2] + counters[1::2]

    def add(self, values: Array) -> Extent:
        """Count an array of any float dtype and shape; returns the extent of its finite values.

        float32 arrays without gaps are read where they are; others are converted first.
        """
        bits = _bits(values)
        if bits.size == 0:
            self.empty_arrays += 1
            return Extent()
        self._reserve(bits.size)
        extremes = np.empty(3, np.int64)
        count_bits(bits, self._lanes, extremes)
        top, largest, smallest = extremes.tolist()
        self.count += bits.size
        if top >= _INFINITY << 16 or largest >= (_SIGN | _INFINITY) << 16:
            extent = self._add_special(bits.view(np.float32))
        else:
            extent = _extent(top, largest, smallest)
        if extent.lo < self.extent.lo or extent.hi > self.extent.hi:
            self.extent |= extent
        return extent

    def merge(self, other: Sketch) -> None:
        """Add the counts of `other`; the order of merges does not matter."""
        bins, counts = other.occupied()
        if self._folded is None:
            self._folded = np.zeros(BINS, np.int64)
        self._folded[bins] += counts
        self.count += other.count
        self.extent |= other.extent
        self.nans += other.nans
        self.infinities = (self.infinities[0] + other.infinities[0], self.infinities[1] + other.infinities[1])
        self.empty_arrays += other.empty_arrays

    @classmethod
    def restored(
        cls,
        bins: Counts,
        counts: Counts,
        extent: Extent,
        nans: int = 0,
        infinities: tuple[int, int] = (0, 0),
        empty_arrays: int = 0,
    ) -> Sketch:
        """A sketch from what `occupied` and the attributes of another one said."""
        sketch = cls()
        sketch._folded = np.zeros(BINS, np.int64)
        sketch._folded[bins] = counts
        sketch.count = int(counts.sum())
        sketch.extent, sketch.nans, sketch.infinities = extent, nans, infinities
        sketch.empty_arrays = empty_arrays
        return sketch

    def clear(self) -> None:
        """Forget everything, keeping the memory."""
        occupied = np.flatnonzero(self._lanes.any(axis=1))
        self._lanes[occupied] = 0
        self.count, self.extent, self.nans, self.infinities = 0, Extent(), 0, (0, 0)
        self.empty_arrays, self._folded, self._pending = 0, None, 0

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Sketch)
            and self._key() == other._key()
            and np.array_equal(self.counts, other.counts)
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    def _key(self) -> tuple[object, ...]:
        return (self.count, self.extent, self.nans, self.infinities, self.empty_arrays)

    def _reserve(self, size: int) -> None:
        if self._pending + size > _FOLD_AT:
            self._folded = self.counts
            self._lanes[:] = 0
            self._pending = 0
        self._pending += size

    def _add_special(self, values: NDArray[np.float32]) -> Extent:
        """Count NaN and infinities apart; the extent of the rest."""
        self.nans += int(np.isnan(values).sum())
        below, above = int(np.isneginf(values).sum()), int(np.isposinf(values).sum())
        self.infinities = (self.infinities[0] + below, self.infinities[1] + above)
        finite = values[np.isfinite(values)]
        return Extent(float(finite.min()) + 0.0, float(finite.max()) + 0.0) if finite.size else Extent()


def sketch_of(arrays: Iterable[Array]) -> Sketch:
    """The sketch of all values of `arrays`."""
    sketch = Sketch()
    for array in arrays:
        sketch.add(array)
    return sketch


def merged(sketches: Iterable[Sketch]) -> Sketch:
    """A new sketch with the counts of all `sketches`."""
    total = Sketch()
    for sketch in sketches:
        total.merge(sketch)
    return total


@compiled("uint32[1] const", "uint32[2]", "int64[1]")
def count_bits(bits: Bits, lanes: Lanes, extremes: Counts) -> None:
    """Add one to the counter of each value, and give its extremes as the bits order them.

    Args:
        bits: Of float32 numbers [n].
        lanes: Two counters per bin, [65536, 2].
        extremes: Filled with the largest bit pattern as a signed integer (the largest value, if one is positive), the
            largest and the smallest as an unsigned one.
    """
    one, shift = np.uint32(1), np.uint32(16)
    top, largest, smallest = np.int32(-(1 << 31)), np.uint32(0), np.uint32(0xFFFFFFFF)
    start, size = np.uint64(0), np.uint64(bits.size)  # unsigned indices need no check for being negative
    while start < size:
        end = min(
            start + np.uint64(8192), size
        )  # 32 KiB, so that the second loop reads from the nearest cache
        even = end - ((end - start) & np.uint64(1))
        for i in range(start, even, np.uint64(2)):
            lanes[bits[i] >> shift, 0] += one
            lanes[bits[i + np.uint64(1)] >> shift, 1] += one
        if even < end:
            lanes[bits[even] >> shift, 0] += one
        for i in range(start, end):
            value = bits[i]
            top = max(top, np.int32(value))
            largest = max(largest, value)
            smallest = min(smallest, value)
        start = end
    extremes[0], extremes[1], extremes[2] = top, largest, smallest


def count_bits_reference(bits: Bits, lanes: Lanes, extremes: Counts) -> None:
    """The definition of `count_bits`, in NumPy; it counts all values in the first lane."""
    lanes[:, 0] += np.bincount(bits >> 16, minlength=BINS).astype(np.uint32)
    extremes[:] = bits.view(np.int32).max(), bits.max(), bits.min()


def _bits(values: Array) -> Bits:
    array = np.asarray(values)
    if array.dtype != np.float32 or not array.flags.c_contiguous:
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(array, np.float32)
    return array.reshape(-1).view(np.uint32)


def _extent(top: int, largest: int, smallest: int) -> Extent:
    """The extent from the extremes of the bits: as unsigned numbers, negative floats come last and reversed."""
    hi = top if top >= 0 else smallest  # without a positive value the one nearest to zero is the largest
    lo = largest if largest >= _SIGN << 16 else smallest
    low, high = _FLOATS.unpack(_PATTERNS.pack(lo, hi))  # a tenth of the time of two NumPy scalars
    return Extent(low + 0.0, high + 0.0)
