"""How a graph is written for a DPU: other operators for the same numbers, before anything is measured.

    instance_norms  operators that make up an instance normalization become one
    means           a mean over height and width becomes a global average pool
    large_pools     an average over a large window becomes two
    splits          a split becomes slices
    l2_norms        operators that divide by the Euclidean norm become one
    batch_norms     a batch normalization with no convolution in front becomes a depthwise one (`fold_batch_norm`)

Source: order and names of the steps of `enable_dpu` of the ONNX quantizer of Vitis AI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

from quantforge.graph import Graph, Op
from quantforge.passes.fuse_instance_norm import fuse_instance_norms
from quantforge.passes.fuse_l2_norm import fuse_l2_norms
from quantforge.passes.means_to_pools import means_to_pools
from quantforge.passes.result import PassResult
from quantforge.passes.sequence import in_turn
from quantforge.passes.split_large_pools import split_large_pools
from quantforge.passes.split_to_slices import split_to_slices


@dataclass(frozen=True)
class DpuStructure:
    """Which of the rewrites are made; see the module."""

    instance_norms: bool = False
    batch_norms: bool = True
    means: bool = True
    large_pools: bool = True
    splits: bool = True
    l2_norms: bool = False


def with_dpu_structure(graph: Graph, options: DpuStructure | None, named: Sequence[str] = ()) -> PassResult:
    """`graph` written as `options` say; operators that a glob of `named` matches stay as they are."""
    return in_turn(graph, () if options is None else _chosen(options, kept_by(named)))


def kept_by(globs: Sequence[str]) -> Callable[[Op], bool]:
    """Whether the name of an op matches one of `globs`."""
    return lambda op: any(fnmatchcase(op.name, glob) for glob in globs)


def _chosen(options: DpuStructure, keep: Callable[[Op], bool]) -> Iterator[Callable[[Graph], PassResult]]:
    steps = (
        (options.instance_norms, fuse_instance_norms),
        (options.means, means_to_pools),
        (options.large_pools, split_large_pools),
        (options.splits, split_to_slices),
        (options.l2_norms, fuse_l2_norms),
    )
    for wanted, step in steps:
        if wanted:
            yield partial(step, keep=keep)
