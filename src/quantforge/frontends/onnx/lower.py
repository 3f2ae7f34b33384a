"""Canonical kinds to ONNX nodes: for ops that a pass made or changed, and for graphs of other doors.

One rule per kind, the inverse of the table in `kinds`. Rules exist for channels-first layouts; a rule may need
a newer opset than the model's (`least_opset`), in which case the whole model is upgraded on emission.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import helper

from quantforge.diagnostics import UnsupportedError
from quantforge.frontends.onnx.block_functions import DOMAIN, LEAST_OPSET, store_attributes, store_function
from quantforge.frontends.onnx.lower_attention import masked_softmax
from quantforge.frontends.onnx.lower_softmax import dpu_softmax
from quantforge.frontends.onnx.native import element_type
from quantforge.graph import Array, Op, Value

_LEAST_OPSET = {"hard-swish": 14, "layernorm": 17, "mish": 18, "gelu": 20, "fake-quantize": LEAST_OPSET}


@dataclass
class Lowering:
    """One op on its way to nodes: tensor names in and out, and where to put constants."""

    op: Op
    inputs: list[str]
    outputs: list[str]
    values: list[Value | None]
    opset: int
    constant: Callable[[str, Array], str]

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute of the op; without a default it must be there."""
        if default is None and name not in self.op.attrs:
            raise self.refuse(f"no attribute {name!r}")
        return self.op.attrs.get(name, default)

    def ints(self, name: str, values: Any) -> str:
        """An int64 constant called after the op's first output."""
        return self.constant(f"{self.op.outputs[0]}_{name}", np.asarray(values, np.int64))

    def float(self, name: str, value: float) -> str:
        """A scalar of the dtype of the first input."""
        return self.constant(f"{self.op.outputs[0]}_{name}", np.asarray(value, self.dtype))

    @property
    def dtype(self) -> str:
        """Dtype of the first input."""
        first = self.values[0] if self.values else None
        return first.dtype if first is not None and first.is_float else "float32"

    def node(self, op_type: str, inputs: list[str], outputs: list[str] | None = None, **attrs: Any) -> Any:
        """A node called like the op."""
        attributes = {key: list(value) if isinstance(value, tuple) else value for key, value in attrs.items()}
        return helper.make_node(
            op_type, inputs, self.outputs if outputs is None else outputs, self.op.name, **attributes
        )

    def refuse(self, found: str) -> UnsupportedError:
        """Q0605: this op has no ONNX form."""
        return UnsupportedError(
            "Q0605",
            f"op {self.op.name!r} ({self.op.kind})",
            found,
            "an op that ONNX can express",
            "report this; until then, leave out the pass that made the op",
        )


Rule = Callable[[Lowering], list[Any]]


def least_opset(op: Op) -> int:
    """The oldest opset in which `op` can be written."""
    if op.kind.startswith("avgpool") and _is_dilated(op):
        return 19
    return _LEAST_OPSET.get(op.kind, 13)


def _is_dilated(op: Op) -> bool:
    dilation = op.attrs.get("dilation", ())
    return isinstance(dilation, tuple) and any(step != 1 for step in dilation)


def lower(op: Lowering) -> list[Any]:
    """The nodes for one op.

    Raises:
        UnsupportedError: Q0605 when ONNX cannot express it.
    """
    layout = str(op.op.attrs.get("layout", "NCHW"))
    if not layout.startswith("NC"):
        raise op.refuse(f"layout {layout}")
    rule = _RULES.get(op.op.kind)
    if rule is None:
        raise op.refuse(
            "no rule for this kind" if op.op.kind != "opaque" else "an opaque op without its node"
        )
    return rule(op)


def _plain(op_type: str, *names: str) -> Rule:
    """All inputs, and the named attributes as they are."""

    def rule(op: Lowering) -> list[Any]:
        return [op.node(op_type, op.inputs, **{name: op.attr(name) for name in names})]

    return rule


def _convolution(op: Lowering) -> list[Any]:
    transposed = op.op.kind.startswith("transposed")
    layout = op.attr("weight_layout")
    if not layout.startswith("IO" if transposed else "OI"):
        raise op.refuse(f"weight layout {layout}")
    attrs = {
        "kernel_shape": op.attr("kernel"),
        "strides": op.attr("stride"),
        "dilations": op.attr("dilation", (1,) * len(op.attr("kernel"))),
        "pads": op.attr("pads", (0,) * 2 * len(op.attr("kernel"))),
        "group": op.attr("group", 1),
    }
    if transposed:
        attrs["output_padding"] = op.attr("output_padding", (0,) * len(attrs["kernel_shape"]))
    return [op.node("ConvTranspose" if transposed else "Conv", op.inputs, **attrs)]


