"""Why the loss is where it is: the tensors that make most of it, the likely cause of each, the cheapest remedy.

What: each tensor gets a share of the loss. Where the noise at the graph's outputs was measured with only this
tensor quantized, that is the share. Otherwise the relative noise that a layer adds is divided among its tensors
by the relative noise of each,

    loss(t) = sum over layers L of t:  n_L * n_t / sum over t' of L: n_t',        n = 10^(-SQNR / 10),

and the tensors with the largest sums are examined. Rules are tried from the sharpest evidence to the weakest.
Why: "the accuracy dropped" names no remedy; a tensor, a cause and a recipe line do.
Cost: arithmetic on histograms of at most 128 bins.
When it hurts: the division assumes that a layer passes the noise of its inputs on unchanged.
Reference: none; the rules restate what users of such tools report in their issue trackers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quantforge.calibration.methods import RangeMethod, ScaleKind
from quantforge.graph import Array, QuantSpec
from quantforge.numerics.formats import IntFormat
from quantforge.quantization.recipe import Recipe, TensorRule
from quantforge.quantization.report import (
    CULPRITS,
    Cause,
    Culprit,
    Histogram,
    LayerReport,
    TensorKind,
    TensorReport,
    relative_noise,
)

IMBALANCE = 6.0  # largest channel over the median channel, from which one scale starves the others
STARK_IMBALANCE = 30.0  # the same for the activations beside the weights, where scales are free
OUTLIER_REACH = 4.0  # grid over the magnitude that 99.9 % of the values stay below
SHARED_REACH = 4.0  # grid over the tensor's own largest magnitude, when other tensors share the spec
COARSE_REACH = 1.6  # the same when nobody shares it: rounding up to a power of two costs at most 2
BULK = 0.999
CLIPPED_SHARE = 1e-3  # from here on saturation is the cause, when there is no histogram to weigh it
WORTHWHILE_DB = 1.0  # a gain that is worth a line in the recipe
PERCENTILE = 99.99
EQUALIZE = "[equalize]\nsweeps = 20"
SMALLER_SCALES = {
    ScaleKind.FLOAT: tuple(np.linspace(1.0, 0.1, 46).tolist()),
    ScaleKind.POWER_OF_TWO: (1.0, 0.5, 0.25, 0.125),
}
ONE_BYTE = 8


@dataclass(frozen=True)
class Finding:
    """The likely cause of one tensor's loss, in words, and the recipe lines that remove it."""

    cause: Cause
    why: str
    remedy: str


@dataclass(frozen=True)
class _Evidence:
    """What the rules may look at beside the tensor itself."""

    layers: Sequence[LayerReport]
    recipe: Recipe
    others: Mapping[str, TensorReport]

    def rule(self, tensor: TensorReport) -> TensorRule:
        """The rule of the recipe for tensors of this kind."""
        return self.recipe.activations if tensor.kind is TensorKind.ACTIVATION else self.recipe.weights


def find_culprits(
    tensors: Sequence[TensorReport], layers: Sequence[LayerReport], recipe: Recipe, count: int = CULPRITS
) -> tuple[Culprit, ...]:
    """The `count` tensors that make most of the loss, worst first; fewer when fewer lose anything."""
    shares = loss_shares(tensors, layers)
    by_name = {tensor.name: tensor for tensor in tensors}
    worst = sorted((name for name in shares if shares[name] > 0.0), key=lambda name: (-shares[name], name))
    culprits = []
    for name in worst[:count]:
        finding = diagnose(by_name[name], layers, recipe, by_name)
        culprits.append(Culprit(name, shares[name], finding.cause, finding.why, finding.remedy))
    return tuple(culprits)


def loss_shares(tensors: Sequence[TensorReport], layers: Sequence[LayerReport]) -> Mapping[str, float]:
    """Each tensor's share of the loss; the shares add up to 1, or are all 0 when nothing is lost."""
    if any(tensor.output_noise is not None for tensor in tensors):
        loss = {tensor.name: tensor.output_noise or 0.0 for tensor in tensors}
    else:
        loss = _divided_noise(tensors, layers)
    total = sum(loss.values())
    return {name: noise / total if total else 0.0 for name, noise in loss.items()}


