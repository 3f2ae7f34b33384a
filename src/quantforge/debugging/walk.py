"""Two stages on the same data: which tensor is the first to differ, and which others do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from quantforge.debugging.difference import RELATIVE, ElementDifference, Positions, differing, element
from quantforge.debugging.explain import Explanation
from quantforge.debugging.stage import Array, Arrays, Stage
from quantforge.debugging.teacher import Teacher
from quantforge.diagnostics import InputError


@dataclass(frozen=True)
class TensorComparison:
    """One tensor of both stages, over all samples.

    Attributes:
        name: Its name in both.
        tensors: What the first and the second stage call it.
        integers: Whether both hold integers, which are compared exactly.
        elements: How many elements were compared.
        different: How many of them differ.
        largest: Largest difference, in steps of the grid, or of real numbers where there is none.
        first: The first element that differs.
        alone: What the operator did when it was given the first stage's numbers; None where that was not asked.
    """

    name: str
    tensors: tuple[str, str]
    integers: bool
    elements: int
    different: int
    largest: float
    first: ElementDifference | None
    alone: Explanation | None = None


@dataclass(frozen=True)
class StageComparison:
    """Two stages tensor by tensor, in topological order.

    `unmatched` names tensors of the first stage that the second does not have or has in a shape of its own.
    """

    first: str
    second: str
    samples: int
    tensors: tuple[TensorComparison, ...]
    unmatched: tuple[str, ...]

    @property
    def culprit(self) -> TensorComparison | None:
        """The first tensor that differs."""
        return next((tensor for tensor in self.tensors if tensor.different), None)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.culprit is None

    @property
    def explained(self) -> bool:
        """Whether every difference that an operator makes on equal inputs has a known reason."""
        return all(tensor.alone is not None and not tensor.alone.unexplained for tensor in self.tensors)


@dataclass
class _Sums:
    """What has come together about one tensor."""

    positions: Positions
    elements: int = 0
    different: int = 0
    largest: float = 0.0
    first: ElementDifference | None = None
    alone: Explanation | None = None

    def add(self, first: Array, second: Array, relative: float, sample: int) -> None:
        """One batch more."""
        unequal, steps = differing(first, second, self.positions, relative)
        self.elements += int(first.size)
        if not unequal.any():
            return
        self.different += int(unequal.sum())
        largest = np.nanmax(np.abs(steps[unequal]), initial=0.0)
        self.largest = max(self.largest, float(largest))
        if self.first is None:
            index = tuple(int(axis[0]) for axis in np.nonzero(unequal))
            self.first = element(first, second, self.positions, index, sample)


@dataclass
class _Walk:
    first: Stage
    second: Stage
    relative: float
    teacher: Teacher | None
    pairs: list[str] = field(default_factory=list)
    sums: dict[str, _Sums] = field(default_factory=dict)
    unfit: set[str] = field(default_factory=set)
    samples: int = 0

    def add(self, feeds: Arrays) -> None:
        """One batch through both stages."""
        made, other = self.first.run(feeds), self.second.run(_renamed(feeds, self.second))
        given: dict[str, Array] = {}
        for name in self.pairs:
            if name not in made or name not in other:
                continue
            fitting = self._fitting(name, made[name], other[name])
            if fitting is None:
                self.unfit.add(name)
                continue
            given[name] = fitting[0]
            self.sums[name].add(*fitting, self.relative, self.samples)
        if self.teacher is not None:
            for name, found in self.teacher.run(_renamed(feeds, self.second), given).items():
                known = self.sums[name].alone
                self.sums[name].alone = found if known is None else known + found
        self.samples += len(next(iter(feeds.values())))

    def _fitting(self, name: str, first: Array, second: Array) -> tuple[Array, Array] | None:
        """Both arrays in one order of axes: the first stage's, or else the second's."""
        viewed = self.second.view(name, second, first.shape)
        if viewed is not None:
            return first, viewed
        viewed = self.first.view(name, first, second.shape)
        return None if viewed is None else (viewed, second)


def compare_stages(
    first: Stage,
    second: Stage,
    batches: Iterable[Arrays],
    *,
    relative: float = RELATIVE,
    teacher: Teacher | None = None,
) -> StageComparison:
    """Run both stages over `batches` and compare every tensor that both have.

    Args:
        first: The stage taken as right.
        second: The stage under suspicion; its order is the order of the walk.
        batches: Feeds by the names of the first stage's inputs.
        relative: Largest difference of real numbers that counts as equal, as a share of the largest number.
        teacher: Gives each operator of the second stage the numbers of the first, to see what it does alone.

    Raises:
        InputError: Q1305 when the stages have no tensor in common, Q1306 when their inputs do not go together.
    """
    names = [name for name in second.signals if name in first.signals]
    if not names:
        found = f"none of the {len(second.signals)} tensors of {second.label}"
        fix = "compare stages of one model, compiled with the names of its values kept"
        raise InputError("Q1305", first.label, found, "tensors that both have", fix)
    walk = _Walk(first, second, relative, teacher, names)
    for name in names:
        walk.sums[name] = _Sums(Positions(first.signals[name].position, second.signals[name].position))
    for feeds in batches:
        walk.add(feeds)
    return _result(walk)


def _result(walk: _Walk) -> StageComparison:
    compared = [name for name in walk.pairs if walk.sums[name].elements]
    missing = [name for name in walk.first.signals if name not in compared]
    return StageComparison(
        walk.first.label,
        walk.second.label,
        walk.samples,
        tuple(_tensor(walk, name) for name in compared),
        tuple(missing),
    )


def _tensor(walk: _Walk, name: str) -> TensorComparison:
    sums = walk.sums[name]
    return TensorComparison(
        name,
        (walk.first.signals[name].tensor, walk.second.signals[name].tensor),
        sums.positions.exact,
        sums.elements,
        sums.different,
        sums.largest,
        sums.first,
        sums.alone,
    )


def _renamed(feeds: Arrays, stage: Stage) -> Mapping[str, Array]:
    """Feeds under the names of the inputs of `stage`; those of other names go by their order."""
    names = [info.name for info in stage.inputs]
    if set(names) <= set(feeds):
        return feeds
    if len(names) != len(feeds):
        found = f"inputs {', '.join(names) or 'none'}"
        raise InputError("Q1306", stage.label, found, ", ".join(feeds), "compare stages of one model")
    return dict(zip(names, feeds.values(), strict=True))
