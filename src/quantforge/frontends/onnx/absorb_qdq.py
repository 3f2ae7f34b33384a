"""QuantizeLinear and DequantizeLinear to specs: the inverse of `qdq`, on an imported graph.

A pair x -> QuantizeLinear -> DequantizeLinear -> y with equal parameters says that x is stored in integers: the
pair goes, x carries the spec and y's readers read x. Integers -> DequantizeLinear say that a constant is stored: it
becomes a constant of real values with the spec. An operator that the table of kinds could not know, because its
weights were computed by a DequantizeLinear, is looked up again.

What is left of a pair stays an opaque operator, with the spec on its real side, since that side lies on the grid:
integers that come from the caller, go to the caller or meet an operator on integers, and pairs whose two parameter
sets differ. Without constant parameters, with blocks of scales and with 8-bit floats nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quantforge.frontends.onnx.native import NativeNode
from quantforge.frontends.onnx.partial import attributes_of
from quantforge.frontends.onnx.relook import look_up_again
from quantforge.graph import Array, Graph, Op, QuantSpec, Value
from quantforge.graph.quantize import dequantize_value
from quantforge.numerics.formats import Format, IntFormat
from quantforge.ops.activation import limits

_DOMAINS = ("", "ai.onnx", "com.microsoft")  # the last is ONNX Runtime's, for 16 bits before opset 21
_FORMATS: dict[str, IntFormat] = {
    f"{sign}int{bits}": IntFormat(bits, signed=not sign) for sign in ("", "u") for bits in (2, 4, 8, 16, 32)
}
_WIDEST_ACTIVATION = 16
_CLIPPED = "_Clip_Output"  # `qdq` saturates formats narrower than their storage by a clip in front


def absorb(graph: Graph) -> Graph:
    """A copy of an imported graph in which specs stand for QuantizeLinear and DequantizeLinear.

    Values keep their names as real values, so that emitting the result and importing it again changes nothing. A
    scale read from a file is a float32; constants are (integer - zero point) * scale, rounded to float32.
    """
    result = graph.copy()
    fresh: set[str] = set()
    for op in graph.ops:
        if _type(op) == "DequantizeLinear":
            fresh |= set(_constant(result, op))
    for op in graph.ops:
        if _type(op) == "QuantizeLinear":
            _pair(result, result.op(op.name), fresh)
    for op in list(result.ops):
        if fresh & set(op.inputs):
            look_up_again(result, op)
    _mark_grids(result)
    result.prune()
    return result


def _type(op: Op) -> str:
    """The ONNX type of a quantizing operator, "" for any other."""
    known = op.kind == "opaque" and op.attrs.get("domain") in _DOMAINS
    return str(op.attrs.get("type")) if known and isinstance(op.origin.native, NativeNode) else ""


def _spec(graph: Graph, op: Op) -> QuantSpec | None:
    """The spec that the operator applies; None when a `QuantSpec` cannot say it."""
    attributes = attributes_of(op.origin.native.proto)
    scale, zero = graph.const(op, 1), graph.const(op, 2)
    absent = len(op.inputs) < 3 or not op.inputs[2]
    if scale is None or (zero is None and not absent) or attributes.get("block_size"):
        return None
    if scale.ndim > 1 or scale.dtype not in (np.float32, np.float16):
        return None
    form = _format(graph, op, zero)
    if form is None:
        return None
    scales = tuple(float(step) for step in scale.reshape(-1))
    zeros = (0,) * len(scales) if zero is None else tuple(int(z) for z in zero.reshape(-1))
    if len(zeros) != len(scales):
        return None
    axis = None
    if len(scales) > 1 or (scale.ndim == 1 and "axis" in attributes):  # a lone scale may come as a list
        axis = int(attributes.get("axis", 1))
    return QuantSpec(form, scales, zeros, axis)


def _format(graph: Graph, op: Op, zero: Array | None) -> Format | None:
    """The integers in the middle: the type of the zero point, or of the stored side."""
    stored = op.outputs[0] if _type(op) == "QuantizeLinear" else op.inputs[0]
    dtype = str(zero.dtype) if zero is not None else graph.value(stored).dtype
    return _FORMATS.get(dtype)


def _constant(graph: Graph, op: Op) -> Iterator[str]:
    """Replace a DequantizeLinear of stored integers by the constant; gives its name."""
    value, spec = graph.value(op.inputs[0]), _spec(graph, op)
    if value.const is None or spec is None or not isinstance(spec.format, IntFormat):
        return
    name = _constant_name(graph, op)
    real = np.asarray(dequantize_value(_integers(value.const), spec, value.name), np.float32)
    graph.remove_op(op.name)
    graph.set_value(Value(name, real.shape, "float32", real, spec))
    graph.redirect(op.outputs[0], name)
    yield name


def _integers(stored: Array) -> Array:
    """4-bit numbers, which NumPy knows by an extension only, as bytes."""
    return stored if stored.dtype.kind in "iu" else stored.astype(np.int16)


def _constant_name(graph: Graph, op: Op) -> str:
    """The name before quantization: w of w_quantized; else the name of the real values."""
    stored, real = op.inputs[0], op.outputs[0]
    if real in graph.outputs:
        return real
    for name in (stored.removesuffix("_quantized"), real.removesuffix("_DequantizeLinear_Output")):
        if name not in (stored, real) and not graph.has_value(name):
            return name
    return real


@dataclass(frozen=True)
class _Pair:
    """A QuantizeLinear with the DequantizeLinear operators behind it, all with one spec."""

    quantize: Op
    real: str
    spec: QuantSpec
    back: tuple[Op, ...]


def _pair(graph: Graph, op: Op, fresh: set[str]) -> None:
    """Replace one QuantizeLinear and its DequantizeLinear operators by a spec, when they belong together."""
    spec = _spec(graph, op)
    readers = graph.consumers(op.outputs[0])
    back = tuple(reader for reader in readers if _type(reader) == "DequantizeLinear")
    alone = len(back) == len(readers) and back and op.outputs[0] not in graph.outputs
    if spec is None or not alone or any(_spec(graph, reader) != spec for reader in back):
        return
    real, clipped = _before_clip(graph, op, spec)
    pair = _Pair(op, real, clipped, back)
    for gone in (op, *back):
        graph.remove_op(gone.name)
    if clipped is not spec:
        graph.remove_op(_producer(graph, op.inputs[0]).name)
    _place(graph, pair, fresh)


def _producer(graph: Graph, name: str) -> Op:
    op = graph.producer(name)
    return op if op is not None else Op("identity", "", (name,), (name,))


def _before_clip(graph: Graph, op: Op, spec: QuantSpec) -> tuple[str, QuantSpec]:
    """The value in front of the clip that narrows the format, and the spec with the narrow format."""
    name = op.inputs[0]
    clip = graph.producer(name)
    if clip is None or clip.kind not in ("clip", "relu6") or not name.endswith(_CLIPPED):
        return name, spec
    bounds = limits(clip)
    if len(graph.consumers(name)) > 1 or spec.axis is not None or not np.isfinite(bounds).all():
        return name, spec
    ends = tuple(round(bound / spec.scale[0]) + spec.zero_point[0] for bound in bounds)
    form = _narrow(spec.format, ends)
    return (name, spec) if form is None else (clip.inputs[0], replace(spec, format=form))


def _narrow(form: Format, ends: Sequence[int]) -> IntFormat | None:
    """The integer format from one end to the other, narrower than `form`."""
    if not isinstance(form, IntFormat):
        return None
    for bits in range(2, form.bits + 1):
        for narrow in (False, True) if form.signed else (False,):
            found = IntFormat(bits, form.signed, narrow)
            if (found.qmin, found.qmax) == tuple(ends) and found != form:
                return found
    return None


def _place(graph: Graph, pair: _Pair, fresh: set[str]) -> None:
    """Put the spec on the value, or on a copy when somebody reads the value without rounding."""
    value = graph.value(pair.real)
    outputs = [op.outputs[0] for op in pair.back if op.outputs[0] in graph.outputs]
    raw = pair.real in graph.outputs or any(
        _type(op) != "QuantizeLinear" or _spec(graph, op) != pair.spec for op in graph.consumers(pair.real)
    )
    taken = value.quant is not None and value.quant != pair.spec
    if (raw and value.quant is None) or taken:
        _copy(graph, pair, fresh)
        return
    name = pair.real
    if outputs and graph.producer(name) is not None and value.quant is None:
        name = outputs.pop(0)
        _rename(graph, pair.real, name)
    graph.set_value(replace(graph.value(name), quant=pair.spec))
    if value.is_const:
        fresh.add(name)
    for op in pair.back:
        if op.outputs[0] in outputs:
            _identity(graph, pair, name, op.outputs[0])
        elif op.outputs[0] != name:
            graph.redirect(op.outputs[0], name)


def _copy(graph: Graph, pair: _Pair, fresh: set[str]) -> None:
    """A value of its own with the spec, called like the first DequantizeLinear's result."""
    name = next(
        (op.outputs[0] for op in pair.back if op.outputs[0] in graph.outputs), pair.back[0].outputs[0]
    )
    source = graph.value(pair.real)
    if source.is_const:
        graph.set_value(replace(source, name=name, quant=pair.spec))
        fresh.add(name)
    else:
        _identity(graph, pair, pair.real, name)
    for op in pair.back:
        if op.outputs[0] != name:
            graph.redirect(op.outputs[0], name)


