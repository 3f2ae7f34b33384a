"""Limits of DPU engines: sets of small integers, written as in the target files ("1-16", "2,3,5,7,8").

An item is a number or two numbers with a dash, both ends included; items are separated by commas.
"""

from __future__ import annotations

import re

from quantforge.diagnostics import InputError

Limits = tuple[tuple[int, int], ...]
_ITEM = re.compile(r"(\d+)(?:-(\d+))?")


def parse_limits(text: str, where: str = "limit") -> Limits:
    """The inclusive ranges of a text; `where` names it in errors.

    >>> parse_limits("1-3,7")
    ((1, 3), (7, 7))

    Raises:
        InputError: Q1006 for any other text, or a range that runs backwards.
    """
    ranges = []
    for item in text.split(","):
        found = _ITEM.fullmatch(item.strip())
        if found is None or int(found[2] or found[1]) < int(found[1]):
            expected = 'numbers and ranges such as "1-16" or "2,3,5,7,8"'
            raise InputError("Q1006", where, repr(text), expected, f"correct the item {item.strip()!r}")
        ranges.append((int(found[1]), int(found[2] or found[1])))
    return tuple(ranges)


def limits_text(limits: Limits) -> str:
    """The text of some ranges, which `parse_limits` reads back.

    >>> limits_text(((1, 3), (7, 7)))
    '1-3,7'
    """
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in limits)


def allows(limits: Limits, value: int) -> bool:
    """Whether `value` lies in one of the ranges.

    >>> allows(((1, 3), (7, 7)), 7), allows(((1, 3), (7, 7)), 4)
    (True, False)
    """
    return any(low <= value <= high for low, high in limits)
