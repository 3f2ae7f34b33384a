"""The placement of a graph as data: which values carry a spec, which share one, and why the rest stays float."""

from __future__ import annotations

from dataclasses import dataclass

from quantforge.numerics.formats import IntFormat
from quantforge.quantization.recipe import TensorRule


@dataclass(frozen=True)
class SpecGroup:
    """Values that share one spec; the statistics of `sources` together decide it, by `rule`."""

    values: tuple[str, ...]
    sources: tuple[str, ...]
    rule: TensorRule


@dataclass(frozen=True)
class Parameter:
    """A constant and the op that reads it."""

    value: str
    op: str


@dataclass(frozen=True)
class FloatOp:
    """An op that stays in float, and why (`code` opens the long form)."""

    op: str
    kind: str
    reason: str
    code: str


@dataclass(frozen=True)
class Places:
    """The whole placement of a graph."""

    groups: tuple[SpecGroup, ...]
    weights: tuple[Parameter, ...]
    biases: tuple[Parameter, ...]
    floats: tuple[FloatOp, ...]

    @property
    def rules(self) -> dict[str, TensorRule]:
        """The rule of every value calibration has to see; float formats need no statistics."""
        return {
            source: group.rule
            for group in self.groups
            if isinstance(group.rule.format, IntFormat)
            for source in group.sources
        }

    @property
    def observed(self) -> tuple[str, ...]:
        """The values calibration has to see, each once."""
        return tuple(self.rules)
