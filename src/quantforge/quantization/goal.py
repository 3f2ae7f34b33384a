"""What a quantized network has to reach, and what it reached on samples it was not calibrated on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from quantforge.diagnostics import InputError

HALF_DB = 3.0  # half the noise


@dataclass(frozen=True)
class Figures:
    """A quantized network beside the float one, over `samples` samples.

    `sqnr_db` is that of the worst output, in decibels; the shares are those of the worst classifying output,
    None where there is none, the accuracies None without labels.
    """

    samples: int
    sqnr_db: float
    agreement: float | None = None
    float_accuracy: float | None = None
    quantized_accuracy: float | None = None

    @property
    def drop(self) -> float | None:
        """Points of top-1 lost: of accuracy where labels are known, else of agreement with the float network.

        >>> Figures(100, 30.0, 0.98).drop
        2.0
        """
        if self.float_accuracy is not None and self.quantized_accuracy is not None:
            return round(100.0 * (self.float_accuracy - self.quantized_accuracy), 9)
        return None if self.agreement is None else round(100.0 * (1.0 - self.agreement), 9)


@dataclass(frozen=True)
class Goal:
    """The most points of top-1 that may be lost, or the least SQNR in decibels, or both.

    Raises:
        InputError: Q0526 when neither is given, or one is no sound number.
    """

    max_drop: float | None = None
    min_sqnr: float | None = None

    def __post_init__(self) -> None:
        given = [number for number in (self.max_drop, self.min_sqnr) if number is not None]
        if not given or not all(map(math.isfinite, given)) or (self.max_drop or 0.0) < 0.0:
            raise InputError(
                "Q0526", "goal", f"max_drop={self.max_drop}, min_sqnr={self.min_sqnr}",
                "points of top-1 that may be lost, or a least SQNR in dB", "max_drop=0.5",
            )  # fmt: skip

    def met_by(self, figures: Figures) -> bool:
        """Whether a network with these figures is good enough.

        Raises:
            InputError: Q0526 for `max_drop` where no output looks like a classifier's.
        """
        if self.min_sqnr is not None and not figures.sqnr_db >= self.min_sqnr:
            return False
        if self.max_drop is None:
            return True
        if figures.drop is None:
            raise InputError(
                "Q0526", "max_drop", "no output with one row of class scores per sample", "a classifier",
                "give a least SQNR instead: min_sqnr",
            )  # fmt: skip
        return figures.drop <= self.max_drop

    def leaves_room(self, figures: Figures) -> bool:
        """Whether half of what may be lost is left for quantization where a float network has these figures."""
        if self.min_sqnr is not None and figures.sqnr_db < self.min_sqnr + HALF_DB:
            return False
        return self.max_drop is None or (figures.drop or 0.0) <= self.max_drop / 2.0

    def shortfall(self, figures: Figures) -> tuple[float, float]:
        """How far `figures` are from the goal, to be compared: smaller is better."""
        drop = 0.0 if self.max_drop is None else max((figures.drop or 0.0) - self.max_drop, 0.0)
        return drop, -figures.sqnr_db

    def __str__(self) -> str:
        words = []
        if self.max_drop is not None:
            words.append(f"at most {self.max_drop:g} points of top-1 lost")
        if self.min_sqnr is not None:
            words.append(f"SQNR of at least {self.min_sqnr:g} dB")
        return " and ".join(words)
