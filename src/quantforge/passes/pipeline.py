"""The passes that prepare a graph for quantization, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from quantforge.graph import Graph
from quantforge.passes.dpu_structure import DpuStructure, kept_by, with_dpu_structure
from quantforge.passes.fold_batch_norm import fold_batch_norms
from quantforge.passes.remove_identity import remove_identities
from quantforge.passes.replace_relu6 import replace_relu6
from quantforge.passes.replace_sigmoid import replace_sigmoids
from quantforge.passes.replace_swish import replace_swishes
from quantforge.passes.result import PassResult
from quantforge.passes.separate_biases import separate_biases
from quantforge.passes.sequence import in_turn
from quantforge.passes.units.find import record_units


@dataclass(frozen=True)
class Preparation:
    """Which passes run. Equalization comes after them, since it may need to look at data.

    `dpu_structure` says how the graph is written for a DPU; operators that a glob of `named` matches stay.
    """

    remove_identity: bool = True
    fold_batch_norm: bool = True
    replace_relu6: bool = False
    replace_swish: bool = False
    replace_sigmoid: bool = False
    units: bool = False
    masks: bool = False
    dpu_structure: DpuStructure | None = None
    named: tuple[str, ...] = ()


def prepare(graph: Graph, options: Preparation) -> PassResult:
    """Run the chosen passes one after the other; the result collects what all of them changed and noted."""
    return in_turn(graph, _chosen(options))


def _chosen(options: Preparation) -> Iterator[Callable[[Graph], PassResult]]:
    if options.remove_identity:
        yield remove_identities
    yield separate_biases
    structure = options.dpu_structure
    depthwise = options.fold_batch_norm if structure is None else structure.batch_norms
    if options.fold_batch_norm or depthwise:
        keep = kept_by(options.named) if structure is not None else kept_by(())
        yield partial(fold_batch_norms, fold=options.fold_batch_norm, depthwise=depthwise, keep=keep)
    if structure is not None:
        yield partial(with_dpu_structure, options=structure, named=options.named)
    if options.replace_relu6:
        yield replace_relu6
    if options.replace_swish:  # before the sigmoids, of which it may be made
        yield replace_swishes
    if options.replace_sigmoid:
        yield replace_sigmoids
    if options.units:  # last: they are what the others have made
        yield record_units
    elif options.masks:
        yield partial(record_units, masks_alone=True)
