"""Places in a memory for tensors that live for a while: none overlaps another that lives at the same time.

What, why: intervals on the time axis are packed by first fit, larger tensors first among those that start together.
First fit is within a small factor of the best packing and gives the same places for the same model every time.
Cost: the square of the number of tensors.
Reference: Gergov, "Algorithms for compile-time memory optimization" (SODA 1999), on first fit for such intervals.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A tensor: its size in bytes, and the first and the last step at which it is needed."""

    name: str
    size: int
    start: int
    end: int

    def meets(self, other: Span) -> bool:
        """Whether both live at some step."""
        return self.start <= other.end and other.start <= self.end


@dataclass(frozen=True)
class Packing:
    """Offsets by name, the bytes in use at most, and what did not fit."""

    offsets: dict[str, int]
    size: int
    left_out: tuple[str, ...]


def pack(spans: Iterable[Span], align: int = 1, capacity: int | None = None) -> Packing:
    """Offsets for `spans`, multiples of `align`, all ends within `capacity`.

    >>> spans = [Span("a", 4, 0, 1), Span("b", 4, 1, 2), Span("c", 4, 2, 3)]
    >>> pack(spans).offsets
    {'a': 0, 'b': 4, 'c': 0}
    """
    placed: list[tuple[int, Span]] = []
    left_out: list[str] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.size, s.name)):
        offset = _lowest(span, placed, align)
        if capacity is not None and offset + span.size > capacity:
            left_out.append(span.name)
            continue
        placed.append((offset, span))
    size = max((offset + span.size for offset, span in placed), default=0)
    return Packing({span.name: offset for offset, span in placed}, size, tuple(left_out))


def _lowest(span: Span, placed: list[tuple[int, Span]], align: int) -> int:
    offset = 0
    for start, other in sorted(((o, s) for o, s in placed if s.meets(span)), key=lambda pair: pair[0]):
        if offset + span.size <= start:
            break
        offset = max(offset, aligned(start + other.size, align))
    return offset


def aligned(value: int, align: int) -> int:
    """`value` rounded up to a multiple of `align`.

    >>> aligned(65, 64)
    128
    """
    return -(-value // align) * align