def diagnose(
    tensor: TensorReport,
    layers: Sequence[LayerReport],
    recipe: Recipe,
    others: Mapping[str, TensorReport] | None = None,
) -> Finding:
    """The first rule that fits `tensor`; `others` are the tensors by name that it may share its scale with."""
    evidence = _Evidence(layers, recipe, others or {})
    for rule in (_saturated, _imbalanced, _shared, _coarse, _outliers, _half_wasted, _few_bits):
        finding = rule(tensor, evidence)
        if finding is not None:
            return finding
    why = "its grid fits its values; what is lost is what this number of bits costs"
    return Finding(Cause.NO_SINGLE_CAUSE, why, _wider(tensor, evidence))


def grid_range(spec: QuantSpec) -> tuple[float, float]:
    """The smallest and largest real value that `spec` can hold; of the widest slice when it is per axis.

    >>> from quantforge.numerics.formats import INT8
    >>> grid_range(QuantSpec.power_of_two(INT8, 5))
    (-4.0, 3.96875)
    """
    if not isinstance(spec.format, IntFormat):
        return float("-inf"), float("inf")
    pairs = list(zip(spec.scale, spec.zero_point, strict=True))
    low, high = spec.format.qmin, spec.format.qmax
    return min((low - zero) * scale for scale, zero in pairs), max(
        (high - zero) * scale for scale, zero in pairs
    )


def channel_spread(weights: Array, axis: int) -> float:
    """Largest max|w| of a slice along `axis` over the median of the slices that are not all zero.

    >>> channel_spread(np.array([[1.0, -2.0], [0.5, 2.0], [16.0, 0.0]]), axis=0)
    8.0
    """
    rows = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    tops = np.abs(rows).max(axis=1, initial=0.0)
    tops = tops[tops > 0.0]
    return float(tops.max() / np.median(tops)) if tops.size else 1.0


def _divided_noise(tensors: Sequence[TensorReport], layers: Sequence[LayerReport]) -> dict[str, float]:
    own = {tensor.name: relative_noise(tensor.sqnr_db) for tensor in tensors}
    loss = dict.fromkeys(own, 0.0)
    for layer in layers:
        names = [name for name in dict.fromkeys(layer.tensors) if name in own]
        total = sum(own[name] for name in names)
        if layer.added_db is not None and total > 0.0:
            for name in names:
                loss[name] += relative_noise(layer.added_db) * own[name] / total
    return loss if any(loss.values()) else own


def _saturated(tensor: TensorReport, evidence: _Evidence) -> Finding | None:
    if tensor.saturation <= 0.0:
        return None
    if tensor.histogram is None or len(tensor.spec.scale) != 1:
        clipped = tensor.saturation > CLIPPED_SHARE
    else:
        clipping, rounding = _noises(tensor.histogram, tensor.spec)
        clipped = clipping > rounding
    if not clipped:
        return None
    low, high = grid_range(tensor.spec)
    why = (
        f"{tensor.saturation:.2%} of its values lie outside its grid [{low:.4g}, {high:.4g}] "
        f"(they reach {tensor.lo:.4g} to {tensor.hi:.4g}), and clipping them costs more than rounding the rest"
    )
    return Finding(Cause.SATURATED, why, _other_method(tensor, _covering(tensor, evidence), evidence))


def _imbalanced(tensor: TensorReport, evidence: _Evidence) -> Finding | None:
    if tensor.kind is TensorKind.ACTIVATION:
        return _imbalanced_around(tensor, evidence)
    spread = tensor.channel_spread
    if tensor.kind is not TensorKind.WEIGHT or tensor.spec.axis is not None:
        return None
    if spread is None or spread < IMBALANCE:
        return None
    why = f"its largest channel is {spread:.3g} times the median one, so one scale leaves most channels few steps"
    equalized = evidence.recipe.equalize is not None or evidence.recipe.weights.scales is ScaleKind.FLOAT
    return Finding(Cause.CHANNEL_IMBALANCE, why, _wider(tensor, evidence) if equalized else EQUALIZE)


def _imbalanced_around(tensor: TensorReport, evidence: _Evidence) -> Finding | None:
    """Weights whose channels differ by far make, or make up for, activations whose channels do."""
    if evidence.recipe.equalize is not None:
        return None
    names = {name for layer in evidence.layers if tensor.name in layer.tensors for name in layer.tensors}
    spreads = {name: evidence.others[name].channel_spread or 1.0 for name in names if name in evidence.others}
    worst = max(sorted(spreads), key=lambda name: spreads[name], default=None)
    float_scales = evidence.recipe.activations.scales is ScaleKind.FLOAT
    if worst is None or spreads[worst] < (STARK_IMBALANCE if float_scales else IMBALANCE):
        return None
    why = (
        f"it lies beside the weights {worst}, whose largest channel is {spreads[worst]:.3g} times the median one: "
        "one scale cannot serve channels that differ so much"
    )
    return Finding(Cause.CHANNEL_IMBALANCE, why, EQUALIZE)


