"""Operators on integers of 8 bits, one rule per kind: whether it applies, and how it is written.

QLinearConv, QLinearMatMul and what moves data are operators of the standard; the others (QGemm, QLinearAdd,
QLinearMul, QLinearSigmoid, QLinearLeakyRelu, QLinearAveragePool, QLinearGlobalAveragePool, QLinearConcat,
QLinearSoftmax) are ONNX Runtime's, of domain com.microsoft. All round ties to even, as QuantizeLinear does.

An activation that is fused into an operator becomes a Clip of its integers, which is exact because rounding is
monotone; the ends of the type make the Clip of a ReLU superfluous where its zero point is the lowest integer. Weights
are written as int8 whatever their spec says: ONNX Runtime has no kernel for int8 times uint8. Biases are int32 at the
product of both scales.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import helper

from quantforge.frontends.onnx import lower
from quantforge.frontends.onnx.integer_writer import MICROSOFT, IntegerWriter
from quantforge.frontends.onnx.native import NativeNode
from quantforge.frontends.onnx.qdq import spec_of
from quantforge.graph import Array, Graph, Op, QuantSpec
from quantforge.graph.quantize import fake_quantize_value, quantize_value
from quantforge.numerics.formats import IntFormat
from quantforge.ops.activation import limits
from quantforge.ops.channels import output_channel_axis

_BYTE = 8
_OPSET = 13
_IMAGE = (2, 3)  # axes of height and width
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Chain:
    """An operator, the activation fused into it, and the value that holds the result."""

    op: Op
    activation: Op | None
    result: str


@dataclass(frozen=True)
class Rule:
    """`applies` looks at the source only; `data` are the positions of the inputs that must be stored in 8 bits."""

    write: Callable[[IntegerWriter, Chain], None]
    applies: Callable[[Graph, Chain], bool] = lambda graph, chain: True
    data: tuple[int, ...] | None = None
    moves: bool = False  # the result is stored exactly as what is read


def rule_of(graph: Graph, chain: Chain) -> Rule | None:
    """The rule that writes `chain` on integers; None when it computes on real numbers."""
    rule = _RULES.get(chain.op.kind)
    if rule is None or chain.op.outputs[0] not in (chain.result, _inner(chain)) or len(chain.op.outputs) != 1:
        return None
    if chain.activation is not None and rule.moves:
        return None
    specs = [byte_spec(graph, name) for name in (*data_of(chain.op, rule), chain.result)]
    result = specs[-1]
    if any(spec is None or result is None or _type(spec) != _type(result) for spec in specs):
        return None
    if rule.moves and any(spec != result for spec in specs):
        return None
    return rule if rule.applies(graph, chain) else None


def data_of(op: Op, rule: Rule) -> list[str]:
    """The inputs that are integers."""
    return [
        name for index, name in enumerate(op.inputs) if name and (rule.data is None or index in rule.data)
    ]


def byte_spec(graph: Graph, name: str) -> QuantSpec | None:
    """The spec of a value that is stored in up to 8 bits with one scale."""
    spec = graph.value(name).quant
    fits = spec is not None and isinstance(spec.format, IntFormat) and spec.format.bits <= _BYTE
    return spec if fits and spec is not None and len(spec.scale) == 1 else None


def _type(spec: QuantSpec) -> Any:
    return spec.format.storage if isinstance(spec.format, IntFormat) else None


def _inner(chain: Chain) -> str:
    return chain.activation.inputs[0] if chain.activation is not None else chain.result


# writing


def _finish(writer: IntegerWriter, chain: Chain, add: Callable[[str], None]) -> None:
    """Add the node, and a Clip where the activation or the format ends before the type does."""
    spec = spec_of(writer.source.value(chain.result))
    ends = _ends(spec, chain.activation)
    if ends is None:
        add(writer.result(chain.result))
        return
    before = writer.result(chain.result, f"{chain.result}_wide")
    add(before)
    low, high = (
        writer.constant(f"{chain.result}_{label}", np.asarray(end, _type(spec)))
        for label, end in zip(("min", "max"), ends, strict=True)
    )
    writer.node("Clip", [before, low, high], writer.result(chain.result), f"{chain.op.name}_clip")


def _ends(spec: QuantSpec, activation: Op | None) -> tuple[int, int] | None:
    """The lowest and the highest integer; None where they are those of the type."""
    form = spec.format
    if not isinstance(form, IntFormat):
        return None
    low, high = form.qmin, form.qmax
    if activation is not None:
        bounds = np.asarray(limits(activation), np.float64) / np.float64(spec.scale[0])
        steps = np.clip(np.rint(bounds) + spec.zero_point[0], form.qmin, form.qmax).astype(int)
        low, high = max(low, int(steps[0])), min(high, int(steps[1]))
    info = np.iinfo(form.storage)
    return None if (low, high) == (info.min, info.max) else (low, high)


def _plain(
    kind: str, domain: str = MICROSOFT, *names: str, **fixed: Any
) -> Callable[[IntegerWriter, Chain], None]:
    """All inputs as triples, then scale and zero point of the result; the named attributes as the op has them."""

    def write(writer: IntegerWriter, chain: Chain) -> None:
        inputs = [part for name in chain.op.inputs for part in writer.quantized(name)]
        inputs += writer.scale_and_zero(chain.result)
        said = [helper.make_attribute(name, chain.op.attrs[name]) for name in names]
        said += [helper.make_attribute(name, value) for name, value in fixed.items()]
        _finish(writer, chain, lambda output: _node(writer, chain, kind, inputs, output, domain, said))

    return write


def _node(
    writer: IntegerWriter, chain: Chain, kind: str, inputs: list[str], output: str, domain: str, said: Any
) -> None:
    writer.node(kind, inputs, output, f"{chain.op.name}_quant", domain, said, chain.op.origin.names)


def _window_attributes(writer: IntegerWriter, op: Op) -> list[Any]:
    """The attributes of the float operator."""
    record = op.origin.native
    if isinstance(record, NativeNode):
        return list(record.proto.attribute)
    values = writer.source.input_values(op)
    lowered = lower.lower(
        lower.Lowering(op, list(op.inputs), list(op.outputs), values, _OPSET, lambda stem, array: stem)
    )
    return list(lowered[0].attribute)


def _convolution(writer: IntegerWriter, chain: Chain) -> None:
    op = chain.op
    inputs = [*writer.quantized(op.inputs[0]), *_weights(writer, op), *writer.scale_and_zero(chain.result)]
    inputs += _bias(writer, op)
    said = _window_attributes(writer, op)
    _finish(writer, chain, lambda output: _node(writer, chain, "QLinearConv", inputs, output, "", said))


def _gemm(writer: IntegerWriter, chain: Chain) -> None:
    op = chain.op
    bias = _bias(writer, op) or [""]
    inputs = [*writer.quantized(op.inputs[0]), *_weights(writer, op), *bias]
    inputs += writer.scale_and_zero(chain.result)
    said = [helper.make_attribute("transB", int(op.attrs["weight_layout"] == "OI"))]
    _finish(writer, chain, lambda output: _node(writer, chain, "QGemm", inputs, output, MICROSOFT, said))


def _matmul(writer: IntegerWriter, chain: Chain) -> None:
    op = chain.op
    right = _weights(writer, op) if _constant(writer.source, op, 1) else writer.quantized(op.inputs[1])
    inputs = [*writer.quantized(op.inputs[0]), *right, *writer.scale_and_zero(chain.result)]
    _finish(writer, chain, lambda output: _node(writer, chain, "QLinearMatMul", inputs, output, "", ()))


def _concat(writer: IntegerWriter, chain: Chain) -> None:
    inputs = [*writer.scale_and_zero(chain.result)]
    inputs += [part for name in chain.op.inputs for part in writer.quantized(name)]
    said = [helper.make_attribute("axis", chain.op.attrs["axis"])]
    _finish(
        writer, chain, lambda output: _node(writer, chain, "QLinearConcat", inputs, output, MICROSOFT, said)
    )


def _average(writer: IntegerWriter, chain: Chain) -> None:
    if chain.op.attrs.get("global"):
        _plain("QLinearGlobalAveragePool", MICROSOFT, channels_last=0)(writer, chain)
        return
    inputs = [*writer.quantized(chain.op.inputs[0]), *writer.scale_and_zero(chain.result)]
    said = _window_attributes(writer, chain.op)
    _finish(
        writer,
        chain,
        lambda output: _node(writer, chain, "QLinearAveragePool", inputs, output, MICROSOFT, said),
    )


def _mean(writer: IntegerWriter, chain: Chain) -> None:
    """The mean over both axes of an image is a global average pool; without `keepdims` a Squeeze follows."""
    if chain.op.attrs.get("keepdims", True):
        _plain("QLinearGlobalAveragePool", MICROSOFT, channels_last=0)(writer, chain)
        return
    inputs = [*writer.quantized(chain.op.inputs[0]), *writer.scale_and_zero(chain.result)]
    pooled = writer.result(chain.result, f"{chain.result}_pooled")
    said = [helper.make_attribute("channels_last", 0)]
    _node(writer, chain, "QLinearGlobalAveragePool", inputs, pooled, MICROSOFT, said)
    axes = writer.constant(f"{chain.result}_axes", np.asarray(_IMAGE, np.int64))
    _finish(
        writer,
        chain,
        lambda output: writer.node("Squeeze", [pooled, axes], output, f"{chain.op.name}_squeeze"),
    )


def _pad(writer: IntegerWriter, chain: Chain) -> None:
    op = chain.op
    mode = str(op.attrs.get("mode", "constant"))
    pads = writer.constant(f"{chain.result}_pads", np.asarray(op.attrs["pads"], np.int64))
    inputs = [writer.integer(op.inputs[0]), pads]
    if mode == "constant":
        inputs.append(writer.scale_and_zero(chain.result)[1])
    said = [helper.make_attribute("mode", mode)]
    _finish(writer, chain, lambda output: _node(writer, chain, "Pad", inputs, output, "", said))


def _moved(writer: IntegerWriter, chain: Chain) -> None:
    """The operator itself, on integers."""
    inputs = (writer.integer(chain.op.inputs[0]), *chain.op.inputs[1:])
    output = writer.result(chain.result)
    writer.made.add_op(Op(chain.op.kind, chain.op.name, inputs, (output,), chain.op.attrs, chain.op.origin))


def _clip(writer: IntegerWriter, chain: Chain) -> None:
    """An activation that stands alone, between equal specs."""
    source = writer.integer(chain.op.inputs[0])
    ends = _ends(spec_of(writer.source.value(chain.result)), chain.op)
    if ends is None:
        writer.integers[chain.result] = source
        return
    kind = _type(spec_of(writer.source.value(chain.result)))
    bounds = [
        writer.constant(f"{chain.result}_{n}", np.asarray(e, kind)) for n, e in zip("ab", ends, strict=True)
    ]
    writer.node("Clip", [source, *bounds], writer.result(chain.result), f"{chain.op.name}_quant")


def _weights(writer: IntegerWriter, op: Op) -> list[str]:
    """int8 weights, scale and zero point."""
    value = writer.source.value(op.inputs[1])
    spec = spec_of(value)
    stored, zero = _signed_weights(writer.source, op)
    scale = np.asarray(spec.scale[0] if len(spec.scale) == 1 else spec.scale, np.float32)
    name = value.name
    if f"{name}\0int8" not in writer.parameters:
        writer.integers[f"{name}\0int8"] = writer.constant(f"{name}_quantized", stored)
        writer.parameters[f"{name}\0int8"] = (
            writer.constant(f"{name}_scale", scale),
            writer.constant(f"{name}_zero_point", zero.reshape(scale.shape)),
        )
    return [writer.integers[f"{name}\0int8"], *writer.parameters[f"{name}\0int8"]]


def _signed_weights(graph: Graph, op: Op) -> tuple[Array, Array]:
    """Weights and zero points as int8: an unsigned format moves by half its type."""
    value = graph.value(op.inputs[1])
    spec = spec_of(value)
    stored = np.asarray(quantize_value(np.asarray(value.const), spec, value.name)).astype(np.int16)
    by = 0 if isinstance(spec.format, IntFormat) and spec.format.signed else 1 << (_BYTE - 1)
    return (stored - by).astype(np.int8), (np.asarray(spec.zero_point, np.int16) - by).astype(np.int8)


def _bias(writer: IntegerWriter, op: Op) -> list[str]:
    """The int32 bias, if there is one."""
    integers = bias_integers(writer.source, op)
    if integers is None:
        return []
    return [writer.constant(f"{op.inputs[2]}_quantized", integers.astype(np.int32))]


def bias_integers(graph: Graph, op: Op) -> Array | None:
    """The bias in steps of input scale times weight scale, as float64."""
    bias = graph.const(op, 2)
    if bias is None:
        return None
    spec = graph.value(op.inputs[2]).quant
    real = np.asarray(bias if spec is None else fake_quantize_value(bias, spec), np.float64)
    x, w = spec_of(graph.value(op.inputs[0])), spec_of(graph.value(op.inputs[1]))
    steps = np.float64(np.float32(x.scale[0]) * np.asarray(w.scale, np.float32))
    return np.asarray(np.rint(real / steps))


# applying


def _has_weights(graph: Graph, chain: Chain) -> bool:
    """int8 weights with scales for the tensor or its output channels, and a bias that fits int32."""
    op = chain.op
    if not _constant(graph, op, 1) or (len(op.inputs) > 2 and op.inputs[2] and not _constant(graph, op, 2)):
        return False
    spec = graph.value(op.inputs[1]).quant
    if spec is None or not isinstance(spec.format, IntFormat) or spec.format.bits > _BYTE:
        return False
    if len(spec.scale) > 1 and spec.axis is not None:
        rank = len(graph.value(op.inputs[1]).shape or ())
        if spec.axis % rank != output_channel_axis(op):
            return False
    bias = bias_integers(graph, op)
    return bias is None or bool((bias >= _INT32.min).all() and (bias <= _INT32.max).all())


def _is_flat(graph: Graph, chain: Chain) -> bool:
    shape = graph.value(chain.op.inputs[0]).shape
    return shape is not None and len(shape) == 2 and _has_weights(graph, chain)


def _multiplies(graph: Graph, chain: Chain) -> bool:
    """Constant weights, or a second operand in 8 bits."""
    op = chain.op
    if _constant(graph, op, 1):
        return _has_weights(graph, chain)
    right, result = byte_spec(graph, op.inputs[1]), byte_spec(graph, chain.result)
    return right is not None and result is not None and _type(right) == _type(result)


def _averages(graph: Graph, chain: Chain) -> bool:
    dilation = chain.op.attrs.get("dilation", ())
    dilated = isinstance(dilation, tuple) and any(step != 1 for step in dilation)
    return "dpu_factor" not in chain.op.attrs and not dilated


def _averages_image(graph: Graph, chain: Chain) -> bool:
    shape = graph.value(chain.op.inputs[0]).shape
    return (
        chain.op.attrs.get("axes") == _IMAGE
        and shape is not None
        and len(shape) == 4
        and _averages(graph, chain)
    )


def _pads_zeros(graph: Graph, chain: Chain) -> bool:
    return chain.op.attrs.get("mode", "constant") != "constant" or not chain.op.attrs.get("value", 0.0)


def _takes_nearest(graph: Graph, chain: Chain) -> bool:
    return chain.op.attrs.get("mode") == "nearest"


def _constant(graph: Graph, op: Op, index: int) -> bool:
    return graph.const(op, index) is not None


_MOVES = (
    "reshape", "flatten", "squeeze", "unsqueeze", "transpose", "strided-slice", "gather", "expand", "tile",
    "identity", "maxpool1d", "maxpool2d", "maxpool3d",
)  # fmt: skip
_RULES: dict[str, Rule] = {
    **{f"{p}conv{r}d": Rule(_convolution, _has_weights, (0,)) for p in ("", "depthwise-") for r in (1, 2, 3)},
    "inner-product": Rule(_gemm, _is_flat, (0,)),
    "matmul": Rule(_matmul, _multiplies, (0,)),
    "eltwise-add": Rule(_plain("QLinearAdd")),
    "eltwise-mul": Rule(_plain("QLinearMul")),
    "sigmoid": Rule(_plain("QLinearSigmoid")),
    "leaky-relu": Rule(_plain("QLinearLeakyRelu", MICROSOFT, "alpha")),
    "softmax": Rule(_plain("QLinearSoftmax", MICROSOFT, "axis", opset=_OPSET)),
    "avgpool2d": Rule(_average, _averages),
    "reduction-mean": Rule(_mean, _averages_image),
    "concat": Rule(_concat),
    "pad": Rule(_pad, _pads_zeros, moves=True),
    "resize": Rule(_moved, _takes_nearest, (0,), moves=True),
    **{kind: Rule(_moved, data=(0,), moves=True) for kind in _MOVES},
    **{kind: Rule(_clip, moves=True) for kind in ("relu", "relu6", "clip")},
}
