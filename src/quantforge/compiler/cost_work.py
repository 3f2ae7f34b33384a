"""How much work a DPU layer is: operations as compiled models count them, and the same rounded up to the engines.

Formulas (`up(x, n)` is x rounded up to a multiple of n; PP, ICP, OCP, CP are the parallelisms of the engine):

    convolution   h*w*oc * (2*kh*kw*ic + b)       up(h, PP)*w*up(oc, OCP) * (2*kh*kw*up(ic, ICP) + b)
    depthwise     h*w*oc * (2*kh*kw + b)          up(h, PP)*w*up(oc, CP) * (2*kh*kw + b)
    pooling       h*w*oc * kh*kw                  up(h, PP)*w*up(oc, CP) * kh*kw
    element-wise  h*w*oc * (inputs - 1 + relu)    up(h, PP)*w*up(oc, CP) * (inputs - 1 + relu)

with b = 1 when there is a bias. A first layer with few channels fills the channel lanes with a row of the kernel:
kh*up(kw*ic, ICP) takes the place of kh*kw*up(ic, ICP). A transposed convolution is counted with kernel/stride taps,
its height rounded per phase. The left column and the rounding of convolutions and pooling are exact for the compiled
models published with Vitis AI; the right column for depthwise and element-wise layers is the same rule applied to
their engines, and no published file was there to check it. Convolutions over volumes count with depth times height
as height and kernel depth times channels as channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantforge.diagnostics import InputError
from quantforge.targets.dpu import DpuTarget, Engine

Kind = Literal["conv", "transposed", "depthwise", "transposed-depthwise", "pool", "eltwise", "copy"]
KINDS: tuple[Kind, ...] = (
    "conv", "transposed", "depthwise", "transposed-depthwise", "pool", "eltwise", "copy",
)  # fmt: skip
WEIGHTED = ("conv", "transposed", "depthwise", "transposed-depthwise")
# Never seen in models compiled for it, although its target files have a number for it.
_NO_AUGMENTATION = ("DPUCAHX8H",)


@dataclass(frozen=True)
class FusedPool:
    """A pooling that takes the layer's output before it is saved; kernel is (w, h)."""

    out_h: int
    out_w: int
    kernel: tuple[int, int]


@dataclass(frozen=True)
class LayerWork:
    """One DPU layer of one image: its shape, what is fused into it and where its tensors lie.

    Attributes:
        kind: What it computes; "copy" only moves data (concat, upsampling, downsampling, reorg, pad).
        out_h: Height of the output in rows, before a fused pooling.
        out_w: Width of the output.
        out_c: Channels of the output.
        in_h: Height of the input.
        in_w: Width of the input.
        in_c: Channels of the input.
        kernel: (w, h), as in XIR.
        stride: (w, h).
        dilation: (w, h); it changes no count.
        bias: Whether a bias is added.
        inputs: Tensors an element-wise layer joins.
        relu: Whether an element-wise layer applies an activation, which counts as an operation.
        fused_eltwise: Further tensors of the output's shape that are added or multiplied to it.
        fused_pool: A pooling behind it.
        input_in_ddr: Whether the input is loaded from memory, not found on chip.
        output_in_ddr: Whether the output is saved to memory.
        weights_in_ddr: Whether weights and bias are loaded.
        fused_in_ddr: Whether the further tensors of `fused_eltwise` are loaded.
    """

    kind: Kind
    out_h: int
    out_w: int
    out_c: int
    in_h: int
    in_w: int
    in_c: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    bias: bool = False
    inputs: int = 2
    relu: bool = False
    fused_eltwise: int = 0
    fused_pool: FusedPool | None = None
    input_in_ddr: bool = True
    output_in_ddr: bool = True
    weights_in_ddr: bool = True
    fused_in_ddr: bool = True

    def __post_init__(self) -> None:
        sizes = (
            self.out_h,
            self.out_w,
            self.out_c,
            self.in_h,
            self.in_w,
            self.in_c,
            *self.kernel,
            *self.stride,
        )
        if self.kind not in KINDS:
            raise InputError("Q1021", "layer", f"kind {self.kind!r}", f"one of {', '.join(KINDS)}", KINDS[0])
        if min(sizes) < 1 or self.inputs < 1 or self.fused_eltwise < 0:
            raise InputError(
                "Q1021", "layer", f"sizes {sizes}", "sizes of 1 or more", "give the layer's shape"
            )


@dataclass(frozen=True)
class Operations:
    """Work on the engines in operations (a multiplication and an addition are two), rounded up to their width."""

    conv: int = 0
    depthwise: int = 0
    pool: int = 0
    eltwise: int = 0

    @property
    def total(self) -> int:
        """All engines together."""
        return self.conv + self.depthwise + self.pool + self.eltwise


def macs(layer: LayerWork) -> int:
    """Multiplications of the weighted part; 0 for a layer without weights.

    >>> macs(LayerWork("conv", 7, 7, 512, 7, 7, 512, (3, 3)))
    115605504
    """
    if layer.kind not in WEIGHTED:
        return 0
    width, height = _taps(layer)
    per_output = width * height * (1 if "depthwise" in layer.kind else layer.in_c)
    return layer.out_h * layer.out_w * layer.out_c * per_output