def _pool(op: Lowering) -> list[Any]:
    average = op.op.kind.startswith("avg")
    if "dpu_factor" in op.op.attrs:
        return _scaled_pool(op)
    name = "AveragePool" if average else "MaxPool"
    if op.attr("global", False):
        return [op.node(f"Global{name}", op.inputs)]
    kernel = op.attr("kernel")
    attrs = {
        "kernel_shape": kernel,
        "strides": op.attr("stride", (1,) * len(kernel)),
        "pads": op.attr("pads", (0,) * 2 * len(kernel)),
        "ceil_mode": int(op.attr("ceil_mode", False)),
    }
    if average:
        attrs["count_include_pad"] = int(op.attr("count_include_pad", False))
    if _is_dilated(op.op):
        attrs["dilations"] = op.attr("dilation")
    return [op.node(name, op.inputs, **attrs)]


def _scaled_pool(op: Lowering) -> list[Any]:
    """Sums times N / 2**M: a depthwise convolution, whose terms and sums are exact, where an average is not."""
    kernel, value = op.attr("kernel", ()), op.values[0]
    if op.attr("global", False):
        return _scaled_sum(op, tuple(range(2, 2 + int(op.op.kind[-2]))), keep=1)
    channels = None if value is None or value.shape is None else value.shape[1]
    if not isinstance(channels, int) or op.attr("ceil_mode", False):
        raise op.refuse("an average with a DPU's factor over an open number of channels, or with ceil_mode")
    numerator, shift = op.attr("dpu_factor")
    weights = np.full((channels, 1, *kernel), numerator / 2**shift, op.dtype)
    attrs = {
        "kernel_shape": kernel,
        "strides": op.attr("stride", (1,) * len(kernel)),
        "dilations": op.attr("dilation", (1,) * len(kernel)),
        "pads": op.attr("pads", (0,) * 2 * len(kernel)),
        "group": channels,
    }
    return [op.node("Conv", [op.inputs[0], op.constant(f"{op.op.outputs[0]}_factor", weights)], **attrs)]


def _scaled_sum(op: Lowering, axes: tuple[int, ...], keep: int) -> list[Any]:
    numerator, shift = op.attr("dpu_factor")
    total = f"{op.op.outputs[0]}_sum"
    summed = op.node("ReduceSum", [op.inputs[0], op.ints("axes", axes)], [total], keepdims=keep)
    summed.name = f"{op.op.name}_sum"
    return [summed, op.node("Mul", [total, op.float("factor", numerator / 2**shift)])]


def _clip(low: float | None = None, high: float | None = None) -> Rule:
    def rule(op: Lowering) -> list[Any]:
        bounds = {"min": op.op.attrs.get("min", low), "max": op.op.attrs.get("max", high)}
        inputs = [op.inputs[0]]
        for index, (name, bound) in enumerate(bounds.items(), start=1):
            if bound is not None:
                inputs += [""] * (index - len(inputs))
                inputs.append(op.float(name, float(str(bound))))
        return [op.node("Clip", inputs)]

    return rule


def _swish(op: Lowering) -> list[Any]:
    gate = f"{op.op.outputs[0]}_sigmoid"
    sigmoid = op.node("Sigmoid", op.inputs, [gate])
    sigmoid.name = f"{op.op.name}_sigmoid"
    return [sigmoid, op.node("Mul", [op.inputs[0], gate])]


def _inner_product(op: Lowering) -> list[Any]:
    first, transposed = op.values[0], op.attr("weight_layout") == "OI"
    if first is None or first.shape is None or len(first.shape) == 2:
        return [op.node("Gemm", op.inputs, transB=int(transposed))]
    weights = op.values[1]
    nodes, right = [], op.inputs[1]
    if transposed:
        if weights is None or weights.shape is None or len(weights.shape) != 2:
            raise op.refuse("weights of unknown rank")
        right = f"{op.op.outputs[0]}_weights_io"
        nodes.append(op.node("Transpose", [op.inputs[1]], [right], perm=[1, 0]))
        nodes[-1].name = f"{op.op.name}_transpose"
    if len(op.inputs) < 3:
        return [*nodes, op.node("MatMul", [op.inputs[0], right])]
    product = f"{op.op.outputs[0]}_product"
    nodes.append(op.node("MatMul", [op.inputs[0], right], [product]))
    nodes[-1].name = f"{op.op.name}_matmul"
    return [*nodes, op.node("Add", [product, op.inputs[2]])]


