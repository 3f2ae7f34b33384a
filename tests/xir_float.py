"""A slow evaluator of flat xmodels: each operator is run by the reference kernels in XIR's layouts.

Deliberately separate from the runtime: it turns an operator of XIR back into an op of the graph with layout
attributes and asks `quantforge.ops`, or writes the arithmetic out in NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from quantforge.graph import Array, Op
from quantforge.ops.registry import spec
from quantforge.xmodel.model import XModel, XOp

_KERNELS = {
    "relu": "relu", "relu6": "relu6", "sigmoid": "sigmoid", "tanh": "tanh", "swish": "swish", "mish": "mish",
    "exp": "exp", "neg": "neg", "hard-swish": "hard-swish", "gelu": "gelu", "selu": "selu",
    "add": "eltwise-add", "sub": "eltwise-sub", "mul": "eltwise-mul", "div": "eltwise-div",
    "min": "eltwise-min", "max": "eltwise-max",
}  # fmt: skip
_ROUND = {
    "DPU_ROUND": lambda x: np.floor(x + 0.5),
    "PY3_ROUND": np.rint,
    "STD_ROUND": lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x),
}
_LAYOUT = {4: "NHWC", 5: "NHWDC"}


def run(model: XModel, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The tensor of every operator; feeds are in the layout of the data operators."""
    made: dict[str, Array] = {}
    for op in model.ops.values():
        args = {key: [made[name] for name in names] for key, names in op.args.items()}
        made[op.name] = np.asarray(feeds[op.name] if op.kind == "data" else _evaluate(op, args))
        assert made[op.name].shape == op.tensor.shape, (
            op.name,
            op.kind,
            made[op.name].shape,
            op.tensor.shape,
        )
        assert made[op.name].dtype == op.tensor.dtype.numpy, (op.name, made[op.name].dtype, op.tensor.dtype)
    return made