def _shared(tensor: TensorReport, evidence: _Evidence) -> Finding | None:
    reach = _reach(tensor)
    if not tensor.shares_with or reach < SHARED_REACH:
        return None
    partner = max(tensor.shares_with, key=lambda name: _magnitude(evidence.others.get(name)))
    group = {tensor.name, *tensor.shares_with}
    joints = [
        layer for layer in evidence.layers if layer.kind == "concat" and len(group & set(layer.tensors)) > 1
    ]
    joint = max(joints, key=lambda layer: len({tensor.name, partner} & set(layer.tensors)), default=None)
    where = "" if joint is None else f" in concat {joint.name}"
    why = f"it shares one scale with {partner}{where}; the grid reaches {reach:.3g} times as far as its values do"
    remedy = _wider(tensor, evidence) if joint is None else _keep_float([joint.name])
    return Finding(Cause.SHARED_SCALE, why, remedy)


def _outliers(tensor: TensorReport, evidence: _Evidence) -> Finding | None:
    if (
        tensor.histogram is None
        or len(tensor.spec.scale) != 1
        or not isinstance(tensor.spec.format, IntFormat)
    ):
        return None
    low, high = grid_range(tensor.spec)
    bulk, furthest = _bulk(tensor.histogram), max(-low, high)
    factor, gain_db = _best_factor(tensor.histogram, tensor.spec, evidence.rule(tensor).scales)
    by_error = gain_db >= WORTHWHILE_DB and tensor.method != RangeMethod.MSE.value
    by_reach = 0.0 < OUTLIER_REACH * bulk <= furthest <= 2.0 * max(-tensor.lo, tensor.hi)
    if not (by_error or by_reach):
        return None
    why = f"{BULK:.1%} of its values stay below {bulk:.4g}, but its grid reaches to {furthest:.4g} for a few outliers"
    if by_error:
        why += f"; a grid to {furthest * factor:.4g} would lose {gain_db:.1f} dB less"
    float_scales = evidence.rule(tensor).scales is ScaleKind.FLOAT
    if tensor.kind is TensorKind.WEIGHT and float_scales and tensor.spec.axis is None:
        remedy = _per_channel(tensor)
    elif by_error or not float_scales:
        remedy = _other_method(tensor, RangeMethod.MSE, evidence)
    elif tensor.kind is TensorKind.ACTIVATION and tensor.method != RangeMethod.PERCENTILE.value:
        remedy = f"{_override(tensor, 'method', RangeMethod.PERCENTILE.value)}\npercentile = {PERCENTILE}"
    else:
        remedy = _wider(tensor, evidence)
    return Finding(Cause.OUTLIERS, why, remedy)


def _half_wasted(tensor: TensorReport, evidence: _Evidence) -> Finding | None:
    low, high = grid_range(tensor.spec)
    one_sided = tensor.lo >= 0.0 or tensor.hi <= 0.0
    if tensor.kind is not TensorKind.ACTIVATION or not one_sided or min(-low, high) < 0.5 * max(-low, high):
        return None
    if evidence.rule(tensor).scales is ScaleKind.POWER_OF_TWO or tensor.lo < 0.0:
        return None  # no unsigned format to move to
    why = f"its values are never negative, but {tensor.spec.format} keeps half of its integers for negative ones"
    return Finding(Cause.WASTED_HALF, why, _override(tensor, "format", f"uint{tensor.spec.format.bits}"))


def _coarse(tensor: TensorReport, evidence: _Evidence) -> Finding | None:
    reach = _reach(tensor)
    if tensor.spec.position is None or reach < COARSE_REACH:
        return None
    why = f"its grid reaches {reach:.3g} times as far as its values do"
    if reach <= 2.0:
        why += ", because they just pass a power of two"
    return Finding(Cause.COARSE_STEP, why, _other_method(tensor, RangeMethod.MSE, evidence))


def _few_bits(tensor: TensorReport, evidence: _Evidence) -> Finding | None:
    format = tensor.spec.format
    if format.bits >= ONE_BYTE:
        return None
    signed = isinstance(format, IntFormat) and format.signed
    why = f"{format} leaves it {2**format.bits} values"
    return Finding(Cause.LOW_BITS, why, _override(tensor, "format", "int8" if signed else "uint8"))


