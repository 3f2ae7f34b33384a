"""The table from ATen operators to canonical kinds.

A rule emits ops or raises `NotExpressibleError`; operators that have no rule, and calls their rule refuses, become
opaque and run in torch.
"""

from __future__ import annotations

from typing import Any

from quantforge.frontends.torch import arithmetic, attention, moves, windows
from quantforge.frontends.torch.names import packet_name
from quantforge.frontends.torch.view import Rule

_RULES: dict[str, Rule] = {
    "conv1d": windows.convolution,
    "conv2d": windows.convolution,
    "conv3d": windows.convolution,
    "convolution": windows.general_convolution,
    "conv_transpose1d": windows.transposed_convolution,
    "conv_transpose2d": windows.transposed_convolution,
    "conv_transpose3d": windows.transposed_convolution,
    **{
        f"{name}_pool{rank}d": windows.pool(f"{name}pool", rank)
        for name in ("max", "avg")
        for rank in (1, 2, 3)
    },
    **{f"adaptive_avg_pool{rank}d": windows.adaptive_pool("avgpool", rank) for rank in (1, 2, 3)},
    **{f"_adaptive_avg_pool{rank}d": windows.adaptive_pool("avgpool", rank) for rank in (2, 3)},
    "linear": arithmetic.linear,
    "addmm": arithmetic.addmm,
    "matmul": arithmetic.matmul,
    "mm": arithmetic.matmul,
    "bmm": arithmetic.matmul,
    "add": arithmetic.elementwise("eltwise-add"),
    "sub": arithmetic.elementwise("eltwise-sub"),
    "rsub": arithmetic.elementwise("eltwise-sub", swapped=True),
    "mul": arithmetic.elementwise("eltwise-mul"),
    "div": arithmetic.elementwise("eltwise-div"),
    "minimum": arithmetic.elementwise("eltwise-min"),
    "maximum": arithmetic.elementwise("eltwise-max"),
    "pow": arithmetic.elementwise("eltwise-pow"),
    "relu": arithmetic.unary("relu"),
    "relu6": arithmetic.relu6,
    "hardtanh": arithmetic.clamp,
    "clamp": arithmetic.clamp,
    "leaky_relu": arithmetic.leaky_relu,
    "prelu": arithmetic.prelu,
    "_prelu_kernel": arithmetic.prelu,
    "elu": arithmetic.elu,
    "selu": arithmetic.unary("selu"),
    "gelu": arithmetic.gelu,
    "silu": arithmetic.unary("swish"),
    "mish": arithmetic.unary("mish"),
    "softplus": arithmetic.softplus,
    "sigmoid": arithmetic.unary("sigmoid"),
    "hardsigmoid": arithmetic.hard_sigmoid,
    "hardswish": arithmetic.unary("hard-swish"),
    "rsqrt": arithmetic.rsqrt,
    "square": arithmetic.square,
    **{
        name: arithmetic.unary(name)
        for name in ("tanh", "erf", "exp", "log", "sqrt", "abs", "neg", "reciprocal")
    },
    "softmax": attention.softmax,
    "_softmax": attention.softmax,
    "log_softmax": attention.log_softmax,
    "_log_softmax": attention.log_softmax,
    "batch_norm": arithmetic.batch_norm,
    "_native_batch_norm_legit_no_training": arithmetic.batch_norm,
    "layer_norm": arithmetic.layer_norm,
    "native_layer_norm": arithmetic.layer_norm,
    "group_norm": arithmetic.group_norm,
    "instance_norm": arithmetic.instance_norm,
    "scaled_dot_product_attention": attention.attention,
    "mean": arithmetic.reduction("reduction-mean"),
    "sum": arithmetic.reduction("reduction-sum"),
    "amax": arithmetic.reduction("reduction-max"),
    "amin": arithmetic.reduction("reduction-min"),
    "max": arithmetic.reduction_with_indices("reduction-max"),
    "min": arithmetic.reduction_with_indices("reduction-min"),
    "argmax": arithmetic.argmax,
    "linalg_vector_norm": arithmetic.norm,
    "var": arithmetic.variance,
    "where": arithmetic.where,
    **dict.fromkeys(("clone", "contiguous", "detach", "alias", "dropout", "lift_fresh_copy"), moves.identity),
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "flatten", "unflatten"), moves.reshape),
    "transpose": moves.transpose,
    "t": moves.transpose,
    "permute": moves.permute,
    "squeeze": moves.squeeze,
    "unsqueeze": moves.unsqueeze,
    "slice": moves.strided_slice,
    "select": moves.select,
    "split": moves.split,
    "split_with_sizes": moves.split,
    "chunk": moves.split,
    "cat": moves.concat,
    "concat": moves.concat,
    "stack": moves.stack,
    "expand": moves.expand,
    "repeat": moves.repeat,
    "flip": moves.flip,
    "pad": moves.pad,
    "constant_pad_nd": moves.pad,
    **{f"reflection_pad{rank}d": moves.border_pad("reflect") for rank in (1, 2, 3)},
    **{f"replication_pad{rank}d": moves.border_pad("edge") for rank in (1, 2, 3)},
    **{f"upsample_nearest{rank}d": moves.upsample("nearest") for rank in (1, 2, 3)},
    "upsample_linear1d": moves.upsample("linear"),
    "upsample_bilinear2d": moves.upsample("linear"),
    "upsample_trilinear3d": moves.upsample("linear"),
    "upsample_bicubic2d": moves.upsample("cubic"),
    "pixel_shuffle": moves.pixel_shuffle,
    "embedding": moves.embedding,
    "index_select": moves.index_select,
    "to": moves.cast,
    "_to_copy": moves.cast,
}


def rule_of(target: Any) -> Rule | None:
    """The rule for an operator, None when there is none."""
    name = packet_name(target)
    return _RULES.get(name) if name is not None else None


def is_known(target: Any) -> bool:
    """Whether an operator has a rule; such operators are not decomposed."""
    return rule_of(target) is not None
