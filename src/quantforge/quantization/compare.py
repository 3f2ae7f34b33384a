"""Two networks over the same data, value by value: a float one and its quantized form.

For a value y of the float network and its counterpart y' over all samples,

    SQNR = 10 log10(sum y^2 / sum (y - y')^2),    cosine = sum y y' / sqrt(sum y^2 sum y'^2),    max |y - y'|.

Sums are kept in float64 and nothing else is: memory does not grow with the data. Numbers that are not finite on
either side (masks of -inf, say) are counted and left out of the sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from quantforge.diagnostics import Diagnostic, InputError
from quantforge.graph import Array, Graph
from quantforge.graph.execution import Feeds, Session, sample_count
from quantforge.numerics.compiled import compiled
from quantforge.quantization.report import DataReport, OutputReport
from quantforge.quantization.top_class import Tally, looks_like_scores

SHARP_DROP_DB = 10.0  # a value this far below all that it is computed from lost something by itself
CLEAN_DB = 30.0  # SQNR of a tensor that 8 bits hold well; better ones count as this when looking for a drop
RESCALED_DB = 6.0  # better by this with the channels' scales undone: the channels are equalized,
RESCALED_LEAST_DB = 15.0  # unless even then too little is left

Labels = NDArray[np.int64]
Channels = NDArray[np.float64]
Floats = NDArray[np.float32] | NDArray[np.float64]


def _no_channels() -> Channels:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Difference:
    """Running sums over one value of both networks; arrays are float64 [channels], along axis 1.

    Attributes:
        noise: Sum of (y - y')^2.
        largest: Largest |y - y'|.
        signal: Sum of y^2 by channel.
        product: Sum of y y' by channel.
        other: Sum of y'^2 by channel.
        not_finite: Pairs left out because one of the two is NaN or infinite.
        reshaped: Batches left out because the two have different shapes.
    """

    noise: float = 0.0
    largest: float = 0.0
    signal: Channels = field(default_factory=_no_channels)
    product: Channels = field(default_factory=_no_channels)
    other: Channels = field(default_factory=_no_channels)
    not_finite: int = 0
    reshaped: int = 0

    def plus(self, reference: Array, actual: Array) -> Difference:
        """Add one batch of both."""
        if reference.shape != actual.shape:
            return replace(self, reshaped=self.reshaped + 1)
        y, z = _by_channel(reference), _by_channel(actual)
        sums = np.zeros((4, y.shape[1]))
        largest, dropped = add_differences(y, z, sums)
        return Difference(
            self.noise + float(sums[3].sum()),
            max(self.largest, largest),
            _sum(self.signal, sums[0]),
            _sum(self.product, sums[1]),
            _sum(self.other, sums[2]),
            self.not_finite + dropped,
            self.reshaped,
        )

    @property
    def sqnr_db(self) -> float | None:
        """In decibels: infinite when nothing differs, None when both are zero throughout."""
        return _decibels(float(self.signal.sum()), self.noise)

    @property
    def rescaled_db(self) -> float | None:
        """SQNR with the channels of y' brought back to the scales of y, where they clearly have other ones.

        Equalized layers carry g_c y_c between them instead of y_c. With the gain of least squared error,
        g_c = sum y y' / sum y^2, what is left over is sum y'^2 - g_c sum y y', seen at the scale of y.
        """
        alive = (self.signal > 0.0) & (self.product > 0.0)
        gain = self.product[alive] / self.signal[alive]
        left = np.maximum(self.other[alive] - gain * self.product[alive], 0.0) / gain**2
        noise = float(left.sum() + self.signal[~alive].sum())
        found, plain = _decibels(float(self.signal.sum()), noise), self.sqnr_db
        if found is None or plain in (None, math.inf) or found < max(plain + RESCALED_DB, RESCALED_LEAST_DB):
            return None
        return found

    @property
    def cosine(self) -> float | None:
        """Of the angle between both as vectors, from -1 to 1; None when one is zero throughout."""
        lengths = math.sqrt(self.signal.sum()) * math.sqrt(self.other.sum())
        return max(-1.0, min(1.0, float(self.product.sum()) / lengths)) if lengths > 0.0 else None


def add_differences_reference(y: Floats, z: Floats, sums: Channels) -> tuple[float, int]:
    """The definition of `add_differences`, in NumPy."""
    finite = np.isfinite(y) & np.isfinite(z)
    a, b = (np.where(finite, array, 0.0).astype(np.float64) for array in (y, z))
    for row, terms in zip(sums, (a * a, a * b, b * b, (a - b) ** 2), strict=True):
        row += terms.sum(axis=(0, 2))
    return float(np.abs(a - b).max(initial=0.0)), y.size - int(np.count_nonzero(finite))


def add_differences(y: Floats, z: Floats, sums: Channels) -> tuple[float, int]:
    """Add y^2, y z, z^2 and (y - z)^2 of `y` and `z` [batch, channels, rest] to `sums` [4, channels].

    Pairs that are not finite are left out. Returns the largest |y - z| and the number of pairs left out.
    """
    rest = np.zeros(2)
    (_add_differences_float32 if y.dtype == np.float32 else _add_differences_float64)(y, z, sums, rest)
    return float(rest[0]), int(rest[1])


def _differences(y: Floats, z: Floats, sums: Channels, rest: Channels) -> None:
    """The loop of `add_differences`; `rest` [2] takes the largest difference and the number left out."""
    largest, dropped = 0.0, 0.0
    for i in range(y.shape[0]):
        for c in range(y.shape[1]):
            signal = product = other = noise = 0.0
            for k in range(y.shape[2]):
                a, b = np.float64(y[i, c, k]), np.float64(z[i, c, k])
                if not (np.isfinite(a) and np.isfinite(b)):
                    dropped += 1.0
                    continue
                signal += a * a
                product += a * b
                other += b * b
                noise += (a - b) * (a - b)
                largest = max(largest, abs(a - b))
            sums[0, c] += signal
            sums[1, c] += product
            sums[2, c] += other
            sums[3, c] += noise
    rest[0], rest[1] = largest, dropped


_add_differences_float32 = compiled("float32[3] const", "float32[3] const", "float64[2]", "float64[1]")(
    _differences
)
_add_differences_float64 = compiled("float64[3] const", "float64[3] const", "float64[2]", "float64[1]")(
    _differences
)


def _by_channel(array: Array) -> Floats:
    """The array as [batch, channels, rest] of float32, or float64 for other types; one channel below two axes."""
    blocks = (*array.shape[:2], math.prod(array.shape[2:])) if array.ndim > 1 else (1, 1, array.size)
    if array.dtype == np.float32:
        return np.ascontiguousarray(array, np.float32).reshape(blocks)
    return np.ascontiguousarray(array, np.float64).reshape(blocks)


def _sum(known: Channels, more: Channels) -> Channels:
    """Sums by channel; over all channels where their number changes from batch to batch."""
    if known.size in (0, more.size):
        return more if known.size == 0 else known + more
    return np.array([known.sum() + more.sum()])


def _decibels(signal: float, noise: float) -> float | None:
    if noise == 0.0:
        return math.inf if signal > 0.0 else None
    return 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf


@dataclass(frozen=True)
class ValueComparison:
    """One value of both networks.

    Attributes:
        name: In the float network.
        counterpart: Name of the tensor it was compared with in the quantized network.
        sqnr_db: In decibels; None when it cannot be given.
        max_error: Largest absolute difference.
        cosine: Of the angle between both.
        rescaled_db: SQNR with the scales of the channels undone, where equalization has changed them; else None.
        not_finite: Pairs of numbers left out because one is NaN or infinite.
        reshaped: Batches left out because the shapes differ.
    """

    name: str
    counterpart: str
    sqnr_db: float | None
    max_error: float
    cosine: float | None
    rescaled_db: float | None = None
    not_finite: int = 0
    reshaped: int = 0

    @property
    def fair_db(self) -> float | None:
        """What the value lost: `rescaled_db` where channels are equalized, else `sqnr_db`."""
        return self.sqnr_db if self.rescaled_db is None else self.rescaled_db


@dataclass(frozen=True)
class Comparison:
    """A float network and its quantized form over the same data.

    Attributes:
        float_model: The float model, in words.
        quantized_model: The quantized model, in words.
        data: What both saw.
        values: Every value that exists in both, in topological order, outputs included.
        outputs: The graph outputs, with agreement and accuracy where they look like a classifier's.
        first_drop: The first value far worse than all it is computed from, whose loss what follows does not undo;
            None when the error grows evenly.
        notices: Remarks.
    """

    float_model: str
    quantized_model: str
    data: DataReport
    values: tuple[ValueComparison, ...]
    outputs: tuple[OutputReport, ...]
    first_drop: str | None = None
    notices: tuple[Diagnostic, ...] = ()

    def value(self, name: str) -> ValueComparison | None:
        """The comparison of the value called `name`, or None when it was not compared."""
        return next((value for value in self.values if value.name == name), None)

    def output(self, name: str) -> OutputReport | None:
        """The report of the graph output called `name`, or None when there is none."""
        return next((output for output in self.outputs if output.name == name), None)


@dataclass
class Sums:
    """What one pass over the data leaves: sums by value, answers by output, and how much was seen."""

    differences: dict[str, Difference]
    answers: dict[str, Tally] = field(default_factory=dict)
    samples: int = 0
    batches: int = 0


def run_side_by_side(
    float_session: Session,
    quantized_session: Session,
    pairs: Mapping[str, str],
    outputs: Sequence[str],
    batches: Iterable[Feeds],
    labels: Labels | None = None,
) -> Sums:
    """Run every batch through both networks and add up how they differ.

    Args:
        float_session: Observes the keys of `pairs`.
        quantized_session: Observes the values of `pairs`.
        pairs: Value of the float network to its counterpart.
        outputs: The keys of `pairs` that are graph outputs.
        batches: Feeds for both.
        labels: True class of each sample, in the order of the data.

    Raises:
        InputError: Q0201 without a batch, Q0221 when there are fewer labels than samples.
    """
    sums = Sums(dict.fromkeys(pairs, Difference()))
    for feeds in batches:
        reference, actual = float_session.run(feeds), quantized_session.run(feeds)
        for name, counterpart in pairs.items():
            sums.differences[name] = sums.differences[name].plus(reference[name], actual[counterpart])
        size = sample_count(feeds)
        right = None if labels is None else _labels_of(labels, sums.samples, size)
        for name in outputs:
            y, z = reference[name], actual[pairs[name]]
            if y.shape == z.shape and looks_like_scores(y, size):
                sums.answers[name] = sums.answers.get(name, Tally()).plus(y, z, right)
        sums.samples += size
        sums.batches += 1
    if not sums.batches:
        raise InputError("Q0201", "data", "no batch", "at least one", "check the data folder, or the reader")
    return sums


def _labels_of(labels: Labels, start: int, size: int) -> Labels:
    if start + size > len(labels):
        raise InputError(
            "Q0221",
            "labels",
            f"{len(labels)} labels and at least {start + size} samples",
            "one label for each sample",
            "give the labels of exactly this data, in its order",
        )
    return labels[start : start + size]


def compared_values(pairs: Mapping[str, str], sums: Sums) -> tuple[ValueComparison, ...]:
    """The values in the order of `pairs`."""
    rows = ((name, pairs[name], found) for name, found in sums.differences.items())
    return tuple(
        ValueComparison(name, other, d.sqnr_db, d.largest, d.cosine, d.rescaled_db, d.not_finite, d.reshaped)
        for name, other, d in rows
    )


def compared_outputs(outputs: Sequence[str], sums: Sums) -> tuple[OutputReport, ...]:
    """The graph outputs."""
    rows = ((name, sums.differences[name].sqnr_db, sums.answers.get(name, Tally())) for name in outputs)
    return tuple(
        OutputReport(name, db, sums.samples, t.agreement, t.float_accuracy, t.quantized_accuracy)
        for name, db, t in rows
    )


def first_sharp_drop(graph: Graph, sqnr_db: Mapping[str, float | None]) -> str | None:
    """The first value of `graph`, in topological order, that is far worse than all it is computed from.

    Values that are not in `sqnr_db` are looked through. A loss that a later value does not show is none: layers
    that were equalized carry other numbers between them than the float network, and compute the same.
    """
    behind = _best_behind(graph, sqnr_db)
    before: dict[str, float] = {}  # worst of the compared values that a value is, or is computed from
    for name in graph.inputs:
        before[name] = _clean(sqnr_db.get(name))
    for op in graph.ops:
        source = min((before[name] for name in op.inputs if name in before), default=CLEAN_DB)
        for name in filter(None, op.outputs):
            found = sqnr_db.get(name)
            before[name] = source if found is None else _clean(found)
            if found is None or found > source - SHARP_DROP_DB:
                continue
            if behind[name] == -math.inf or behind[name] < found + SHARP_DROP_DB:
                return name
    return None


def _best_behind(graph: Graph, sqnr_db: Mapping[str, float | None]) -> dict[str, float]:
    """For each value the best SQNR among the compared values computed from it; -inf when there is none."""
    best: dict[str, float] = {}
    for op in reversed(graph.ops):
        reached = -math.inf
        for name in filter(None, op.outputs):
            here = sqnr_db.get(name)
            best.setdefault(name, -math.inf)
            reached = max(reached, best[name], -math.inf if here is None else here)
        for name in filter(None, op.inputs):
            best[name] = max(best.get(name, -math.inf), reached)
    return best


def _clean(sqnr_db: float | None) -> float:
    return CLEAN_DB if sqnr_db is None else min(sqnr_db, CLEAN_DB)
