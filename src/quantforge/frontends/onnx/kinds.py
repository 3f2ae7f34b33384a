"""The table from ONNX operators (opset 13 up) to canonical kinds and attributes.

A rule returns `Mapped` or raises `NotExpressibleError`; operators that have no rule, and nodes their rule
refuses, become opaque. Parameters that ONNX passes as constant inputs become attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from quantforge.frontends.onnx import moves, windows
from quantforge.frontends.onnx.fold import Body
from quantforge.frontends.onnx.native import is_default_domain
from quantforge.frontends.onnx.view import Mapped, NodeView, NotExpressibleError
from quantforge.graph import Array, Attr


def kind_of(node: Any, body: Body) -> Mapped:
    """The canonical form of `node`; opaque with all inputs when there is none."""
    try:
        rule = _RULES.get(node.op_type) if is_default_domain(node.domain) else None
        if rule is None:
            raise NotExpressibleError("not in the table")
        return rule(NodeView(node, body))
    except (NotExpressibleError, IndexError, ValueError, TypeError) as reason:
        # A rule that trips over a malformed node refuses it too: the runtime reports it better.
        attrs = {"type": node.op_type, "domain": node.domain, "why": str(reason)}
        return Mapped("opaque", attrs, tuple(range(len(node.input))))


def _plain(kind: str, **attrs: Attr) -> Callable[[NodeView], Mapped]:
    """A unary operator without parameters."""
    return lambda view: Mapped(kind, attrs)


def _with_floats(kind: str, **defaults: float) -> Callable[[NodeView], Mapped]:
    """A unary operator with float attributes."""
    return lambda view: Mapped(
        kind, {name: float(view.attr(name, value)) for name, value in defaults.items()}
    )


def _elementwise(kind: str) -> Callable[[NodeView], Mapped]:
    def rule(view: NodeView) -> Mapped:
        if len(view.node.input) == 1:
            return Mapped("identity")
        view.require(len(view.node.input) == 2, f"{len(view.node.input)} operands")
        view.require(not view.attr("fmod", 0), "fmod")
        return Mapped(kind, {}, (0, 1))

    return rule


def _clip(view: NodeView) -> Mapped:
    low, high = view.scalar(1), view.scalar(2)
    if low == 0.0 and high is None:
        return Mapped("relu")
    if low == 0.0 and high == 6.0:
        return Mapped("relu6")
    bounds = {"min": low, "max": high}
    return Mapped("clip", {name: bound for name, bound in bounds.items() if bound is not None})


def _swish(view: NodeView) -> Mapped:
    view.require(float(view.attr("alpha", 1.0)) == 1.0, "alpha")
    return Mapped("swish")


def _softmax(kind: str) -> Callable[[NodeView], Mapped]:
    def rule(view: NodeView) -> Mapped:
        axis = int(view.attr("axis", -1))
        shape = view.shape(0)
        return Mapped(kind, {"axis": axis if shape is None else view.axis(axis, len(shape))})

    return rule


def _gemm(view: NodeView) -> Mapped:
    """x @ W * alpha + C * beta, with alpha and beta folded into the constants."""
    view.require(not view.attr("transA", 0), "transA")
    weights = view.weight(1)
    out = weights.shape[0] if view.attr("transB", 0) else weights.shape[1]
    consts: dict[int, Array] = {}
    alpha, beta = float(view.attr("alpha", 1.0)), float(view.attr("beta", 1.0))
    if alpha != 1.0:
        consts[1] = (weights * np.float64(alpha)).astype(weights.dtype)
    data: tuple[int, ...] = (0, 1)
    if view.has(2):
        data = (0, 1, 2)
        bias = view.weight(2)
        view.require(bias.size in (1, out) and bias.shape[-1:] in ((), (1,), (out,)), "a bias per row")
        if beta != 1.0 or bias.shape != (out,):
            whole = np.broadcast_to(bias.reshape(-1), (out,))
            consts[2] = (whole * np.float64(beta)).astype(bias.dtype)
    return Mapped("inner-product", {"weight_layout": "OI" if view.attr("transB", 0) else "IO"}, data, consts)


def _matmul(view: NodeView) -> Mapped:
    weights = view.const(1)
    attrs: dict[str, Attr] = {} if weights is None or weights.ndim < 2 else {"weight_layout": "IO"}
    return Mapped("matmul", attrs, (0, 1))


def _batch_norm(view: NodeView) -> Mapped:
    view.only_output()
    view.require(not view.attr("training_mode", 0), "training mode")
    for index in (1, 2, 3, 4):
        view.weight(index)
    return Mapped("batchnorm", {"epsilon": float(view.attr("epsilon", 1e-5))}, (0, 1, 2, 3, 4))


def _layer_norm(view: NodeView) -> Mapped:
    view.only_output()
    view.require(int(view.attr("stash_type", 1)) == 1, "stash_type")
    axis = int(view.attr("axis", -1))
    attrs: dict[str, Attr] = {
        "axis": view.axis(axis, view.rank(0)),
        "epsilon": float(view.attr("epsilon", 1e-5)),
    }
    return Mapped("layernorm", attrs, (0, 1, 2) if view.has(2) else (0, 1))


def _instance_norm(view: NodeView) -> Mapped:
    return Mapped("instancenorm", {"epsilon": float(view.attr("epsilon", 1e-5))}, (0, 1, 2))


def _group_norm(view: NodeView) -> Mapped:
    shape, scale = view.shape(0), view.weight(1)
    groups = int(view.attr("num_groups"))
    # Opset 18 scales per group, opset 21 per channel; only the latter is the kind's definition.
    view.require(shape is not None and scale.shape == (shape[1],), "a scale per group")
    attrs: dict[str, Attr] = {"groups": groups, "epsilon": float(view.attr("epsilon", 1e-5))}
    return Mapped("groupnorm", attrs, (0, 1, 2))


def _lp_norm(view: NodeView) -> Mapped:
    axis = view.axis(int(view.attr("axis", -1)), view.rank(0))
    return Mapped("l2-normalize", {"axis": axis, "p": int(view.attr("p", 2))})


def _reduction(kind: str) -> Callable[[NodeView], Mapped]:
    def rule(view: NodeView) -> Mapped:
        axes, rank = view.ints("axes", 1), view.rank(0)
        if not axes:
            view.require(not view.attr("noop_with_empty_axes", 0), "noop_with_empty_axes")
            axes = tuple(range(rank))
        attrs: dict[str, Attr] = {
            "axes": tuple(view.axis(a, rank) for a in axes),
            "keepdims": bool(view.attr("keepdims", 1)),
        }
        return Mapped(kind, attrs)

    return rule


def _arg_max(view: NodeView) -> Mapped:
    view.require(not view.attr("select_last_index", 0), "select_last_index")
    axis = view.axis(int(view.attr("axis", 0)), view.rank(0))
    return Mapped("argmax", {"axis": axis, "keepdims": bool(view.attr("keepdims", 1))})


def _dropout(view: NodeView) -> Mapped:
    view.only_output()
    training = view.static(2)
    view.require(training is None or not bool(training.reshape(-1)[0]), "training mode")
    return Mapped("dropout")


def _gelu(view: NodeView) -> Mapped:
    return Mapped("gelu", {"approximate": view.attr("approximate", "none")})


def _prelu(view: NodeView) -> Mapped:
    view.weight(1)
    return Mapped("prelu", {}, (0, 1))


_RULES: dict[str, Callable[[NodeView], Mapped]] = {
    "Conv": windows.convolution,
    "ConvTranspose": windows.transposed_convolution,
    "MaxPool": windows.pool,
    "AveragePool": windows.pool,
    "GlobalMaxPool": windows.global_pool,
    "GlobalAveragePool": windows.global_pool,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _elementwise("eltwise-add"),
    "Sum": _elementwise("eltwise-add"),
    "Sub": _elementwise("eltwise-sub"),
    "Mul": _elementwise("eltwise-mul"),
    "Div": _elementwise("eltwise-div"),
    "Min": _elementwise("eltwise-min"),
    "Max": _elementwise("eltwise-max"),
    "Pow": _elementwise("eltwise-pow"),
    "Relu": _plain("relu"),
    "Clip": _clip,
    "LeakyRelu": _with_floats("leaky-relu", alpha=0.01),
    "PRelu": _prelu,
    "Sigmoid": _plain("sigmoid"),
    "HardSigmoid": _with_floats("hard-sigmoid", alpha=0.2, beta=0.5),
    "HardSwish": _plain("hard-swish"),
    "Swish": _swish,
    "Tanh": _plain("tanh"),
    "Gelu": _gelu,
    "Elu": _with_floats("elu", alpha=1.0),
    "Selu": lambda view: Mapped("selu") if not view.attributes else _refuse("selu with its own constants"),
    "Mish": _plain("mish"),
    "Softplus": _plain("softplus"),
    "Exp": _plain("exp"),
    "Log": _plain("log"),
    "Sqrt": _plain("sqrt"),
    "Abs": _plain("abs"),
    "Neg": _plain("neg"),
    "Reciprocal": _plain("reciprocal"),
    "Erf": _plain("erf"),
    "Softmax": _softmax("softmax"),
    "LogSoftmax": _softmax("log-softmax"),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LpNormalization": _lp_norm,
    "ReduceMean": _reduction("reduction-mean"),
    "ReduceSum": _reduction("reduction-sum"),
    "ReduceMax": _reduction("reduction-max"),
    "ReduceMin": _reduction("reduction-min"),
    "ArgMax": _arg_max,
    "Concat": moves.concat,
    "Split": moves.split,
    "Pad": moves.pad,
    "Resize": moves.resize,
    "Reshape": moves.reshape,
    "Flatten": moves.flatten,
    "Squeeze": moves.squeeze,
    "Unsqueeze": moves.unsqueeze,
    "Transpose": moves.transpose,
    "Slice": moves.strided_slice,
    "Gather": moves.gather,
    "Expand": moves.expand,
    "Tile": moves.tile,
    "DepthToSpace": moves.depth_to_space,
    "SpaceToDepth": moves.space_to_depth,
    "Cast": moves.cast,
    "Identity": _plain("identity"),
    "Dropout": _dropout,
    "Where": lambda view: Mapped("where", {}, (0, 1, 2)),
}


def _refuse(reason: str) -> Mapped:
    raise NotExpressibleError(reason)
