"""What one layer costs on a DPU: cycles, memory traffic and milliseconds.

The engines and the memory ports work at the same time, yet neither hides the other completely:

    cycles = fixed + join + sqrt(compute**2 + memory**2)

`compute` is the work on all engines, rounded up to their width, divided by that width; `memory` is the bytes of
weights, inputs and outputs that cross the DDR ports, each divided by a rate; `join` is the loading of a further
tensor that is added to the output, for which everything waits. A few constants per family of DPUs (`cost.toml`) turn
this into cycles; none belongs to a model. Inside a program that runs many layers the next one's weights and inputs
are loaded while the one before computes, so that there the larger of `compute` and `memory` counts, and `fixed` once
per program: see `in_program`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from quantforge.compiler.cost_constants import Constants, load_constants
from quantforge.compiler.cost_work import (
    WEIGHTED,
    LayerWork,
    depthwise_engine,
    eltwise_engine,
    lanes,
    macs,
    operations,
    pool_engine,
    uses_augmentation,
    workload,
)
from quantforge.diagnostics import InputError
from quantforge.targets.dpu import DpuTarget, Engine


@dataclass(frozen=True)
class Traffic:
    """Bytes of one layer (one byte per number): from and to DDR, and read and written on chip.

    Weights are loaded once. A first layer whose kernel rows fill the channel lanes loads as many input rows as its
    kernel has for each row it computes. `join` is what a fused addition or product loads besides the input.
    """

    weights: int
    load: int
    join: int
    save: int
    on_chip: int

    @property
    def ddr(self) -> int:
        """All bytes that cross the DDR ports."""
        return self.weights + self.load + self.join + self.save


@dataclass(frozen=True)
class LayerCost:
    """What a layer costs; cycles are of the DPU clock.

    Attributes:
        macs: Multiplications.
        workload: Operations as compiled models count them.
        workload_on_arch: The same, rounded up to the width of the engines.
        traffic: Bytes.
        compute_cycles: All engines.
        join_cycles: A further tensor that is loaded to be added or multiplied.
        load_cycles: Weights and inputs from DDR.
        save_cycles: Outputs to DDR.
        cycles: All of it when the layer runs as a job of its own.
        ms: The same in milliseconds.
        in_program: Cycles when the layer is one of many in a program.
    """

    macs: int
    workload: int
    workload_on_arch: int
    traffic: Traffic
    compute_cycles: float
    join_cycles: float
    load_cycles: float
    save_cycles: float
    cycles: float
    ms: float
    in_program: float

    @property
    def bound(self) -> str:
        """What the layer waits for most: "compute" or "memory"."""
        memory = self.load_cycles + self.save_cycles
        return "compute" if self.compute_cycles >= memory + self.join_cycles else "memory"


def traffic(layer: LayerWork, target: DpuTarget) -> Traffic:
    """Bytes that one layer moves."""
    outputs = layer.out_h * layer.out_w * layer.out_c
    further = layer.fused_eltwise * outputs
    inputs = layer.in_h * layer.in_w * layer.in_c * (layer.inputs if layer.kind == "eltwise" else 1)
    loaded = inputs
    if uses_augmentation(layer, target):
        rows = layer.out_h + (1 if layer.fused_pool else 0)
        loaded = max(inputs, rows * layer.kernel[1] * layer.in_w * layer.in_c)
    saved = outputs
    if layer.fused_pool is not None:
        saved = layer.fused_pool.out_h * layer.fused_pool.out_w * layer.out_c
    weights = 0
    if layer.kind in WEIGHTED:
        taps = layer.kernel[0] * layer.kernel[1] * (1 if "depthwise" in layer.kind else layer.in_c)
        weights = layer.out_c * (taps + layer.bias)
    return Traffic(
        weights=weights * layer.weights_in_ddr,
        load=loaded * layer.input_in_ddr,
        join=further * layer.fused_in_ddr,
        save=saved * layer.output_in_ddr,
        on_chip=weights + inputs + further + saved,
    )


def layer_cost(
    layer: LayerWork,
    target: DpuTarget,
    *,
    frequency_mhz: float | None = None,
    constants: Constants | None = None,
) -> LayerCost:
    """What one layer of one image costs on one core.

    Args:
        layer: The layer.
        target: The DPU.
        frequency_mhz: Clock of the DPU; None takes the target's.
        constants: Rates; None takes those of the target's family.

    Raises:
        InputError: Q1020 when neither the caller nor the target has a clock.

    >>> from quantforge.targets.dpu import load_dpu
    >>> layer_cost(LayerWork("conv", 14, 14, 256, 14, 14, 128, (3, 3), bias=True), load_dpu("KV260")).bound
    'compute'
    """
    clock = clock_of(target, frequency_mhz)
    rates = constants or load_constants(target.family)
    work, moved = operations(layer, target), traffic(layer, target)
    speed_up = 1.0 if target.aie_frequency_mhz is None else target.aie_frequency_mhz / clock
    compute = rates.conv * work.conv / (target.peak_ops_per_cycle * speed_up)
    compute += rates.misc * work.depthwise / (2 * _width(depthwise_engine(target)))
    compute += rates.misc * work.pool / _width(pool_engine(target))
    compute += rates.misc * work.eltwise / _width(eltwise_engine(target))
    port = target.load_parallel or target.conv.input_channel_parallel or 1
    load = (moved.weights / rates.weights + moved.load / rates.load) / port
    save = moved.save / rates.save / (target.save_parallel or port)
    join = moved.join / rates.join / port
    cycles = rates.fixed + join + math.hypot(compute, load + save)
    return LayerCost(
        macs=macs(layer),
        workload=workload(layer),
        workload_on_arch=work.total,
        traffic=moved,
        compute_cycles=compute,
        join_cycles=join,
        load_cycles=load,
        save_cycles=save,
        cycles=cycles,
        ms=cycles / (clock * 1e3),
        in_program=join + max(compute, load + save),
    )


def clock_of(target: DpuTarget, frequency_mhz: float | None) -> float:
    """The clock in MHz: the caller's, or else the target's.

    Raises:
        InputError: Q1020 when neither is there, or it is not above 0.
    """
    clock = target.frequency_mhz if frequency_mhz is None else frequency_mhz
    if clock is None or not 0 < clock < math.inf:
        fix = "frequency_mhz=300, or name a board"
        raise InputError("Q1020", target.name, f"a clock of {clock} MHz", "a clock above 0", fix)
    return clock


def _width(engine: Engine) -> int:
    """Numbers an engine takes per cycle."""
    return max(engine.pixel_parallel, 1) * lanes(engine)