def _batch_norm(op: Lowering) -> list[Any]:
    return [op.node("BatchNormalization", op.inputs, epsilon=op.attr("epsilon", 1e-5))]


def _group_norm(op: Lowering) -> list[Any]:
    """Instance normalization of [N, groups, the rest], then scale and shift by channel.

    GroupNormalization is a newer operator (opset 21), and ONNX Runtime 1.31 refuses it behind a quantized tensor.
    """
    value, groups = op.values[0], op.attr("groups")
    if value is None or value.shape is None:
        raise op.refuse("an input of unknown rank")
    stem = op.op.outputs[0]
    names = [f"{stem}_{part}" for part in ("shape", "groups", "normal", "back", "gamma", "beta", "scaled")]
    shape, grouped, normal, back, gamma, beta, scaled = names
    unit = [
        op.constant(f"{stem}_{part}", np.full(groups, fill, op.dtype))
        for part, fill in (("one", 1), ("zero", 0))
    ]
    behind = op.ints("axes", range(1, len(value.shape) - 1))
    nodes = [
        op.node("Shape", op.inputs[:1], [shape]),
        op.node("Reshape", [op.inputs[0], op.ints("grouped", (0, groups, -1))], [grouped]),
        op.node("InstanceNormalization", [grouped, *unit], [normal], epsilon=op.attr("epsilon", 1e-5)),
        op.node("Reshape", [normal, shape], [back]),
        op.node("Unsqueeze", [op.inputs[1], behind], [gamma]),
        op.node("Unsqueeze", [op.inputs[2], behind], [beta]),
        op.node("Mul", [back, gamma], [scaled]),
        op.node("Add", [scaled, beta]),
    ]
    for node, name in zip(nodes, names, strict=False):
        node.name = f"{op.op.name}_{name.rpartition('_')[2]}"
    return nodes


def _gelu(op: Lowering) -> list[Any]:
    return [op.node("Gelu", op.inputs, approximate=op.attr("approximate", "none"))]


def _reduction(op_type: str) -> Rule:
    def rule(op: Lowering) -> list[Any]:
        axes, keep = op.attr("axes"), int(op.attr("keepdims", True))
        if "dpu_factor" in op.op.attrs:
            return _scaled_sum(op, axes, keep)
        if op_type == "ReduceSum" or op.opset >= 18:
            return [op.node(op_type, [op.inputs[0], op.ints("axes", axes)], keepdims=keep)]
        return [op.node(op_type, op.inputs, axes=axes, keepdims=keep)]

    return rule


def _with_ints(op_type: str, *names: str) -> Rule:
    """The named attributes as constant inputs after the data."""

    def rule(op: Lowering) -> list[Any]:
        return [op.node(op_type, [op.inputs[0], *(op.ints(name, op.attr(name)) for name in names)])]

    return rule


def _slice(op: Lowering) -> list[Any]:
    begin = op.attr("begin")
    axes, strides = op.attr("axes", tuple(range(len(begin)))), op.attr("strides", (1,) * len(begin))
    rows = (("starts", begin), ("ends", op.attr("end")), ("axes", axes), ("steps", strides))
    return [op.node("Slice", [op.inputs[0], *(op.ints(name, value) for name, value in rows)])]


def _split(op: Lowering) -> list[Any]:
    return [op.node("Split", [op.inputs[0], op.ints("split", op.attr("sizes"))], axis=op.attr("axis"))]


def _pad(op: Lowering) -> list[Any]:
    mode, value = op.attr("mode", "constant"), float(op.attr("value", 0.0))
    inputs = [op.inputs[0], op.ints("pads", op.attr("pads"))]
    if mode == "constant" and value:
        inputs.append(op.float("value", value))
    return [op.node("Pad", inputs, mode=mode)]


def _resize(op: Lowering) -> list[Any]:
    attrs = {"mode": op.attr("mode"), "coordinate_transformation_mode": op.attr("coordinate")}
    if attrs["mode"] == "nearest":
        attrs["nearest_mode"] = op.attr("nearest_mode", "round_prefer_floor")
    if "scales" in op.op.attrs:
        scales = op.constant(f"{op.op.outputs[0]}_scales", np.asarray(op.attr("scales"), np.float32))
        return [op.node("Resize", [op.inputs[0], "", scales], **attrs)]
    return [op.node("Resize", [op.inputs[0], "", "", op.ints("sizes", op.attr("sizes"))], **attrs)]


