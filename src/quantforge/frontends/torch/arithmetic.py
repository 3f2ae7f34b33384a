"""Rules for arithmetic: elementwise operators, activations, matrix products, reductions, normalization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from quantforge.frontends.torch.native import dtype_name
from quantforge.frontends.torch.view import CallView, Rule
from quantforge.graph import Array, Attr


def elementwise(kind: str, swapped: bool = False) -> Rule:
    """Two operands, the second of which may be a number; `alpha` scales the second."""

    def rule(view: CallView) -> None:
        view.require(view.arg("rounding_mode") is None, "rounding")
        view.require(view.result.dtype != torch.bool, "booleans")
        items = [item for name, item in _operands(view)]
        names = [view.operand(item, part) for item, part in zip(items, ("self", "other"), strict=True)]
        if view.arg("alpha", 1) != 1:
            view.require(view.result.is_floating_point() and not swapped, "alpha")
            factor = view.constant("alpha", np.asarray(view.number("alpha"), dtype_name(view.result.dtype)))
            names[1] = view.emit("eltwise-mul", [names[1], factor], "scaled")
        view.emit(kind, names[::-1] if swapped else names)

    return rule


def _operands(view: CallView) -> list[tuple[str, Any]]:
    for pair in (("self", "other"), ("self", "exponent"), ("input", "other")):
        if all(view.has(name) for name in pair):
            return [(name, view.arg(name)) for name in pair]
    return view.refuse("other operands")


def unary(kind: str) -> Rule:
    """One operand, no parameters, on floats."""

    def rule(view: CallView) -> None:
        view.emit(kind, [_float(view)])

    return rule


def _float(view: CallView) -> str:
    """The first argument, which has to be a float tensor."""
    item = view.node.args[0]
    view.require(view.traced(item).is_floating_point(), "integers")
    return view.value_of(item)


def rsqrt(view: CallView) -> None:
    """1 / sqrt(x)."""
    view.emit("reciprocal", [view.emit("sqrt", [_float(view)], "sqrt")])


def square(view: CallView) -> None:
    """x * x."""
    view.emit("eltwise-mul", [_float(view)] * 2)


def clamp(view: CallView) -> None:
    """clamp, clip and hardtanh between numbers; 0 to 6 is relu6."""
    low_name, high_name = ("min_val", "max_val") if view.has("min_val") else ("min", "max")
    low = view.number(low_name) if view.has(low_name) else None
    high = view.number(high_name) if view.has(high_name) else None
    bounds(view, low, high)


def bounds(view: CallView, low: float | None, high: float | None) -> None:
    """relu, relu6 or clip, whichever the bounds make it."""
    if low == 0.0 and high in (None, 6.0):
        view.emit("relu" if high is None else "relu6", [_float(view)])
        return
    found: dict[str, Attr] = {key: limit for key, limit in (("min", low), ("max", high)) if limit is not None}
    view.emit("clip", [_float(view)], **found)


def relu6(view: CallView) -> None:
    """relu6."""
    view.emit("relu6", [_float(view)])


def leaky_relu(view: CallView) -> None:
    """leaky_relu."""
    view.emit("leaky-relu", [_float(view)], alpha=view.number("negative_slope", 0.01))


def prelu(view: CallView) -> None:
    """prelu; a slope per channel stands beside axis 1."""
    slope, rank = view.weight("weight"), view.tensor("self").ndim
    if slope.ndim == rank:
        view.emit("prelu", [view.value("self"), view.value("weight")])
        return
    shaped = slope.reshape(-1, *(1,) * (rank - 2)) if rank > 1 else slope
    view.emit("prelu", [view.value("self"), view.constant("slope", shaped)])


def elu(view: CallView) -> None:
    """elu, without the scales of its relatives."""
    view.require(view.number("scale", 1) == 1 and view.number("input_scale", 1) == 1, "scaled elu")
    view.emit("elu", [_float(view)], alpha=view.number("alpha", 1.0))


def gelu(view: CallView) -> None:
    """gelu, exact or by tanh."""
    view.emit("gelu", [_float(view)], approximate=str(view.arg("approximate", "none")))


def softplus(view: CallView) -> None:
    """softplus with beta 1; its linear part beyond the threshold equals it to float precision."""
    view.require(
        view.number("beta", 1) == 1 and view.number("threshold", 20) >= 20, "beta or a low threshold"
    )
    view.emit("softplus", [_float(view)])


def hard_sigmoid(view: CallView) -> None:
    """relu6(x + 3) / 6."""
    view.emit("hard-sigmoid", [_float(view)], alpha=1 / 6, beta=0.5)


def linear(view: CallView) -> None:
    """x @ weight.T + bias with constant weights."""
    weights = view.weight("weight")
    view.require(weights.ndim == 2 and view.tensor("input").ndim >= 2, "a batch of rows")
    inputs = [view.value("input"), view.value("weight")]
    if view.has("bias"):
        view.weight("bias")
        inputs.append(view.value("bias"))
    view.emit("inner-product", inputs, weight_layout="OI")


def norm(view: CallView) -> None:
    """The 2-norm over axes: sqrt(sum(x * x))."""
    view.require(view.number("ord" if view.has("ord") else "p", 2) == 2, "another norm than 2")
    view.require(view.result.dtype == view.traced(view.node.args[0]).dtype, "a change of dtype")
    value, rank = _float(view), view.traced(view.node.args[0]).ndim
    squares = view.emit("eltwise-mul", [value, value], "squares")
    keep = bool(view.arg("keepdim", False))
    view.emit(
        "sqrt", [view.emit("reduction-sum", [squares], "sum", axes=view.axes("dim", rank), keepdims=keep)]
    )


def variance(view: CallView) -> None:
    """var over axes: the mean of squared deviations, times n / (n - correction)."""
    value, shape = _float(view), view.shape("self" if view.has("self") else "input")
    axes, keep = view.axes("dim", len(shape)), bool(view.arg("keepdim", False))
    sizes = [size for axis in axes for size in (shape[axis],) if isinstance(size, int)]
    view.require(len(sizes) == len(axes), "a number of elements known only when running")
    count = math.prod(sizes)
    correction = view.number("correction", 1.0 if view.arg("unbiased", True) else 0.0)
    view.require(count > correction, "too few elements")
    mean = view.emit("reduction-mean", [value], "mean", axes=axes, keepdims=True)
    off = view.emit("eltwise-sub", [value, mean], "off")
    squares = view.emit("eltwise-mul", [off, off], "squares")
    if correction == 0:
        view.emit("reduction-mean", [squares], axes=axes, keepdims=keep)
        return
    found = view.emit("reduction-mean", [squares], "squared", axes=axes, keepdims=keep)
    factor = np.asarray(count / (count - correction), dtype_name(view.result.dtype))
    view.emit("eltwise-mul", [found, view.constant("factor", factor)])


def addmm(view: CallView) -> None:
    """bias + x @ weight with constant weights and bias."""
    view.require(view.number("alpha", 1) == 1 and view.number("beta", 1) == 1, "alpha or beta")
    view.require(view.weight("self").ndim == 1, "a bias per row")
    view.weight("mat2")
    inputs = [view.value("mat1"), view.value("mat2"), view.value("self")]
    view.emit("inner-product", inputs, weight_layout="IO")


def matmul(view: CallView) -> None:
    """matmul, mm and bmm."""
    names = ("self", "other") if view.has("other") else ("self", "mat2")
    first, second = (view.tensor(name) for name in names)
    view.require(min(first.ndim, second.ndim) >= 2, "a vector")
    constant = view.const(names[1])
    attrs: dict[str, Attr] = {} if constant is None else {"weight_layout": "IO"}
    view.emit("matmul", [view.value(name) for name in names], **attrs)


def reduction(kind: str) -> Rule:
    """mean, sum, amax and amin over axes."""

    def rule(view: CallView) -> None:
        view.require(view.result.dtype == view.tensor("self").dtype, "a change of dtype")
        axes = view.axes("dim", view.tensor("self").ndim)
        view.emit(kind, [_float(view)], axes=axes, keepdims=bool(view.arg("keepdim", False)))

    return rule


def reduction_with_indices(kind: str) -> Rule:
    """max and min of everything, or along one axis where nobody asks for the positions."""

    def rule(view: CallView) -> None:
        if not view.has("dim"):
            view.emit(kind, [_float(view)], axes=tuple(range(view.tensor("self").ndim)), keepdims=False)
            return
        view.require(all(user.args[1] == 0 for user in view.node.users), "the positions are used")
        axis = view.axis("dim", view.tensor("self").ndim)
        view.emit(kind, [_float(view)], axes=(axis,), keepdims=bool(view.arg("keepdim", False)))

    return rule


def argmax(view: CallView) -> None:
    """argmax along one axis."""
    view.require(view.has("dim"), "the position in the flattened tensor")
    axis = view.axis("dim", view.tensor("self").ndim)
    view.emit("argmax", [view.value("self")], axis=axis, keepdims=bool(view.arg("keepdim", False)))


def where(view: CallView) -> None:
    """where, with tensors or numbers."""
    items = (view.arg("self"), view.arg("other"))
    view.emit(
        "where", [view.value("condition"), *(view.operand(i, p) for i, p in zip(items, "ab", strict=True))]
    )


def batch_norm(view: CallView) -> None:
    """Batch normalization by its running statistics."""
    view.require(not view.arg("training", False), "training mode")
    mean, variance = view.weight("running_mean"), view.weight("running_var")
    scale = _or_constant(view, "weight", np.ones_like(mean))
    shift = _or_constant(view, "bias", np.zeros_like(mean))
    inputs = [view.value("input"), scale, shift, view.value("running_mean"), view.value("running_var")]
    view.require(mean.shape == variance.shape, "statistics of different sizes")
    view.emit("batchnorm", inputs, epsilon=view.number("eps", 1e-5))


def _or_constant(view: CallView, name: str, default: Array) -> str:
    """A parameter, or a constant where there is none."""
    if not view.has(name):
        return view.constant(name, default)
    view.weight(name)
    return view.value(name)


def layer_norm(view: CallView) -> None:
    """Layer normalization over the last axes."""
    sizes, source = view.ints("normalized_shape", 1), view.tensor("input")
    ones = np.ones(sizes, dtype_name(source.dtype))
    inputs = [view.value("input"), _or_constant(view, "weight", ones)]
    if view.has("bias"):
        view.weight("bias")
        inputs.append(view.value("bias"))
    view.emit("layernorm", inputs, axis=source.ndim - len(sizes), epsilon=view.number("eps", 1e-5))


def group_norm(view: CallView) -> None:
    """Group normalization."""
    source = view.tensor("input")
    ones = np.ones(int(source.shape[1]), dtype_name(source.dtype))
    inputs = [view.value("input"), _or_constant(view, "weight", ones), _or_constant(view, "bias", 0 * ones)]
    groups = view.integer("num_groups" if view.has("num_groups") else "group")
    view.emit("groupnorm", inputs, groups=groups, epsilon=view.number("eps", 1e-5))


def instance_norm(view: CallView) -> None:
    """Instance normalization by the statistics of the sample."""
    view.require(bool(view.arg("use_input_stats", True)), "running statistics")
    source = view.tensor("input")
    ones = np.ones(int(source.shape[1]), dtype_name(source.dtype))
    inputs = [view.value("input"), _or_constant(view, "weight", ones), _or_constant(view, "bias", 0 * ones)]
    view.emit("instancenorm", inputs, epsilon=view.number("eps", 1e-5))
