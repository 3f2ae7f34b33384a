"""The report of a quantization: what was chosen, what it costs, where the error comes from. Data only.

`reporting` renders it as text, JSON and HTML; `diagnose` finds the culprits. Errors are signal-to-noise
ratios in decibels,

    SQNR = 10 log10(sum x^2 / sum (x - x')^2),        relative noise = 10^(-SQNR / 10),

infinite where nothing was lost and None where nothing was measured. Sizes are bytes, times seconds, rates and
shares fractions of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from quantforge.diagnostics import Diagnostic, InternalError
from quantforge.graph import QuantSpec
from quantforge.passes.result import Note
from quantforge.quantization.ladder_report import LadderReport

MAX_BINS = 128
CULPRITS = 5
FLOAT = "float32"


class TensorKind(str, Enum):
    """What a tensor is to the network."""

    ACTIVATION = "activation"
    WEIGHT = "weight"
    BIAS = "bias"


class Cause(str, Enum):
    """Why a tensor loses more than others; the rules are in `diagnose`."""

    OUTLIERS = "outliers"
    SATURATED = "saturated"
    CHANNEL_IMBALANCE = "channel-imbalance"
    WASTED_HALF = "wasted-half"
    SHARED_SCALE = "shared-scale"
    COARSE_STEP = "coarse-step"
    LOW_BITS = "low-bits"
    NO_SINGLE_CAUSE = "no-single-cause"


@dataclass(frozen=True)
class Histogram:
    """Counts between ascending `edges`: ``counts[i]`` values in ``[edges[i], edges[i + 1])``; at most 128.

    >>> Histogram((0.0, 0.5, 1.0), (3, 1)).total
    4
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.counts) + 1 or len(self.counts) > MAX_BINS:
            raise InternalError(
                "Q0803",
                "histogram",
                f"{len(self.edges)} edges and {len(self.counts)} counts",
                f"one edge more than counts, at most {MAX_BINS} counts",
                "report this bug",
            )

    @property
    def total(self) -> int:
        """Number of values counted."""
        return sum(self.counts)


@dataclass(frozen=True)
class TensorReport:
    """One quantized tensor.

    Attributes:
        name: Value name.
        kind: Activation, weight or bias.
        spec: How it is stored.
        lo: Smallest real value seen.
        hi: Largest real value seen.
        producer: The op that computes it; of a weight or a bias the op that reads it; None for a graph input.
        saturation: Share of its values that lie outside the grid.
        sqnr_db: Of this tensor rounded alone.
        method: How the range was chosen, as the recipe spells it ("min-max", "mse", "product").
        histogram: Of its real values.
        shares_with: Other values that have the same spec because placement ties them together.
        channel_spread: For weights per tensor: largest max|w| of an output channel over their median.
        output_noise: Relative noise of the graph's outputs when only this tensor is quantized, if measured.
        notes: Remarks for the reader, such as "all zeros".
    """

    name: str
    kind: TensorKind
    spec: QuantSpec
    lo: float
    hi: float
    producer: str | None = None
    saturation: float = 0.0
    sqnr_db: float | None = None
    method: str = ""
    histogram: Histogram | None = None
    shares_with: tuple[str, ...] = ()
    channel_spread: float | None = None
    output_noise: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerReport:
    """One op with the activations fused into it.

    Attributes:
        name: Op name.
        kind: Canonical kind, such as "conv2d".
        precision: Format it computes in, such as "int8"; "float32" where it stayed float.
        reads: Names of the layers it reads from; the arrows of the drawing.
        fused: Kinds of the ops fused behind it, such as ("relu",).
        ops: Names of all its ops, itself first; empty stands for itself alone.
        tensors: Names of the quantized tensors it reads and writes.
        macs: Multiply-accumulates of one sample.
        float_bytes: Of its parameters before.
        quantized_bytes: Of its parameters after.
        added_db: SQNR of its output when only it is quantized and its inputs come from the float network.
        accumulated_db: SQNR of its output in the fully quantized network.
        float_reason: Why it stayed float; None when it did not.
        float_code: The code of that reason, for ``quantforge explain``.
    """

    name: str
    kind: str
    precision: str
    reads: tuple[str, ...] = ()
    fused: tuple[str, ...] = ()
    tensors: tuple[str, ...] = ()
    macs: int = 0
    float_bytes: int = 0
    quantized_bytes: int = 0
    added_db: float | None = None
    accumulated_db: float | None = None
    float_reason: str | None = None
    float_code: str | None = None
    ops: tuple[str, ...] = ()


