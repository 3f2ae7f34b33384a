"""The arithmetic of a DPU in a quantized graph: its constants in place of exact ones, and where it rounds in between.

These passes run when scales are known. The float graph stays what the user wrote, so that errors are measured, and
biases corrected, against it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from functools import partial

from quantforge.graph import Graph
from quantforge.passes.dpu_averages import MEANS, POOLS, dpu_averages
from quantforge.passes.dpu_clip import dpu_clips
from quantforge.passes.dpu_hard_sigmoid import dpu_hard_sigmoids, split_hard_swishes
from quantforge.passes.dpu_leaky_relu import dpu_leaky_relus
from quantforge.passes.dpu_softmax import dpu_softmaxes
from quantforge.passes.replace_sigmoid import replace_sigmoids
from quantforge.passes.result import PassResult
from quantforge.passes.sequence import in_turn


@dataclass(frozen=True)
class DpuArithmetic:
    """Which operators compute as a DPU does; see the passes of the same names."""

    leaky_relu: bool = True
    every_slope: bool = False  # of leaky ReLUs in 256ths, also those that no DPU has
    averages: bool = True  # of pools
    means: bool = True
    hard_sigmoid: bool = True  # and hard swish
    sigmoid: bool = False  # as a hard sigmoid
    softmax: bool = False
    clip: bool = False  # as a ReLU that ends where the stored numbers do


def with_dpu_arithmetic(
    graph: Graph, options: DpuArithmetic | None, float_ops: Container[str] = ()
) -> PassResult:
    """A quantized graph whose operators compute as `options` say, except `float_ops`, which run on a CPU."""
    return in_turn(graph, () if options is None else _chosen(options, float_ops))


def _chosen(options: DpuArithmetic, float_ops: Container[str]) -> Iterator[Callable[[Graph], PassResult]]:
    if options.clip:
        yield partial(dpu_clips, float_ops=float_ops)
    if options.softmax:
        yield partial(dpu_softmaxes, float_ops=float_ops)
    if options.sigmoid:  # before the hard sigmoids, of which it becomes one
        yield partial(replace_sigmoids, float_ops=float_ops)
    if options.leaky_relu:
        yield partial(dpu_leaky_relus, float_ops=float_ops, every_slope=options.every_slope)
    kinds = (*(POOLS if options.averages else ()), *(MEANS if options.means else ()))
    if kinds:
        yield partial(dpu_averages, float_ops=float_ops, kinds=kinds)
    if options.hard_sigmoid:
        yield partial(dpu_hard_sigmoids, float_ops=float_ops)
        yield partial(split_hard_swishes, float_ops=float_ops)