def _noises(histogram: Histogram, spec: QuantSpec, factor: float = 1.0) -> tuple[float, float]:
    """Squared errors of clipping and of rounding, from bin centers, when the scale is `factor` times as large."""
    low, high = grid_range(spec)
    edges, counts = np.asarray(histogram.edges), np.asarray(histogram.counts, np.float64)
    centers = (edges[:-1] + edges[1:]) / 2
    excess = centers - np.clip(centers, factor * low, factor * high)
    return float(counts @ excess**2), float(counts.sum() * (factor * spec.scale[0]) ** 2 / 12)


def _best_factor(histogram: Histogram, spec: QuantSpec, scales: ScaleKind) -> tuple[float, float]:
    """The smaller scale of least squared error, as a factor, and what it gains in decibels."""
    noises = {factor: sum(_noises(histogram, spec, factor)) for factor in SMALLER_SCALES[scales]}
    best = min(noises, key=lambda factor: noises[factor])
    return best, 10.0 * float(np.log10(noises[1.0] / noises[best])) if noises[best] > 0.0 else 0.0


def _bulk(histogram: Histogram) -> float:
    """The magnitude that `BULK` of the values stay below, to the outer edge of its bin."""
    edges, counts = np.asarray(histogram.edges), np.asarray(histogram.counts)
    outer = np.maximum(np.abs(edges[:-1]), np.abs(edges[1:]))
    order = np.argsort(outer, kind="stable")
    below = np.cumsum(counts[order])
    return float(outer[order][np.searchsorted(below, BULK * histogram.total)]) if histogram.total else 0.0


def _reach(tensor: TensorReport) -> float:
    """How many times further the grid reaches than the tensor does, on the side where the tensor reaches more."""
    if not isinstance(tensor.spec.format, IntFormat) or len(tensor.spec.scale) != 1:
        return 1.0
    low, high = grid_range(tensor.spec)
    ratios = [
        grid / seen for grid, seen in ((-low, -tensor.lo), (high, tensor.hi)) if seen > 0.0 and grid > 0.0
    ]
    return min(ratios, default=1.0)


def _magnitude(tensor: TensorReport | None) -> float:
    return 0.0 if tensor is None else max(-tensor.lo, tensor.hi)


def _covering(tensor: TensorReport, evidence: _Evidence) -> RangeMethod:
    """The method that clips nothing under the scales of the recipe."""
    float_scales = evidence.rule(tensor).scales is ScaleKind.FLOAT
    return RangeMethod.MIN_MAX if float_scales else RangeMethod.NON_OVERFLOW


def _other_method(tensor: TensorReport, method: RangeMethod, evidence: _Evidence) -> str:
    """Choose the range by `method`, or, when that was done already, spend more."""
    if tensor.kind is TensorKind.BIAS or tensor.method == method.value:
        return _wider(tensor, evidence)
    return _override(tensor, "method", method.value)


def _wider(tensor: TensorReport, evidence: _Evidence) -> str:
    """Scales per channel, or more bits, where scales are free; else the op in float: such devices have 8 bits."""
    free = tensor.kind is not TensorKind.BIAS and evidence.rule(tensor).scales is ScaleKind.FLOAT
    if free and tensor.kind is TensorKind.WEIGHT and tensor.spec.axis is None:
        return _per_channel(tensor)
    if free and tensor.spec.format.bits <= ONE_BYTE:
        signed = isinstance(tensor.spec.format, IntFormat) and tensor.spec.format.signed
        return _override(tensor, "format", "int16" if signed else "uint16")
    return _keep_float(_ops_around(tensor, evidence))


def _per_channel(tensor: TensorReport) -> str:
    return f"[[override]]\ntensor = {_text(tensor.name)}\nper_channel = true"


def _override(tensor: TensorReport, key: str, value: str) -> str:
    return f"[[override]]\ntensor = {_text(tensor.name)}\n{key} = {_text(value)}"


def _ops_around(tensor: TensorReport, evidence: _Evidence) -> list[str]:
    """The ops that have to be float so that nobody asks for the quantized tensor."""
    ops = [] if tensor.producer is None else [tensor.producer]
    for layer in evidence.layers:
        if tensor.name in layer.tensors or layer.name == tensor.producer:
            ops += layer.ops or (layer.name,)
    return list(dict.fromkeys(ops))


def _keep_float(ops: Iterable[str]) -> str:
    return "\n".join(f"[[override]]\nop = {_text(op)}\nkeep_float = true" for op in ops)


def _text(name: str) -> str:
    """A TOML string: JSON's escapes are TOML's, except that DEL has to be escaped too."""
    return json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