@dataclass(frozen=True)
class OutputReport:
    """One graph output, quantized against float over `samples` samples.

    `agreement` is the share of samples with the same top class, for outputs that look like a classifier's;
    the accuracies are against labels. Each is None when it does not apply.
    """

    name: str
    sqnr_db: float | None
    samples: int = 0
    agreement: float | None = None
    float_accuracy: float | None = None
    quantized_accuracy: float | None = None


@dataclass(frozen=True)
class Culprit:
    """A tensor that makes much of the loss: its `share`, likely `cause`, `why` in words, cheapest remedy.

    `remedy` is TOML that `recipe_file` reads, ready to be applied.
    """

    tensor: str
    share: float
    cause: Cause
    why: str
    remedy: str


@dataclass(frozen=True)
class DataReport:
    """What calibration saw: where it came from, in words, and how much of it."""

    source: str
    samples: int
    batches: int


@dataclass(frozen=True)
class Timing:
    """Wall time of one stage."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class QuantizationReport:
    """Everything there is to say about one quantization.

    `layers` holds every op of the quantized graph (fused ones within their first), in topological order.
    `model_bytes` are the sizes of the whole model, float and quantized.
    """

    model: str
    model_hash: str
    recipe: str
    recipe_text: str
    tool_version: str
    data: DataReport
    model_bytes: tuple[int, int]
    tensors: tuple[TensorReport, ...]
    layers: tuple[LayerReport, ...]
    outputs: tuple[OutputReport, ...]
    culprits: tuple[Culprit, ...] = ()
    target: str | None = None
    timings: tuple[Timing, ...] = ()
    peak_memory_bytes: int | None = None
    notes: tuple[Note, ...] = ()
    notices: tuple[Diagnostic, ...] = ()
    ladder: LadderReport | None = None

    @property
    def operations(self) -> Mapping[str, int]:
        """Multiply-accumulates of one sample by precision, most first."""
        return _summed((layer.precision, layer.macs) for layer in self.layers)

    @property
    def parameter_bytes(self) -> Mapping[str, int]:
        """Bytes of the quantized parameters by precision of their layer, most first."""
        return _summed((layer.precision, layer.quantized_bytes) for layer in self.layers)

    @property
    def float_ops(self) -> tuple[LayerReport, ...]:
        """The layers that stayed float for a reason."""
        return tuple(layer for layer in self.layers if layer.float_reason is not None)

    @property
    def remedies(self) -> str:
        """The remedies of all culprits as one TOML text, each once."""
        return "\n".join(dict.fromkeys(culprit.remedy for culprit in self.culprits if culprit.remedy))

    def tensor(self, name: str) -> TensorReport | None:
        """The tensor called `name`, or None when it was not quantized."""
        return next((tensor for tensor in self.tensors if tensor.name == name), None)


def relative_noise(sqnr_db: float | None) -> float:
    """Noise over signal of an SQNR in decibels; 0 when it was not measured or nothing was lost.

    >>> relative_noise(20.0)
    0.01
    """
    return 0.0 if sqnr_db is None else float(10.0 ** (-sqnr_db / 10.0))


def _summed(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for key, amount in pairs:
        if amount:
            totals[key] = totals.get(key, 0) + amount
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))
