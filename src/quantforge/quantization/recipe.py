"""The recipe: every choice of a quantization as frozen data. Doors parse their options into one of these."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

from quantforge.calibration.methods import RangeMethod, ScaleKind, Statistic
from quantforge.diagnostics import InputError
from quantforge.numerics.formats import INT8, INT32, UINT8, Format
from quantforge.numerics.rounding import Rounding
from quantforge.passes.dpu_arithmetic import DpuArithmetic
from quantforge.passes.dpu_structure import DpuStructure
from quantforge.quantization.fine_tuning import FineTune


class BiasScale(str, Enum):
    """Where the scale of a bias comes from."""

    PRODUCT = "product"  # input scale times weight scale: adds to the accumulator without a shift
    OWN = "own"  # its own power of two, aligned by shift_bias
    FLOAT = "float"  # its own, any number, from the range of its values


class Part(str, Enum):
    """The tensors of an operator that an override speaks of."""

    INPUTS = "inputs"  # graph inputs that it reads
    WEIGHTS = "weights"
    BIAS = "bias"
    ACTIVATIONS = "activations"  # what it computes, behind the activation that is fused into it


@dataclass(frozen=True)
class TensorRule:
    """How one kind of tensor (activations, weights) is quantized.

    A float format has no scale, and nothing but `keep_float` counts beside it. With `keep_float` the tensors of
    this kind are not quantized at all.
    """

    format: Format = INT8
    scales: ScaleKind = ScaleKind.FLOAT
    symmetric: bool = True
    per_channel: bool = False
    method: RangeMethod = RangeMethod.MIN_MAX
    statistic: Statistic = Statistic.ALL
    percentile: float = 99.999
    slack: float = 0.0  # of mse, for what calibration sees: error above the least, for a wider range
    moving_average: float | None = None  # smoothing constant of min-max over batches
    rounding: Rounding = Rounding.HALF_EVEN
    keep_float: bool = False

    def __post_init__(self) -> None:
        average = 1.0 if self.moving_average is None else self.moving_average
        for name, found, legal, wanted in (
            ("percentile", self.percentile, 0.0 < self.percentile <= 100.0, "above 0, up to 100"),
            ("slack", self.slack, 0.0 <= self.slack < math.inf, "0 or more"),
            ("moving_average", average, 0.0 < average <= 1.0, "above 0, up to 1"),
        ):
            if not legal:
                usual = TensorRule.__dataclass_fields__[name].default
                fix = f"leave it out (it is {usual} then)"
                raise InputError("Q0532", name, f"{found}", f"a number, {wanted}", fix)


@dataclass(frozen=True)
class BiasRule:
    """How biases are quantized.

    `method`, `percentile` and `symmetric` choose a bias's own scale (`OWN`: min-MSE unless the method is
    non-overflow; `FLOAT`: as for weights); a float format has none.
    """

    format: Format = INT32
    scale: BiasScale = BiasScale.PRODUCT
    method: RangeMethod = RangeMethod.MSE
    percentile: float = 99.999
    symmetric: bool = True
    rounding: Rounding = Rounding.HALF_EVEN
    keep_float: bool = False


@dataclass(frozen=True)
class Equalization:
    """Cross-layer equalization before calibration; see `passes.equalize_layers`.

    With `activations` the ranges of the values count, seen on a few samples, else those of the weights. With
    `least_change` sweeps end when one changes the weights by no more.
    """

    sweeps: int = 4
    activations: bool = True
    include_bias: bool = False
    least_change: float | None = None


@dataclass(frozen=True)
class Refinement:
    """The range method of every tensor is chosen by the error at the outputs; see `quantization.refine`.

    Another method has to lower the noise there by the share `least_gain`.
    """

    least_gain: float = 0.005


@dataclass(frozen=True)
class Smoothing:
    """SmoothQuant before calibration; see `passes.smooth_norms` and `passes.smooth_gelus`.

    `alpha`, 0 to 1, is the share of outlier channels that goes from activations into weights. Channels of GELUs
    reach no farther than `gelu_reach` times the largest one did; 1 leaves them as they are, as weights with one scale
    per tensor demand.
    """

    alpha: float = 0.5
    gelu_reach: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha <= 1.0:
            raise InputError("Q0531", "smooth.alpha", f"{self.alpha}", "a number from 0 to 1", "alpha = 0.5")
        if not 0.0 < self.gelu_reach <= 1.0:
            found, wanted = f"{self.gelu_reach}", "a number from 0 to 1, above 0"
            raise InputError("Q0531", "smooth.gelu_reach", found, wanted, "gelu_reach = 0.25")


@dataclass(frozen=True)
class Placement:
    """Which operators are quantized and which values share a spec, as data.

    Kinds outside `kinds` stay in float; operators that only move data (reshape, concat, max pooling) follow
    their neighbours. A kind in `fused` that is the only reader of a quantized operator joins it: the pair has
    one spec, behind the activation. With `align_pool` both sides of an average pool share one spec, as the DPU
    demands. Values behind a float operator that no weighted operator reads again (post-processing) stay float.

    With `float_output_joins` a concat that only gathers results, for the caller or for float operators, stays
    float too and each of its inputs keeps a spec of its own. Detectors put scores of 0..1 beside boxes of
    hundreds of pixels there, and one scale for both rounds the scores away. On a DPU the last concat then runs
    on the host, where its reader is; false aligns it, for a target that has to compute it.

    With `align_join` the inputs of a concat share the spec of its output; without, only the output carries one, and
    an input that something else reads has a spec of its own; with `separate_join` as well every other input has.

    With `every_value` every real number that an operator makes is rounded, whatever its kind, and no two share a
    spec; graph inputs only where a rule for them says so. That is how float formats are stored. An integer rule
    still holds for `kinds` alone.

    With `force_moves` operators that move data are quantized even where neither side is.

    With `units` operators that together are one function (GELU, layer normalization, the softmax of attention, a
    product with its bias; see `passes.units`) are quantized as one: nothing between them carries a spec. Without,
    that holds for masked scores of attention alone, whose mask never carries one.

    With `inputs_only` just what products compute on, with weights or with each other, carries a spec, and the tables
    of look-ups: sums, activations and normalizations between two products are in float, on unrounded numbers.

    Opaque operators of `custom_types` are computed in float on inputs that carry specs, and so do their outputs.
    """

    kinds: tuple[str, ...]
    fused: tuple[str, ...]
    align_pool: bool = False
    float_output_joins: bool = True
    align_join: bool = True
    separate_join: bool = False
    every_value: bool = False
    custom_types: tuple[str, ...] = ()
    force_moves: bool = False
    units: bool = False
    inputs_only: bool = False


_CONVOLUTIONS = tuple(
    f"{prefix}conv{rank}d"
    for rank in (1, 2, 3)
    for prefix in ("", "depthwise-", "transposed-", "transposed-depthwise-")
)
_POOLS = ("avgpool1d", "avgpool2d", "avgpool3d", "maxpool1d", "maxpool2d", "maxpool3d", "reduction-mean")
_WEIGHTED = (*_CONVOLUTIONS, "inner-product", "matmul")
_ACTIVATIONS = (
    "relu",
    "relu6",
    "clip",
    "leaky-relu",
    "prelu",
    "sigmoid",
    "hard-sigmoid",
    "hard-swish",
    "swish",
)

CPU_PLACEMENT = Placement(
    kinds=(
        *_WEIGHTED,
        *_POOLS,
        *_ACTIVATIONS,
        "eltwise-add",
        "eltwise-mul",
        "concat",
        "pad",
        "resize",
        "softmax",
    ),
    fused=("relu", "relu6", "clip"),
    units=True,
)
TRANSFORMER_PLACEMENT = replace(CPU_PLACEMENT, inputs_only=True)
DPU_PLACEMENT = Placement(
    kinds=(*CPU_PLACEMENT.kinds, "eltwise-sub", "eltwise-max", "eltwise-min", "tanh"),
    fused=("relu", "relu6", "clip", "leaky-relu", "prelu"),
    align_pool=True,
)


@dataclass(frozen=True)
class Override:
    """A change for the tensors whose name matches a glob, or for operators by a glob or by their kinds.

    Exactly one of `tensor`, `op` and `kinds` is set; unset fields keep the rule's value. For operators `part` says
    which of their tensors change. Without it the weights do, and `keep_float` takes the whole operator out of the
    quantized part. A bias takes power-of-two scales as `BiasScale.OWN`.
    """

    tensor: str | None = None
    op: str | None = None
    kinds: tuple[str, ...] = ()
    part: Part | None = None
    keep_float: bool = False
    format: Format | None = None
    scales: ScaleKind | None = None
    symmetric: bool | None = None
    per_channel: bool | None = None
    method: RangeMethod | None = None
    statistic: Statistic | None = None
    percentile: float | None = None
    slack: float | None = None
    rounding: Rounding | None = None

    def __post_init__(self) -> None:
        if (self.tensor is not None) + (self.op is not None) + bool(self.kinds) != 1:
            found = f"tensor={self.tensor!r}, op={self.op!r}, kinds={list(self.kinds)}"
            raise InputError(
                "Q0310", "override", found, "exactly one of tensor, op and kinds", "remove the others"
            )
        if self.tensor is not None and self.part is not None:
            found = f"tensor={self.tensor!r}, part={self.part.value!r}"
            raise InputError("Q0310", "override", found, "a part of an operator", "remove part")


@dataclass(frozen=True)
class ShiftLimits:
    """The reach of a fixed-point device's shift registers, for `quantization.align`.

        least_cut <= shift_cut <= most_cut,    min(0, shift_cut - most_cut) <= shift_bias <= most_bias

    `least_bias` replaces the lower bound of shift_bias where it is given, and with `leaky_bias` 0 does in front of a
    leaky ReLU. The ONNX quantizer of Vitis AI goes up to
    15, the PyTorch one to 16: 15 suits both. The other fields say which limits move positions; `read` and `write` are
    those of sums and products, see `quantization.align_elementwise`. A bias is always within its bounds.
    """

    least_cut: int = 0
    most_cut: int = 16
    least_bias: int | None = None
    leaky_bias: bool = False
    most_bias: int = 15
    cut: bool = True
    bias: bool = True
    hard_sigmoid: bool = True
    hard_swish: bool = True
    read: bool = False
    write: bool = False


@dataclass(frozen=True)
class Recipe:
    """All choices of a quantization; `inputs` is the rule of graph inputs, that of activations when None."""

    name: str
    activations: TensorRule = TensorRule()
    weights: TensorRule = TensorRule()
    bias: BiasRule = BiasRule()
    inputs: TensorRule | None = None
    placement: Placement = CPU_PLACEMENT
    fold_batch_norm: bool = True
    remove_identity: bool = True
    replace_relu6: bool = False
    replace_swish: bool = False
    replace_sigmoid: bool = False
    dpu_structure: DpuStructure | None = None
    dpu_arithmetic: DpuArithmetic | None = None
    smooth: Smoothing | None = None
    equalize: Equalization | None = None
    correct_bias: bool = False
    refine: Refinement | None = None
    correct_bias_by_samples: bool = False  # measured layer by layer, behind the analytic one: empirical_bias
    positions_by_output: bool = False  # powers of two by the error behind the layers, see output_positions
    finetune: FineTune | None = None
    output_margin: float = 0.0  # widens the ranges of graph outputs: samples to come exceed those seen
    unit_sigmoids: bool = False  # unsigned outputs of sigmoids have scale 2**-bits and zero point 0
    int16_scales: bool = False  # scales as integers of 16 bits over powers of two
    shift_limits: ShiftLimits | None = None  # positions are aligned to them after solving
    hold_out: int = 0  # every so many samples one is not calibrated on, see calibration.split; 0 uses all
    overrides: tuple[Override, ...] = ()

    def with_overrides(self, overrides: tuple[Override, ...]) -> Recipe:
        """The same recipe with more overrides; the last one that matches a name wins."""
        return replace(self, overrides=self.overrides + overrides)


_POWER_OF_TWO = TensorRule(INT8, ScaleKind.POWER_OF_TWO, method=RangeMethod.MSE)

DPU_CNN = Recipe(
    name="dpu-cnn",
    activations=_POWER_OF_TWO,
    weights=_POWER_OF_TWO,
    bias=BiasRule(INT8, BiasScale.OWN),
    placement=DPU_PLACEMENT,
    replace_relu6=True,
    equalize=Equalization(),
    correct_bias=True,
    shift_limits=ShiftLimits(),
)
NPU_TRANSFORMER = Recipe(
    name="npu-transformer",
    activations=TensorRule(INT8, symmetric=False),
    weights=TensorRule(INT8, method=RangeMethod.MSE),
    placement=TRANSFORMER_PLACEMENT,
    smooth=Smoothing(),
)
CPU_TRANSFORMER = Recipe(
    name="cpu-transformer",
    activations=TensorRule(UINT8, symmetric=False),
    weights=TensorRule(INT8, per_channel=True),
    placement=TRANSFORMER_PLACEMENT,
    smooth=Smoothing(
        alpha=0.65, gelu_reach=0.25
    ),  # scales per output channel have room for what is moved to weights
    correct_bias=True,
)
CPU_CNN = Recipe(
    name="cpu-cnn",
    activations=TensorRule(UINT8, symmetric=False, method=RangeMethod.MSE, slack=0.05),
    equalize=Equalization(),
    correct_bias=True,
    output_margin=0.25,
)

RECIPES = {recipe.name: recipe for recipe in (DPU_CNN, NPU_TRANSFORMER, CPU_CNN, CPU_TRANSFORMER)}
ALIASES = {"dpu": "dpu-cnn", "npu": "dpu-cnn", "cpu": "cpu-cnn", "transformer": "npu-transformer"}


def named_recipe(name: str) -> Recipe:
    """The built-in recipe `name` (or an alias such as ``dpu``).

    >>> named_recipe("cpu").activations.format == UINT8
    True

    Raises:
        InputError: Q0311 when there is no such recipe.
    """
    found = RECIPES.get(ALIASES.get(name, name))
    if found is None:
        known = ", ".join([*RECIPES, *ALIASES])
        raise InputError(
            "Q0311", "recipe", repr(name), f"one of {known}, or a .toml file", "recipe='dpu-cnn'"
        )
    return found