def workload(layer: LayerWork) -> int:
    """Operations as compiled models count them, with what is fused into the layer.

    >>> workload(LayerWork("conv", 22, 22, 32, 28, 28, 1, (7, 7), bias=True))
    1533312
    """
    outputs = layer.out_h * layer.out_w * layer.out_c
    own = 0
    if layer.kind in WEIGHTED:
        own = 2 * macs(layer) + outputs * layer.bias
    elif layer.kind == "pool":
        own = outputs * layer.kernel[0] * layer.kernel[1]
    elif layer.kind == "eltwise":
        own = outputs * (layer.inputs - 1 + layer.relu)
    return own + layer.fused_eltwise * outputs + _pool_outputs(layer) * layer.out_c


def workload_on_arch(layer: LayerWork, target: DpuTarget) -> int:
    """The same with every size rounded up to the width of the engine that does it.

    >>> from quantforge.targets.dpu import load_dpu
    >>> workload_on_arch(LayerWork("conv", 22, 22, 32, 28, 28, 1, (7, 7), bias=True), load_dpu("V70"))
    7586304
    """
    return operations(layer, target).total


def operations(layer: LayerWork, target: DpuTarget) -> Operations:
    """Work on each engine of `target`, rounded up to its width."""
    conv = depthwise = pool = eltwise = 0
    if layer.kind in ("conv", "transposed"):
        conv = _on_conv(layer, target)
    elif layer.kind in ("depthwise", "transposed-depthwise"):
        width, height = _taps(layer)
        depthwise = _spread(layer, depthwise_engine(target)) * (2 * width * height + layer.bias)
    elif layer.kind == "pool":
        pool = _spread(layer, pool_engine(target)) * layer.kernel[0] * layer.kernel[1]
    elif layer.kind == "eltwise":
        eltwise = _spread(layer, eltwise_engine(target)) * (layer.inputs - 1 + layer.relu)
    if layer.fused_eltwise:
        eltwise += _spread(layer, eltwise_engine(target)) * layer.fused_eltwise
    if layer.fused_pool is not None:
        engine, window = pool_engine(target), layer.fused_pool
        rows = up(window.out_h, engine.pixel_parallel)
        pool += rows * window.out_w * up(layer.out_c, lanes(engine)) * window.kernel[0] * window.kernel[1]
    return Operations(conv, depthwise, pool, eltwise)


def uses_augmentation(layer: LayerWork, target: DpuTarget) -> bool:
    """Whether a row of the kernel takes the place of input channels; a prediction where no rule is published."""
    most = target.conv.channel_augmentation
    if layer.kind != "conv" or most is None or target.family in _NO_AUGMENTATION:
        return False
    width, row, lane = layer.kernel[0], layer.kernel[0] * layer.in_c, target.conv.input_channel_parallel or 1
    return width > 1 and row <= most and up(row, lane) < width * up(layer.in_c, lane)


def pool_engine(target: DpuTarget) -> Engine:
    """The engine that pools."""
    return target.pool or target.alu or target.conv


def depthwise_engine(target: DpuTarget) -> Engine:
    """The engine of depthwise convolutions; the convolution engine where there is none."""
    return target.depthwise or target.alu or target.conv


def eltwise_engine(target: DpuTarget) -> Engine:
    """The engine that adds and multiplies element by element."""
    return target.eltwise or target.alu or target.conv


def lanes(engine: Engine) -> int:
    """Channels an engine takes at a time."""
    return engine.channel_parallel or engine.output_channel_parallel or 1


def up(value: int, step: int) -> int:
    """`value` rounded up to a multiple of `step`.

    >>> up(22, 8), up(16, 8)
    (24, 16)
    """
    step = max(step, 1)
    return -(-value // step) * step


def _on_conv(layer: LayerWork, target: DpuTarget) -> int:
    engine = target.conv
    width, height = _taps(layer)
    lane = engine.input_channel_parallel or 1
    taps = width * height * up(layer.in_c, lane)
    if uses_augmentation(layer, target):
        taps = height * up(width * layer.in_c, lane)
    phases = layer.stride[1] if layer.kind == "transposed" else 1
    rows = up(-(-layer.out_h // phases), engine.pixel_parallel) * phases
    return rows * layer.out_w * up(layer.out_c, engine.output_channel_parallel or 1) * (2 * taps + layer.bias)


def _spread(layer: LayerWork, engine: Engine) -> int:
    """Outputs of a layer, rounded up to the width of an engine."""
    return up(layer.out_h, engine.pixel_parallel) * layer.out_w * up(layer.out_c, lanes(engine))


def _taps(layer: LayerWork) -> tuple[int, int]:
    """Kernel taps that reach one output: all of them, or one phase of a transposed convolution."""
    if not layer.kind.startswith("transposed"):
        return layer.kernel
    return -(-layer.kernel[0] // layer.stride[0]), -(-layer.kernel[1] // layer.stride[1])


def _pool_outputs(layer: LayerWork) -> int:
    pool = layer.fused_pool
    return 0 if pool is None else pool.out_h * pool.out_w * pool.kernel[0] * pool.kernel[1]