def values(
    model: XModel, made: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """The graph's values, in the graph's order of axes."""
    orders = model.attrs["quantforge_orders"].value
    found = {}
    for name, op in model.attrs["quantforge_values"].value.items():
        order = orders.get(name, ())
        stored = made[op].reshape([shapes[name][axis] for axis in order])
        found[name] = stored.transpose([order.index(axis) for axis in range(len(order))])
    return found


def in_xir_order(model: XModel, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Inputs of the graph as the data operators take them."""
    orders = model.attrs["quantforge_orders"].value
    return {
        name: np.ascontiguousarray(data.transpose(orders.get(name, ()))).reshape(model.ops[name].tensor.shape)
        for name, data in feeds.items()
    }


def _evaluate(op: XOp, args: dict[str, list[Array]]) -> Array:
    if op.kind.startswith("onnx:"):
        return _onnx(op, args["input"])
    rule = _RULES.get(op.kind)
    if rule is not None:
        return rule(op, args)
    return _kernel(op, _KERNELS[op.kind], args["input"], {})


def _kernel(op: XOp, kind: str, arrays: list[Array], attrs: dict[str, Any]) -> Array:
    return spec(kind).compute(Op(kind, op.name, (), ("y",), attrs), arrays)[0]


def _const(op: XOp, args: dict[str, list[Array]]) -> Array:
    return np.frombuffer(op.get("data"), op.tensor.dtype.numpy).reshape(op.get("shape"))


def _fix(op: XOp, args: dict[str, list[Array]]) -> Array:
    bits, signed = op.get("bit_width"), op.get("if_signed")
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    steps = _ROUND[op.get("round_mode")](np.ldexp(args["input"][0].astype(np.float64), op.get("fix_point")))
    return np.ldexp(np.clip(steps, low, high), -op.get("fix_point")).astype(np.float32)


def _window(op: XOp) -> dict[str, Any]:
    """Graph attributes: space in the order h, w[, d] of XIR's activations."""
    rank = op.tensor.shape.__len__() - 2
    axes = [1, 0, 2][:rank]
    pad = op.get("pad", (0,) * 2 * rank)
    return {
        "kernel": tuple(op.get("kernel")[a] for a in axes),
        "stride": tuple(op.get("stride")[a] for a in axes),
        "dilation": tuple(op.get("dilation", (1,) * rank)[a] for a in axes),
        "pads": (*(pad[2 * a] for a in axes), *(pad[2 * a + 1] for a in axes)),
    }


def _conv(op: XOp, args: dict[str, list[Array]]) -> Array:
    """On channels-first copies with H, W[, D] as the space, in whatever order: kernels do not care."""
    rank = len(op.tensor.shape) - 2
    x = np.moveaxis(args["input"][0], -1, 1)
    weights = args["weights"][0]
    attrs = _window(op) | {"group": op.get("group", 1)}
    if "depthwise" in op.kind:  # [M, space, C] -> [C * M, 1, space]
        whole = np.moveaxis(weights, -1, 0)
        channels = whole.shape[0]
        first = whole.reshape(channels, -1, *whole.shape[2:])
        weights = first if "transposed" in op.kind else first.reshape(-1, 1, *whole.shape[2:])
        attrs["group"] = channels
    else:
        weights = np.moveaxis(weights, -1, 1)
        weights = weights.swapaxes(0, 1) if "transposed" in op.kind else weights
    if "transposed" in op.kind:
        weights = np.flip(weights, tuple(range(2, 2 + rank)))
    y = _kernel(op, op.kind, [x, weights, *args.get("bias", [])], attrs)
    return np.moveaxis(y, 1, -1)


def _pool(op: XOp, args: dict[str, list[Array]]) -> Array:
    attrs = _window(op) | {
        "global": op.get("global"),
        "layout": "NHWC",
        "ceil_mode": op.get("pad_mode") == "CEIL",
        "count_include_pad": op.get("count_include_pad", True),
    }
    if op.get("dpu_factor"):
        attrs["dpu_factor"] = op.get("dpu_factor")
    elif op.kind == "avgpool2d":
        assert op.get("avg_exact") is True
    return _kernel(op, op.kind, args["input"], attrs)


def _matmul(op: XOp, args: dict[str, list[Array]]) -> Array:
    left, right = args["input"]
    left = left.swapaxes(-1, -2) if op.get("transpose_a") else left
    right = right.swapaxes(-1, -2) if op.get("transpose_b") else right
    y = left.astype(np.float64) @ right
    return (y + args["bias"][0] if "bias" in args else y).astype(np.float32)


def _scale(op: XOp, args: dict[str, list[Array]]) -> Array:
    x, axis = args["input"][0], op.get("axis") % args["input"][0].ndim
    shape = [-1 if at == axis else 1 for at in range(x.ndim)]
    return (x.astype(np.float64) * args["scale"][0].reshape(shape) + args["bias"][0].reshape(shape)).astype(
        np.float32
    )


def _norm(op: XOp, args: dict[str, list[Array]]) -> Array:
    attrs = {"epsilon": op.get("eps"), "layout": "NHWC", "groups": op.get("num_groups", 1)}
    return _kernel(op, op.kind, [*args["input"], *args["weight"], *args["bias"]], attrs)


def _reduction(op: XOp, args: dict[str, list[Array]]) -> Array:
    attrs = {"axes": op.get("axis"), "keepdims": op.get("keep_dims")}
    if op.get("dpu_factor"):
        attrs["dpu_factor"] = op.get("dpu_factor")
    y = _kernel(op, op.kind.replace("_", "-"), args["input"], attrs)
    return y.reshape(op.tensor.shape)


def _slice(op: XOp, args: dict[str, list[Array]]) -> Array:
    cuts = zip(op.get("begin"), op.get("end"), op.get("strides"), strict=True)
    return args["input"][0][tuple(slice(*cut) for cut in cuts)]


def _pad(op: XOp, args: dict[str, list[Array]]) -> Array:
    pads = op.get("paddings")
    values = op.get("constant_values", ())
    assert len(set(values)) <= 1
    attrs = {
        "pads": (*pads[::2], *pads[1::2]),
        "mode": op.get("mode").lower(),
        "value": values[0] if values else 0.0,
    }
    return _kernel(op, "pad", args["input"], attrs)


def _resize(op: XOp, args: dict[str, list[Array]]) -> Array:
    """Axis by axis, as the documents of XIR give the coordinates."""
    x, half = args["input"][0].astype(np.float64), op.get("half_pixel_centers")
    scales = op.get("scale")
    for axis, scale in zip((2, 1, 3), scales, strict=False):
        old, new = x.shape[axis], op.tensor.shape[axis]
        corners = op.get("align_corners") and new > 1
        step = (old - 1) / (new - 1) if corners else old / new
        assert corners or np.isclose(new / old, scale)
        at = np.arange(new)
        if op.get("mode") == "NEAREST":
            source = (at + (0.5 if half else 0.0)) * step
            index = np.floor(source + 0.5) if corners else np.floor(source)
            x = np.take(x, np.minimum(index, old - 1).astype(int), axis)
            continue
        source = (at + 0.5) * step - 0.5 if half else at * step
        low = np.maximum(np.floor(source), 0).astype(int)
        high = np.minimum(np.ceil(source), old - 1).astype(int).clip(0)
        rest = np.maximum(source - low, 0.0).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
        x = np.take(x, low, axis) * (1 - rest) + np.take(x, high, axis) * rest
    return x.astype(np.float32)


def _tiles(op: XOp, args: dict[str, list[Array]]) -> Array:
    """gstiling: the s x s pixels of a block, row by row, one after the other in the channels."""
    x, by = args["input"][0], op.get("stride")
    n, h, w, c = x.shape
    if op.get("reverse"):
        split = x.reshape(n, h, w, by, by, c // by**2).transpose(0, 1, 3, 2, 4, 5)
        return split.reshape(n, h * by, w * by, c // by**2)
    split = x.reshape(n, h // by, by, w // by, by, c).transpose(0, 1, 3, 2, 4, 5)
    return split.reshape(n, h // by, w // by, by * by * c)


def _pixel_shuffle(op: XOp, args: dict[str, list[Array]]) -> Array:
    assert op.get("upscale") is True
    return _kernel(
        op, "pixel-shuffle", args["input"], {"scale": op.get("scale"), "mode": "CRD", "layout": "NHWC"}
    )


def _l2(op: XOp, args: dict[str, list[Array]]) -> Array:
    return _kernel(op, "l2-normalize", args["input"], {"axis": op.get("axis")[0], "p": 2})


def _onnx(op: XOp, arrays: list[Array]) -> Array:
    """The node alone in ONNX Runtime."""
    node = onnx.NodeProto.FromString(op.get("onnx_node"))
    feeds, infos = {}, []
    names = iter(f"x{index}" for index in range(len(arrays)))
    types = iter(zip(arrays, op.get("onnx_inputs"), strict=True))
    for position, given in enumerate(node.input):
        if not given:
            continue
        name, (array, text) = next(names), next(types)
        dtype, shape = _typed(text)
        node.input[position] = name
        feeds[name] = array.reshape(shape).astype(dtype)
        infos.append(
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
        )
    dtype, shape = _typed(op.get("onnx_output"))
    del node.output[:]
    node.output.append("y")
    result = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
    graph = helper.make_graph([node], "node", infos, [result])
    opsets = [helper.make_opsetid("", op.get("onnx_opset"))]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    y = ort.InferenceSession(model.SerializeToString()).run(None, feeds)[0]
    return np.asarray(y).reshape(op.tensor.shape).astype(op.tensor.dtype.numpy)


def _typed(text: str) -> tuple[str, list[int]]:
    dtype, sizes = text.rstrip("]").split("[")
    return dtype, [int(size) for size in sizes.split(",") if size]


_RULES = {
    "const": _const,
    "fix": _fix,
    **{
        f"{prefix}conv{rank}d": _conv
        for prefix in ("", "depthwise-", "transposed-", "transposed-depthwise-")
        for rank in (2, 3)
    },
    "maxpool2d": _pool,
    "avgpool2d": _pool,
    "matmul": _matmul,
    "scale": _scale,
    "instancenorm": _norm,
    "groupnorm": _norm,
    "softmax": lambda op, args: _kernel(op, "softmax", args["input"], {"axis": op.get("axis")}),
    "leaky-relu": lambda op, args: _kernel(op, "leaky-relu", args["input"], {"alpha": op.get("alpha")}),
    "elu": lambda op, args: _kernel(op, "elu", args["input"], {"alpha": op.get("alpha")}),
    "prelu": lambda op, args: _kernel(op, "prelu", [*args["input"], *args["weight"]], {}),
    "hard-sigmoid": lambda op, args: _kernel(op, "hard-sigmoid", args["input"], {"alpha": 1 / 6, "beta": 0.5}),
    "reshape": lambda op, args: args["input"][0].reshape(op.get("shape")),
    "transpose": lambda op, args: args["input"][0].transpose(op.get("order")),
    "identity": lambda op, args: args["input"][0],
    "concat": lambda op, args: np.concatenate(args["input"], op.get("axis")),
    "strided_slice": _slice,
    "pad": _pad,
    "resize": _resize,
    "gstiling": _tiles,
    "pixel-shuffle": _pixel_shuffle,
    "reduction_mean": _reduction,
    "reduction_sum": _reduction,
    "reduction_max": _reduction,
    "argmax": lambda op, args: _kernel(op, "argmax", args["input"], {"axis": op.get("axis")}),
    "cast": lambda op, args: args["input"][0].astype(op.tensor.dtype.numpy),
    "l2_normalize": _l2,
}  # fmt: skip
