"""Scale the channels of groups of values by given factors, which the layers around take back.

What: channel c of a channel group's values (see `equalize_layers`) is multiplied by s_c > 0: the weights and biases
of the layers that write it by s_c, the weights of those that read it by 1 / s_c. The network computes the same.
Why: with one power of two per tensor, up to half of a grid lies idle; one factor for a whole group moves its values
onto all of it.
Cost: one pass over the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Array, Graph
from quantforge.ops.channels import input_channel_axis, output_channel_axis
from quantforge.passes.equalize_layers import ChannelGroup
from quantforge.passes.result import Note, PassResult

NAME = "scale-groups"
Factors = NDArray[np.float64]  # [channels], or [1] for all of them


def scale_groups(graph: Graph, factors: Mapping[ChannelGroup, Factors]) -> PassResult:
    """A copy of `graph` with the channels of each group multiplied by its factors.

    Changed: the layers whose constants were scaled.
    """
    graph = graph.copy()
    known = {group: found for group, found in factors.items() if np.any(found != 1.0)}
    outs = {name: found for group, found in known.items() for name in group.heads}
    ins = {name: found for group, found in known.items() for name in group.tails}
    changed = tuple(dict.fromkeys((*outs, *ins)))
    for name in changed:
        op = graph.op(name)
        weights = graph.const(op, 1)
        assert weights is not None  # noqa: S101  channel_groups saw it
        one = np.ones(1)
        scaled = _along(weights, outs.get(name, one), output_channel_axis(op))
        scaled = _along(scaled, 1.0 / ins.get(name, one), input_channel_axis(op))
        graph.set_value(replace(graph.value(op.inputs[1]), const=scaled))
        bias = graph.const(op, 2)
        if bias is not None and name in outs:
            graph.set_value(replace(graph.value(op.inputs[2]), const=_along(bias, outs[name], 0)))
    notes = (
        Note(NAME, group.heads[0], True, f"values scaled by 2^{np.log2(np.exp(np.log(found).mean())):.2f}")
        for group, found in known.items()
    )
    return PassResult(graph, changed, tuple(notes))


def _along(array: Array, factors: Factors, axis: int | None) -> Array:
    shape = [-1 if place == axis else 1 for place in range(array.ndim)]
    return np.asarray(array * factors.astype(np.float32).reshape(shape))
