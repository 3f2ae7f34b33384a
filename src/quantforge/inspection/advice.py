"""The nearest change that keeps a rule.

Numbers are tried outwards from what was found, smaller ones first, then by halving towards 1: limits on sizes are
monotone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from quantforge.inspection.expressions import Expression, Names
from quantforge.targets.dpu import DpuTarget

if TYPE_CHECKING:
    from quantforge.inspection.rules import Rule

Change = dict[str, int]
_NEAR = 512
_MAY_BE_ZERO = ("pad_", "output_padding_")


def nearest(
    rule: Rule, broken: Sequence[Expression], names: Names, target: DpuTarget, kind: str
) -> tuple[Change, ...]:
    """Alternatives, each new values of some variables, under which `rule` holds; empty when none is near.

    Args:
        rule: A rule that checks numbers.
        broken: Its checks that are out of bounds.
        names: All variables.
        target: The DPU.
        kind: The operator.
    """
    if not rule.change:
        return _one_by_one(rule, broken, names, target, kind)
    found = []
    for variables in rule.change:

        def holds(change: Change) -> bool:
            return not rule.broken({**names, **change}, target, kind)

        change = _together(variables, names, holds)
        if change:
            found.append(change)
    return tuple(found)


def _one_by_one(
    rule: Rule, broken: Sequence[Expression], names: Names, target: DpuTarget, kind: str
) -> tuple[Change, ...]:
    """Each broken check mended by its own first variable."""
    whole: Change = {}
    for check in broken:
        variable = check.names[0]

        def holds(change: Change, check: Expression = check) -> bool:
            return rule.allows(check, {**names, **change}, target, kind)

        change = _together((variable,), names, holds)
        if not change:
            return ()
        whole |= change
    return (whole,)


def _together(variables: Sequence[str], names: Names, holds: Callable[[Change], bool]) -> Change | None:
    """The variables set to one value at most each, or one variable to any value."""
    now = {name: names[name] for name in variables}
    if any(isinstance(value, str) for value in now.values()):
        return None

    def at(value: int) -> Change:
        return {name: value if len(now) == 1 else min(value, int(old)) for name, old in now.items()}

    start = int(max(now.values()))
    least = 0 if variables[0].startswith(_MAY_BE_ZERO) else 1
    for value in _outwards(start, least, upwards=len(now) == 1):
        if holds(at(value)):
            return _changed(at(value), now)
    best = _largest(start - _NEAR, lambda value: holds(at(value)))
    return None if best is None else _changed(at(best), now)


def _outwards(start: int, least: int, upwards: bool) -> Iterable[int]:
    for step in range(1, _NEAR + 1):
        if start - step >= least:
            yield start - step
        if upwards:
            yield start + step


def _largest(high: int, holds: Callable[[int], bool]) -> int | None:
    """The largest number from 1 to `high` that holds, if smaller ones do."""
    if high < 1 or not holds(1):
        return None
    low = 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _changed(change: Change, now: dict[str, int | Fraction]) -> Change:
    return {name: value for name, value in change.items() if value != now[name]}
