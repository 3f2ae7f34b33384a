"""Canonical kinds in torch: one function per kind, made once per op with its attributes read.

A kernel takes the op's inputs, None where an optional one is absent, and returns its result (split: several). Kinds
without a kernel here run on their NumPy reference kernel, on the processor and without gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from quantforge.diagnostics import UnsupportedError
from quantforge.frontends.torch.attention_kernels import masked_softmax
from quantforge.frontends.torch.average_kernels import scaled_sum
from quantforge.frontends.torch.blocks.arithmetic import fake_quantize
from quantforge.frontends.torch.movement_kernels import MOVEMENT
from quantforge.frontends.torch.resize_kernels import resize
from quantforge.graph import Op
from quantforge.ops.registry import spec

Tensors = Sequence[Any]  # torch.Tensor or None
Kernel = Callable[[Tensors], Any]
Maker = Callable[[Op], Kernel]


def kernel(op: Op) -> Kernel:
    """The function that computes `op`, any but an opaque one.

    Raises:
        UnsupportedError: Q1405 for attributes that torch cannot compute.
    """
    maker = _MAKERS.get(op.kind)
    if op.kind == "resize":
        return resize(op) or _reference(op)
    return _reference(op) if maker is None else maker(op)


def has_gradient(op: Op) -> bool:
    """Whether torch computes `op`, so that gradients pass; opaque operators run in torch too."""
    return op.kind in _MAKERS or op.kind == "opaque" or (op.kind == "resize" and resize(op) is not None)


def _reference(op: Op) -> Kernel:
    compute = spec(op.kind).compute

    def run(tensors: Tensors) -> Any:
        arrays = [None if tensor is None else tensor.detach().cpu().numpy() for tensor in tensors]
        first = next(tensor for tensor in tensors if tensor is not None)
        found = [torch.from_numpy(np.ascontiguousarray(a)).to(first.device) for a in compute(op, arrays)]
        return found if len(op.outputs) > 1 else found[0]

    return run


def _ints(op: Op, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
    found = op.attrs.get(name, default)
    return tuple(int(item) for item in found) if isinstance(found, tuple) else default


def _number(op: Op, name: str, default: float) -> float:
    return float(op.attrs.get(name, default))  # type: ignore[arg-type]


def _rank(op: Op) -> int:
    return int(op.kind[-2])


def _need(condition: bool, op: Op, found: str) -> None:
    if not condition:
        raise UnsupportedError(
            "Q1405", f"op {op.name!r} ({op.kind})", found, "attributes that torch can compute",
            "leave out the pass that made the op, or keep the op in another door",
        )  # fmt: skip


def _convolution(op: Op) -> Kernel:
    rank = _rank(op)
    _need(str(op.attrs.get("layout", "NC")).startswith("NC"), op, f"layout {op.attrs.get('layout')}")
    _need(str(op.attrs.get("weight_layout", "OI")).startswith("OI"), op, "other weights than OI...")
    ones = (1,) * rank
    stride, dilation = _ints(op, "stride", ones), _ints(op, "dilation", ones)
    group, pads = int(_number(op, "group", 1)), _ints(op, "pads", (0,) * 2 * rank)
    begins, ends = pads[:rank], pads[rank:]
    run = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    even = begins == ends
    border = _last_first(begins, ends)

    def compute(tensors: Tensors) -> Any:
        x = tensors[0] if even else functional.pad(tensors[0], border)
        bias = tensors[2] if len(tensors) > 2 else None
        return run(x, tensors[1], bias, stride, begins if even else 0, dilation, group)

    return compute


def _last_first(begins: tuple[int, ...], ends: tuple[int, ...]) -> list[int]:
    """Padding as torch writes it: the last axis first."""
    pairs = zip(reversed(begins), reversed(ends), strict=True)
    return [amount for pair in pairs for amount in pair]


def _transposed_convolution(op: Op) -> Kernel:
    rank = _rank(op)
    _need(str(op.attrs.get("weight_layout", "IO")).startswith("IO"), op, "other weights than IO...")
    ones, zeros = (1,) * rank, (0,) * rank
    stride, dilation = _ints(op, "stride", ones), _ints(op, "dilation", ones)
    extra, group = _ints(op, "output_padding", zeros), int(_number(op, "group", 1))
    pads = _ints(op, "pads", zeros * 2)
    _need(pads[:rank] == pads[rank:], op, f"uneven padding {pads}")
    run = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[rank - 1]

    def compute(tensors: Tensors) -> Any:
        bias = tensors[2] if len(tensors) > 2 else None
        return run(tensors[0], tensors[1], bias, stride, pads[:rank], extra, group, dilation)

    return compute


def _pool(op: Op) -> Kernel:
    rank, average = _rank(op), op.kind.startswith("avg")
    axes = tuple(range(2, 2 + rank))
    _need(str(op.attrs.get("layout", "NC")).startswith("NC"), op, f"layout {op.attrs.get('layout')}")
    if "dpu_factor" in op.attrs:
        scaled = scaled_sum(op)
        return _reference(op) if scaled is None else scaled
    if op.attrs.get("global"):
        return lambda tensors: (torch.mean if average else torch.amax)(tensors[0], axes, keepdim=True)
    ones, zeros = (1,) * rank, (0,) * rank
    kernel, stride = _ints(op, "kernel"), _ints(op, "stride", ones)
    pads, dilation = _ints(op, "pads", zeros * 2), _ints(op, "dilation", ones)
    ceil = bool(op.attrs.get("ceil_mode", False))
    begins, ends = pads[:rank], pads[rank:]
    _need(
        begins == ends and all(2 * pad <= k for pad, k in zip(begins, kernel, strict=True)),
        op,
        f"pads {pads}",
    )
    if not average:
        run = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[rank - 1]
        return lambda tensors: run(tensors[0], kernel, stride, begins, dilation, ceil)
    _need(set(dilation) == {1}, op, f"dilation {dilation}")
    mean: Any = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[rank - 1]
    counted = bool(op.attrs.get("count_include_pad", False))
    return lambda tensors: mean(tensors[0], kernel, stride, begins, ceil, counted)


def _matmul(op: Op) -> Kernel:
    if op.attrs.get("weight_layout", "IO") == "OI":
        return lambda tensors: functional.linear(
            tensors[0], tensors[1], tensors[2] if len(tensors) > 2 else None
        )

    def compute(tensors: Tensors) -> Any:
        product = torch.matmul(tensors[0], tensors[1])
        return product + tensors[2] if len(tensors) > 2 and tensors[2] is not None else product

    return compute


def _clip(op: Op) -> Kernel:
    low = _number(op, "min", 0.0) if "min" in op.attrs else None
    high = _number(op, "max", 0.0) if "max" in op.attrs else None
    return lambda tensors: torch.clamp(tensors[0], low, high)


def _hard_sigmoid(op: Op) -> Kernel:
    alpha, beta = _number(op, "alpha", 0.2), _number(op, "beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-7 and beta == 0.5:
        return lambda tensors: functional.hardsigmoid(tensors[0])
    return lambda tensors: torch.clamp(tensors[0] * alpha + beta, 0.0, 1.0)


def _batch_norm(op: Op) -> Kernel:
    epsilon = _number(op, "epsilon", 1e-5)
    return lambda t: functional.batch_norm(t[0], t[3], t[4], t[1], t[2], False, 0.0, epsilon)


def _layer_norm(op: Op) -> Kernel:
    epsilon, axis = _number(op, "epsilon", 1e-5), int(_number(op, "axis", -1))

    def compute(tensors: Tensors) -> Any:
        sizes = tensors[0].shape[axis:]
        bias = tensors[2] if len(tensors) > 2 else None
        return functional.layer_norm(tensors[0], [int(size) for size in sizes], tensors[1], bias, epsilon)

    return compute


def _group_norm(op: Op) -> Kernel:
    epsilon, groups = _number(op, "epsilon", 1e-5), int(_number(op, "groups", 1))
    return lambda t: functional.group_norm(t[0], groups, t[1], t[2], epsilon)


def _instance_norm(op: Op) -> Kernel:
    epsilon = _number(op, "epsilon", 1e-5)
    return lambda t: functional.instance_norm(t[0], weight=t[1], bias=t[2], eps=epsilon)


def _binary(function: Callable[[Any, Any], Any]) -> Maker:
    return lambda op: lambda tensors: function(tensors[0], tensors[1])


def _unary(function: Callable[[Any], Any]) -> Maker:
    return lambda op: lambda tensors: function(tensors[0])


def _with_number(function: Callable[[Any, float], Any], name: str, default: float) -> Maker:
    def maker(op: Op) -> Kernel:
        value = _number(op, name, default)
        return lambda tensors: function(tensors[0], value)

    return maker


def _with_axis(function: Callable[..., Any]) -> Maker:
    def maker(op: Op) -> Kernel:
        axis = int(_number(op, "axis", -1))
        return lambda tensors: function(tensors[0], axis)

    return maker


def _gelu(op: Op) -> Kernel:
    approximate = str(op.attrs.get("approximate", "none"))
    return lambda tensors: functional.gelu(tensors[0], approximate=approximate)


def _reduction(function: Callable[..., Any]) -> Maker:
    def maker(op: Op) -> Kernel:
        axes, keep = _ints(op, "axes"), bool(op.attrs.get("keepdims", True))
        return lambda tensors: function(tensors[0], axes or tuple(range(tensors[0].ndim)), keepdim=keep)

    return maker


def _mean(op: Op) -> Kernel:
    scaled = scaled_sum(op) if "dpu_factor" in op.attrs else None
    return _reduction(torch.mean)(op) if scaled is None else scaled


def _argmax(op: Op) -> Kernel:
    axis, keep = int(_number(op, "axis", 0)), bool(op.attrs.get("keepdims", True))
    return lambda tensors: torch.argmax(tensors[0], axis, keepdim=keep)


def _prelu(tensors: Tensors) -> Any:
    return torch.where(tensors[0] < 0, tensors[0] * tensors[1], tensors[0])


_RANKS = (1, 2, 3)
_MAKERS: dict[str, Maker] = {
    **{f"{p}conv{r}d": _convolution for p in ("", "depthwise-") for r in _RANKS},
    **{f"transposed-{p}conv{r}d": _transposed_convolution for p in ("", "depthwise-") for r in _RANKS},
    **{f"{name}pool{r}d": _pool for name in ("max", "avg") for r in _RANKS},
    "inner-product": _matmul,
    "matmul": _matmul,
    "eltwise-add": _binary(torch.add),
    "eltwise-sub": _binary(torch.sub),
    "eltwise-mul": _binary(torch.mul),
    "eltwise-div": _binary(torch.div),
    "eltwise-min": _binary(torch.minimum),
    "eltwise-max": _binary(torch.maximum),
    "eltwise-pow": _binary(torch.pow),
    "relu": _unary(torch.relu),
    "relu6": _unary(functional.relu6),
    "clip": _clip,
    "leaky-relu": _with_number(functional.leaky_relu, "alpha", 0.01),
    "prelu": lambda op: _prelu,
    "sigmoid": _unary(torch.sigmoid),
    "hard-sigmoid": _hard_sigmoid,
    "hard-swish": _unary(functional.hardswish),
    "swish": _unary(functional.silu),
    "tanh": _unary(torch.tanh),
    "gelu": _gelu,
    "elu": _with_number(functional.elu, "alpha", 1.0),
    "mish": _unary(functional.mish),
    "softplus": _unary(functional.softplus),
    "exp": _unary(torch.exp),
    "log": _unary(torch.log),
    "sqrt": _unary(torch.sqrt),
    "abs": _unary(torch.abs),
    "neg": _unary(torch.neg),
    "reciprocal": _unary(torch.reciprocal),
    "erf": _unary(torch.erf),
    "softmax": _with_axis(torch.softmax),
    "log-softmax": _with_axis(torch.log_softmax),
    "masked-softmax": masked_softmax,
    "batchnorm": _batch_norm,
    "layernorm": _layer_norm,
    "groupnorm": _group_norm,
    "instancenorm": _instance_norm,
    "reduction-mean": _mean,
    "reduction-sum": _reduction(torch.sum),
    "reduction-max": _reduction(torch.amax),
    "reduction-min": _reduction(torch.amin),
    "argmax": _argmax,
    "where": lambda op: lambda tensors: torch.where(tensors[0], tensors[1], tensors[2]),
    "identity": lambda op: lambda tensors: tensors[0],
    "dropout": lambda op: lambda tensors: tensors[0],
    "fake-quantize": fake_quantize,
    **MOVEMENT,
}