def _identity(graph: Graph, pair: _Pair, source: str, name: str) -> None:
    """name = source, rounded."""
    graph.set_value(replace(graph.value(source), name=name, const=None, quant=pair.spec))
    op = Op("identity", graph.fresh_name(pair.quantize.name), (source,), (name,))
    readers = graph.consumers(name)
    graph.add_op(op, before=readers[0].name if readers else None)


def _rename(graph: Graph, old: str, new: str) -> None:
    """The value `old` is called `new` from now on; nothing else reads it."""
    producer = _producer(graph, old)
    graph.set_value(replace(graph.value(old), name=new))
    graph.replace_op(
        replace(producer, outputs=tuple(new if name == old else name for name in producer.outputs))
    )


def _mark_grids(graph: Graph) -> None:
    """Specs on the real side of what is left, where that side has no other use."""
    for op in graph.ops:
        kind = _type(op)
        name = op.inputs[0] if kind == "QuantizeLinear" else op.outputs[0]
        if kind not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        value, spec = graph.value(name), _spec(graph, op)
        alone = kind == "DequantizeLinear" or (
            len(graph.consumers(name)) == 1 and name not in graph.outputs and not value.is_const
        )
        if spec is None or not isinstance(spec.format, IntFormat) or spec.format.bits > _WIDEST_ACTIVATION:
            continue
        if value.quant is None and value.dtype == "float32" and alone:
            graph.set_value(replace(value, quant=spec))
