"""What climbing the ladder found: the figures of every rung, and which one was taken. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from quantforge.quantization.goal import Figures


@dataclass(frozen=True)
class RungReport:
    """One rung.

    Attributes:
        name: The step, such as "equalize", or "16-bit 4" for the four worst layers widened.
        figures: On the samples held out; None when the step was not taken.
        seconds: Wall time, in the run that took it.
        met: Whether it reached the goal.
        kept: Whether what follows builds on it; widening always goes on.
        remark: Why the step was not taken, or which layers it widens.
        resumed: Whether an earlier, interrupted run took it.
    """

    name: str
    figures: Figures | None = None
    seconds: float = 0.0
    met: bool = False
    kept: bool = False
    remark: str = ""
    resumed: bool = False


@dataclass(frozen=True)
class LadderReport:
    """All rungs in their order; `chosen` names the one that was written, `judged_on` the samples in words."""

    goal: str
    met: bool
    chosen: str
    judged_on: str
    rungs: tuple[RungReport, ...]
