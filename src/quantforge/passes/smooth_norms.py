"""Move outlier channels from what a normalization makes into the weights that read it (SmoothQuant).

    norm(x) = n * gamma + beta,     y = norm(x) W
            = (n * gamma / s + beta / s) (s W)              s per channel
    s_j = max|norm(x)_j|^alpha / max|W_j|^(1 - alpha),      divided by its geometric mean

Why: transformers have a few channels tens of times larger than the rest. One scale for all channels of an activation
leaves the others few steps, while weights have steps to spare, most of all with a scale per output channel.
What: norms whose gamma (and beta) are constants, and all products with constant weights that read them. Where
something else reads the norm as well, such as the residual sum behind a norm, it gets the unscaled values back by
a product with s, if that is wanted.
Cost: nothing where only products read the norm; one elementwise product where something else does.
When it hurts: alpha near 1 gives the outliers to the weights. With one scale per weight tensor try 0.3.
Reference: Xiao et al., SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models,
2022.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Graph, Op, Origin, Value
from quantforge.ops.channels import input_channel_axis
from quantforge.passes.matching import beside_constant
from quantforge.passes.result import Note, PassResult
from quantforge.passes.units.layer_norm import find_layer_norms

NAME = "smooth-norms"
Channels = NDArray[np.float64]
_PRODUCTS = ("matmul", "inner-product")
_NOTHING = 1e-8  # ranges below it belong to dead channels


@dataclass(frozen=True)
class Norm:
    """A normalization that can absorb a scale per channel of `value`: the inputs of operators that hold it."""

    name: str
    value: str
    parameters: tuple[tuple[str, int], ...]  # operator and input: gamma, and beta where there is one


def smooth_norms(
    graph: Graph, ranges: Mapping[str, Channels], alpha: float = 0.5, restore: bool = False
) -> PassResult:
    """Smooth the norms whose ranges are known.

    Args:
        graph: Any.
        ranges: Largest |x| per channel of the values that `smoothable` lists, float64 [channels].
        alpha: Share of the outliers that goes into the weights, 0 to 1.
        restore: Whether readers other than products get the unscaled values back by a product; else such a norm is
            left alone.

    Changed: norms, products whose weights were scaled, and products that were added.
    """
    graph = graph.copy()
    norms, notes = _norms(graph)
    changed: list[str] = []
    for norm in norms:
        reason = _refusal(graph, norm, ranges, restore)
        if reason is not None:
            notes.append(Note(NAME, norm.name, False, reason))
            continue
        scale = _scale(graph, norm, ranges[norm.value], alpha)
        changed += _absorb(graph, norm, scale)
        text = f"channels scaled by up to 2^{np.abs(np.log2(scale)).max():.1f}"
        notes.append(Note(NAME, norm.name, True, text))
    return PassResult(graph, tuple(dict.fromkeys(changed)), (*notes, *_left_over(graph, norms)))


def smoothable(graph: Graph) -> tuple[str, ...]:
    """The values whose ranges `smooth_norms` can use."""
    return tuple(norm.value for norm in _norms(graph)[0] if products_reading(graph, norm.value))


def _norms(graph: Graph) -> tuple[list[Norm], list[Note]]:
    norms, notes = [], []
    for unit in find_layer_norms(graph).found:
        parameters = tuple(_vectors(graph, unit.output, unit.ops))
        if any(graph.op(name).kind == "eltwise-mul" for name, _ in parameters):
            norms.append(Norm(unit.ops[-1], unit.output, parameters))
        else:
            notes.append(Note(NAME, unit.ops[-1], False, "it has no constant gamma to absorb a scale"))
    for op in graph.ops:
        if op.kind != "layernorm":
            continue
        rows = [index for index in range(1, len(op.inputs)) if op.inputs[index]]
        consts = [graph.const(op, index) for index in rows]
        if rows and all(data is not None and data.ndim == 1 and data.size > 1 for data in consts):
            norms.append(Norm(op.name, op.outputs[0], tuple((op.name, index) for index in rows)))
        else:
            notes.append(
                Note(NAME, op.name, False, "its gamma and beta are not constants with a number per channel")
            )
    return norms, notes


def _vectors(graph: Graph, value: str, names: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """The operators of a unit that add beta and multiply by gamma, from its end, and which input that is."""
    for kind in ("eltwise-add", "eltwise-mul"):
        op = graph.producer(value)
        found = None if op is None or op.kind != kind or op.name not in names else beside_constant(graph, op)
        if op is not None and found is not None and found[1].ndim == 1 and found[1].size > 1:
            yield op.name, 1 if op.inputs[0] == found[0] else 0
            value = found[0]


def _refusal(graph: Graph, norm: Norm, ranges: Mapping[str, Channels], restore: bool) -> str | None:
    products = products_reading(graph, norm.value)
    if not products:
        return "no product with weights reads it"
    if norm.value in graph.outputs:
        return f"{norm.value} is a graph output"
    if norm.value not in ranges or not np.isfinite(ranges[norm.value]).all():
        return f"the ranges of {norm.value} are not known, or it is not quantized"
    others = [op.name for op in graph.consumers(norm.value) if op not in products]
    if others and not restore:
        return f"{others[0]} reads it too"
    return None


def products_reading(graph: Graph, value: str) -> list[Op]:
    """The products with constant weights that multiply `value`."""
    return [
        op
        for op in graph.consumers(value)
        if op.kind in _PRODUCTS
        and op.inputs[0] == value
        and value not in op.inputs[1:]
        and (weights := graph.const(op, 1)) is not None
        and weights.ndim == 2
        and input_channel_axis(op) is not None
    ]


def _scale(graph: Graph, norm: Norm, reach: Channels, alpha: float) -> Channels:
    """s, with 1 for channels that have no range."""
    tops = [_row_tops(graph, op) for op in products_reading(graph, norm.value)]
    weights: Channels = np.max(tops, axis=0)
    usable = (reach > _NOTHING) & (weights > _NOTHING)
    scale = np.ones(len(reach))
    if usable.any():
        scale[usable] = reach[usable] ** alpha / weights[usable] ** (1.0 - alpha)
        scale[usable] /= np.exp(np.log(scale[usable]).mean())
    return scale


def _row_tops(graph: Graph, op: Op) -> Channels:
    weights = graph.const(op, 1)
    axis = input_channel_axis(op)
    assert weights is not None and axis is not None  # noqa: S101  products_reading saw them
    return np.asarray(np.abs(weights).max(axis=1 - axis), np.float64)


def _absorb(graph: Graph, norm: Norm, scale: Channels) -> Iterator[str]:
    """Divide the norm by `scale`, multiply what reads it; yields the operators that changed."""
    products = products_reading(graph, norm.value)
    chosen = {op.name for op in products}
    others = [op for op in graph.consumers(norm.value) if op.name not in chosen]
    for name, index in norm.parameters:
        _set_constant(graph, graph.op(name), index, 1.0 / scale)
        yield name
    yield from scale_inputs(graph, products, scale)
    if others:
        yield _restore(graph, norm, scale, others)


def scale_inputs(graph: Graph, products: list[Op], scale: Channels) -> Iterator[str]:
    """Multiply the weights of `products` by `scale` [input channels]; yields the operators that changed."""
    for op in products:
        _set_constant(graph, op, 1, scale if input_channel_axis(op) == 1 else scale[:, None])
        yield op.name


def _set_constant(graph: Graph, op: Op, index: int, factor: Channels) -> None:
    """Multiply the constant; another one where somebody else reads it."""
    value = graph.value(op.inputs[index])
    assert value.const is not None  # noqa: S101  it was chosen for being one
    data = np.asarray(value.const * factor, value.const.dtype)
    shared = len(graph.consumers(value.name)) > 1 or value.name in graph.outputs
    name = graph.fresh_name(f"{value.name}.{op.name}") if shared else value.name
    graph.set_value(replace(value, name=name, const=data))
    inputs = tuple(name if at == index else each for at, each in enumerate(op.inputs))
    graph.replace_op(graph.op(op.name).changed(NAME, inputs=inputs))


def _restore(graph: Graph, norm: Norm, scale: Channels, readers: list[Op]) -> str:
    value = graph.value(norm.value)
    factor = graph.fresh_name(f"{norm.value}_scale")
    data = np.asarray(scale, np.float32)
    graph.set_value(Value(factor, data.shape, "float32", data))
    whole = graph.fresh_name(f"{norm.value}_unscaled")
    graph.set_value(replace(value, name=whole))
    made = Op("eltwise-mul", whole, (norm.value, factor), (whole,), {}, Origin((), NAME))
    graph.add_op(made, before=readers[0].name)
    for op in readers:
        inputs = tuple(whole if name == norm.value else name for name in op.inputs)
        graph.replace_op(replace(op, inputs=inputs))
    return whole


def _left_over(graph: Graph, norms: list[Norm]) -> Iterator[Note]:
    """A note for each product with weights that reads no norm."""
    smooth = {norm.value for norm in norms}
    for op in graph.ops:
        if op.kind in _PRODUCTS and op.inputs[0] not in smooth and graph.const(op, 1) is not None:
            maker = graph.producer(op.inputs[0])
            source = "the graph's caller" if maker is None else f"{maker.kind} {maker.name}"
            yield Note(NAME, op.name, False, f"{source} makes its input, and absorbs no scale per channel")