def _cast(op: Lowering) -> list[Any]:
    return [op.node("Cast", op.inputs, to=element_type(op.attr("to")))]


def _argmax(op: Lowering) -> list[Any]:
    return [op.node("ArgMax", op.inputs, axis=op.attr("axis"), keepdims=int(op.attr("keepdims", True)))]


def _depth_to_space(op: Lowering) -> list[Any]:
    return [op.node("DepthToSpace", op.inputs, blocksize=op.attr("scale"), mode=op.attr("mode", "DCR"))]


def _identity(op: Lowering) -> list[Any]:
    return [op.node("Identity", op.inputs[:1])]


def _fake_quantize(op: Lowering) -> list[Any]:
    """A call of a function that `build` puts into the model."""
    shape = None if op.values[0] is None else op.values[0].shape
    attrs: dict[str, Any] = {**store_attributes(op.op, shape)}
    return [op.node(store_function(op.op, shape).name, op.inputs, domain=DOMAIN, **attrs)]


_RANKS = (1, 2, 3)
_RULES: dict[str, Rule] = {
    **{f"{p}conv{r}d": _convolution for p in ("", "depthwise-") for r in _RANKS},
    **{f"transposed-{p}conv{r}d": _convolution for p in ("", "depthwise-") for r in _RANKS},
    **{f"{name}pool{r}d": _pool for name in ("max", "avg") for r in _RANKS},
    **{f"eltwise-{n}": _plain(n.title()) for n in ("add", "sub", "mul", "div", "min", "max", "pow")},
    "relu": _plain("Relu"),
    "relu6": _clip(0.0, 6.0),
    "clip": _clip(),
    "leaky-relu": _plain("LeakyRelu", "alpha"),
    "prelu": _plain("PRelu"),
    "sigmoid": _plain("Sigmoid"),
    "hard-sigmoid": _plain("HardSigmoid", "alpha", "beta"),
    "hard-swish": _plain("HardSwish"),
    "swish": _swish,
    "tanh": _plain("Tanh"),
    "gelu": _gelu,
    "elu": _plain("Elu", "alpha"),
    **{
        name: _plain(name.title())
        for name in ("selu", "mish", "softplus", "exp", "log", "sqrt", "abs", "neg")
    },
    "reciprocal": _plain("Reciprocal"),
    "erf": _plain("Erf"),
    "softmax": _plain("Softmax", "axis"),
    "log-softmax": _plain("LogSoftmax", "axis"),
    "masked-softmax": masked_softmax,
    "dpu-softmax": dpu_softmax,
    "matmul": _plain("MatMul"),
    "inner-product": _inner_product,
    "batchnorm": _batch_norm,
    "layernorm": _plain("LayerNormalization", "axis", "epsilon"),
    "instancenorm": _plain("InstanceNormalization", "epsilon"),
    "groupnorm": _group_norm,
    "l2-normalize": _plain("LpNormalization", "axis", "p"),
    "reduction-mean": _reduction("ReduceMean"),
    "reduction-sum": _reduction("ReduceSum"),
    "reduction-max": _reduction("ReduceMax"),
    "reduction-min": _reduction("ReduceMin"),
    "concat": _plain("Concat", "axis"),
    "split": _split,
    "pad": _pad,
    "resize": _resize,
    "reshape": _with_ints("Reshape", "shape"),
    "flatten": _plain("Flatten", "axis"),
    "squeeze": _with_ints("Squeeze", "axes"),
    "unsqueeze": _with_ints("Unsqueeze", "axes"),
    "transpose": lambda op: [op.node("Transpose", op.inputs, perm=op.attr("order"))],
    "strided-slice": _slice,
    "gather": _plain("Gather", "axis"),
    "expand": _with_ints("Expand", "shape"),
    "tile": _with_ints("Tile", "repeats"),
    "pixel-shuffle": _depth_to_space,
    "space-to-depth": lambda op: [op.node("SpaceToDepth", op.inputs, blocksize=op.attr("scale"))],
    "identity": _identity,
    "dropout": _identity,
    "cast": _cast,
    "argmax": _argmax,
    "where": _plain("Where"),
    "fake-quantize": _fake_quantize,
}
