"""Fold batch normalization into the weights before it.

batchnorm(conv(x, W) + b) = gamma * (W·x + b - mean) / sqrt(var + eps) + beta
                          = (k W)·x + (k (b - mean) + beta),  k = gamma / sqrt(var + eps) per output channel.

A channel whose variance is next to nothing beside epsilon did not vary in training: its input is dead. There
W·x + b = mean and the result is beta, while k = gamma / sqrt(eps) is huge, for all that it multiplies is zero.
Such a channel becomes its constant, W = 0 and b = beta, so that its k does not spoil a scale it shares.

A batch normalization that follows anything else (concat, add, a shared tensor, a graph input) is the 1x1
depthwise convolution  k x + (beta - k mean)  when its input has two spatial axes; otherwise it stays in float.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Graph, Op, Value
from quantforge.ops.channels import output_channel_axis
from quantforge.passes.result import Note, PassResult

NAME = "fold-batch-norm"
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
CONSTANT = 1e-6  # variance over epsilon and over the median variance: the result varies by 1e-3 gamma


def fold_batch_norms(
    graph: Graph, fold: bool = True, depthwise: bool = True, keep: Callable[[Op], bool] = lambda op: False
) -> PassResult:
    """Changed: the weighted ops that took a batch normalization in, and those made from one.

    Without `fold` none is taken in, without `depthwise` none is made a convolution, and what `keep` says stays.
    """
    graph = graph.copy()
    changed: list[str] = []
    notes: list[Note] = []
    for norm in graph.ops:
        if norm.kind != "batchnorm":
            continue
        broken = _broken(graph, norm)
        refusal = broken or (_refusal(graph, norm) if fold else "folding is off")
        if refusal is None:
            constant = _constant_channels(graph, norm)
            changed.append(_fold(graph, norm, constant))
            notes.append(Note(NAME, norm.name, True, f"folded into {changed[-1]}{_said(constant)}"))
        elif depthwise and not broken and not keep(norm) and _becomes_depthwise(graph, norm):
            changed.append(norm.name)
            notes.append(Note(NAME, norm.name, True, f"made a 1x1 depthwise convolution, since {refusal}"))
        else:
            notes.append(Note(NAME, norm.name, False, refusal))
    graph.prune()
    return PassResult(graph, tuple(changed), tuple(notes))


def _broken(graph: Graph, norm: Op) -> str | None:
    """What no normalization can be computed with: constants of sizes that do not belong together."""
    found = [array.shape for i in range(1, 5) if (array := graph.const(norm, i)) is not None]
    if len(set(found)) > 1 or any(len(shape) != 1 for shape in found):
        return "its parameters have sizes " + ", ".join(map(str, found))
    producer = graph.producer(norm.inputs[0])
    axis = None if producer is None else output_channel_axis(producer)
    weights = None if producer is None or axis is None else graph.const(producer, 1)
    if producer is None or axis is None or weights is None or not found:
        return None
    bias = graph.const(producer, 2) if len(producer.inputs) > 2 and producer.inputs[2] else None
    channels = weights.shape[axis] if axis < weights.ndim else None
    if found[0] != (channels,) or (bias is not None and bias.shape != found[0]):
        return f"its parameters have size {found[0]}, the weights and bias of {producer.name} others"
    return None


def _refusal(graph: Graph, norm: Op) -> str | None:
    if any(graph.const(norm, index) is None for index in range(1, 5)):
        return "its parameters are not constants"
    source = norm.inputs[0]
    producer = graph.producer(source)
    if producer is None:
        return f"its input {source} is not computed by an operator"
    if source in graph.outputs:
        return f"its input {source} is a graph output"
    if len(graph.consumers(source)) > 1:
        return f"its input {source} is used elsewhere too"
    if output_channel_axis(producer) is None:
        return f"its input comes from {producer.kind} {producer.name}, which has no weights"
    if graph.const(producer, 1) is None or (
        len(producer.inputs) > 2 and producer.inputs[2] and graph.const(producer, 2) is None
    ):
        return f"the weights of {producer.name} are not constants"
    return None


def _affine(graph: Graph, norm: Op) -> tuple[Array, Array]:
    """(k, beta - k mean) per channel in double precision."""
    gamma, beta, mean, variance = (np.asarray(graph.const(norm, i), np.float64) for i in range(1, 5))
    k = gamma / np.sqrt(variance + float(norm.attrs["epsilon"]))  # type: ignore[arg-type]
    return k, beta - k * mean


def _constant_channels(graph: Graph, norm: Op) -> Mask:
    """Which channels did not vary in training, though most of the others did; bool [channels]."""
    variance = np.asarray(graph.const(norm, 4), np.float64)
    epsilon = float(norm.attrs["epsilon"])  # type: ignore[arg-type]
    return np.asarray(variance < CONSTANT * min(epsilon, float(np.median(variance))))


def _said(constant: Mask) -> str:
    channels = np.flatnonzero(constant)
    if not channels.size:
        return ""
    names = ", ".join(map(str, channels[:4])) + (", ..." if channels.size > 4 else "")
    return f"; channels made constant, as in training: {names} ({channels.size} of {constant.size})"


def _fold(graph: Graph, norm: Op, constant: Mask) -> str:
    conv = graph.producer(norm.inputs[0])
    assert conv is not None  # noqa: S101  _refusal saw it
    weights, k, shift = graph.value(conv.inputs[1]), *_affine(graph, norm)
    beta = np.asarray(graph.const(norm, 2), np.float64)
    k, shift = np.where(constant, 0.0, k), np.where(constant, beta, shift)
    axis = output_channel_axis(conv)
    assert weights.const is not None and axis is not None  # noqa: S101
    shape = [1] * weights.const.ndim
    shape[axis] = -1
    bias = graph.const(conv, 2)
    new_weights = (weights.const * k.reshape(shape)).astype(weights.const.dtype)
    new_bias = (shift if bias is None else k * bias + shift).astype(weights.const.dtype)
    names = _constants(graph, conv, new_weights, new_bias)
    graph.remove_op(norm.name)
    graph.replace_op(conv.changed(NAME, inputs=(conv.inputs[0], *names), outputs=norm.outputs[:1]))
    return conv.name


def _constants(
    graph: Graph, conv: Op, weights: NDArray[np.generic], bias: NDArray[np.generic]
) -> tuple[str, str]:
    """Store new constants under the old names, or fresh ones where an old name is shared or absent."""
    old_bias = conv.inputs[2] if len(conv.inputs) > 2 else ""
    names = []
    for old, stem, data in ((conv.inputs[1], "weight", weights), (old_bias, "bias", bias)):
        own = old and len(graph.consumers(old)) == 1
        name = (
            old if own else graph.fresh_name(f"{old or conv.name}.{NAME}" if old else f"{conv.name}.{stem}")
        )
        names.append(graph.set_value(Value(name, data.shape, str(data.dtype), data)).name)
    return names[0], names[1]


def _becomes_depthwise(graph: Graph, norm: Op) -> bool:
    value = graph.value(norm.inputs[0])
    if value.shape is None or len(value.shape) != 4 or graph.const(norm, 1) is None:
        return False
    if norm.attrs.get("layout", "NCHW") != "NCHW":
        return False
    k, shift = _affine(graph, norm)
    weights = k.astype(np.float32).reshape(-1, 1, 1, 1)
    names = [graph.fresh_name(f"{norm.name}.{stem}") for stem in ("weight", "bias")]
    graph.set_value(Value(names[0], weights.shape, "float32", weights))
    graph.set_value(Value(names[1], shift.shape, "float32", shift.astype(np.float32)))
    attrs = {
        "kernel": (1, 1), "stride": (1, 1), "dilation": (1, 1), "pads": (0, 0, 0, 0),
        "group": len(k), "layout": "NCHW", "weight_layout": "OIHW",
    }  # fmt: skip
    inputs = (norm.inputs[0], *names)
    graph.replace_op(
        norm.changed(NAME, kind="depthwise-conv2d", inputs=inputs, outputs=norm.outputs[:1], attrs=attrs)
    )
    return True
