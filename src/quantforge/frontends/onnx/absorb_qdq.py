"""QuantizeLinear and DequantizeLinear to specs: the inverse of `qdq` and of `vitis_nodes`, on an imported graph.

A pair x -> QuantizeLinear -> DequantizeLinear -> y with equal parameters says that x is stored in integers: the
pair goes, x carries the spec and y's readers read x. Integers -> DequantizeLinear say that a constant is stored: it
becomes a constant of real values with the spec. An operator that the table of kinds could not know, because its
weights were computed by a DequantizeLinear, is looked up again.

What is left of a pair stays an opaque operator, with the spec on its real side, since that side lies on the grid:
integers that come from the caller, go to the caller or meet an operator on integers, and pairs whose two parameter
sets differ. Without constant parameters, with blocks of scales and with 8-bit floats nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from quantforge.frontends.onnx.native import NativeNode
from quantforge.frontends.onnx.partial import attributes_of
from quantforge.frontends.onnx.relook import look_up_again
from quantforge.frontends.onnx.vitis_functions import (
    CONTRIB,
    DEQUANTIZE,
    FIX_NEURON,
    NATIVE_DEQUANTIZE,
    NATIVE_QUANTIZE,
    QUANTIZE,
    VAI,
)
from quantforge.graph import Array, Graph, Op, QuantSpec, Value
from quantforge.graph.quantize import dequantize_value
from quantforge.numerics.formats import BFLOAT16, FLOAT16, FloatFormat, Format, IntFormat
from quantforge.ops.activation import limits

_DOMAINS = ("", "ai.onnx", "com.microsoft")  # the last is ONNX Runtime's, for 16 bits before opset 21
_TYPES = {
    (VAI, QUANTIZE): NATIVE_QUANTIZE,
    (VAI, DEQUANTIZE): NATIVE_DEQUANTIZE,
    (CONTRIB, NATIVE_QUANTIZE): NATIVE_QUANTIZE,
    (CONTRIB, NATIVE_DEQUANTIZE): NATIVE_DEQUANTIZE,
    (CONTRIB, FIX_NEURON): FIX_NEURON,
}
_FORMATS: dict[str, Format] = {
    **{f"{sign}int{b}": IntFormat(b, signed=not sign) for sign in ("", "u") for b in (2, 4, 8, 16, 32)},
    **{str(form): form for form in (FLOAT16, BFLOAT16)},
}
_WIDEST_ACTIVATION = 16
_CLIPPED = "_Clip_Output"  # `qdq` saturates formats narrower than their storage by a clip in front


def absorb(graph: Graph) -> Graph:
    """A copy of an imported graph in which specs stand for QuantizeLinear and DequantizeLinear.

    Values keep their names as real values, so that emitting the result and importing it again changes nothing. A
    scale read from a file is a float32; constants are (integer - zero point) * scale, rounded to float32.
    """
    work = _Work(graph, {value.name: value for value in graph.values})
    for op in graph.ops:
        if _type(op) == "DequantizeLinear":
            _constant(work, op)
    for op in graph.ops:
        if _type(op) in (NATIVE_QUANTIZE, FIX_NEURON):
            _pair(work, op)
    result = work.result()
    for op in result.ops:
        if work.constants & set(op.inputs):
            look_up_again(result, op)
    _mark_grids(result)
    result.prune()
    return result


@dataclass
class _Work:
    """What becomes of the source, collected first and done in one pass."""

    source: Graph
    values: dict[str, Value]
    read_as: dict[str, str] = field(default_factory=dict)  # value -> value that its readers take instead
    made_as: dict[str, str] = field(default_factory=dict)  # value -> its new name
    gone: set[str] = field(default_factory=set)
    copies: dict[str, list[Op]] = field(default_factory=dict)  # operator that goes -> what stands there
    constants: set[str] = field(default_factory=set)  # constants that operators could not see before

    def now(self, name: str) -> str:
        """The name of the value that stands for `name`."""
        while name in self.read_as:
            name = self.read_as[name]
        return name

    def readers(self, name: str) -> tuple[Op, ...]:
        """Who reads a value of the source."""
        return self.source.consumers(name)

    def result(self) -> Graph:
        """The source with everything done."""
        source = self.source
        ops: list[Op] = []
        for op in source.ops:
            ops += self.copies.get(op.name, ())
            if op.name in self.gone:
                continue
            inputs = tuple(self.now(name) for name in op.inputs)
            outputs = tuple(self.made_as.get(name, name) for name in op.outputs)
            same = inputs == op.inputs and outputs == op.outputs
            ops.append(op if same else replace(op, inputs=inputs, outputs=outputs))
        return Graph(source.name, self.values.values(), ops, source.inputs, source.outputs, source.native)


def _type(op: Op) -> str:
    """The ONNX type of a quantizing operator, "" for any other."""
    if op.kind != "opaque" or not isinstance(op.origin.native, NativeNode):
        return ""
    domain, kind = str(op.attrs.get("domain")), str(op.attrs.get("type"))
    return kind if domain in _DOMAINS else _TYPES.get((domain, kind), "")


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
    if isinstance(form, FloatFormat):
        return QuantSpec(form) if scales == (1.0,) and zeros == (0,) else None
    axis = None
    if len(scales) > 1 or (scale.ndim == 1 and "axis" in attributes):  # a lone scale may come as a list
        axis = int(attributes.get("axis", 1))
    return QuantSpec(form, scales, zeros, axis)


def _format(graph: Graph, op: Op, zero: Array | None) -> Format | None:
    """The numbers in the middle: the type of the zero point, or of the stored side."""
    stored = op.outputs[0] if _type(op) == "QuantizeLinear" else op.inputs[0]
    dtype = str(zero.dtype) if zero is not None else graph.value(stored).dtype
    return _FORMATS.get(dtype)


def _constant(work: _Work, op: Op) -> None:
    """Replace a DequantizeLinear of stored integers by the constant."""
    value, spec = work.source.value(op.inputs[0]), _spec(work.source, op)
    if value.const is None or spec is None:
        return
    name = _constant_name(work, op)
    real = np.asarray(dequantize_value(_integers(value.const), spec, value.name), np.float32)
    work.values[name] = Value(name, real.shape, "float32", real, spec)
    work.constants.add(name)
    work.gone.add(op.name)
    if name != op.outputs[0]:
        work.read_as[op.outputs[0]] = name


def _integers(stored: Array) -> Array:
    """4-bit numbers, which NumPy knows by an extension only, as wider ones."""
    return stored if stored.dtype.kind in "iu" else stored.astype(np.int16)


def _constant_name(work: _Work, op: Op) -> str:
    """The name before quantization: w of w_quantized; else the name of the real values."""
    stored, real = op.inputs[0], op.outputs[0]
    if real in work.source.outputs:
        return real
    for name in (stored.removesuffix("_quantized"), real.removesuffix("_DequantizeLinear_Output")):
        if name not in (stored, real) and name not in work.values:
            return name
    return real


@dataclass(frozen=True)
class _Pair:
    """A QuantizeLinear with the DequantizeLinear operators behind it, all with one spec."""

    quantize: Op
    real: str
    spec: QuantSpec
    back: tuple[str, ...]  # what the DequantizeLinear operators give


def _pair(work: _Work, op: Op) -> None:
    """Replace one QuantizeLinear and its DequantizeLinear operators, or one FixNeuron, by a spec."""
    spec = _spec(work.source, op)
    single = _type(op) == FIX_NEURON
    readers = () if single else work.readers(op.outputs[0])
    back = tuple(reader for reader in readers if _type(reader) == NATIVE_DEQUANTIZE)
    alone = single or (len(back) == len(readers) and back and op.outputs[0] not in work.source.outputs)
    if spec is None or not alone or any(_spec(work.source, reader) != spec for reader in back):
        return
    clip, narrow = _clip_before(work, op, spec)
    real = work.now(op.inputs[0] if clip is None else clip.inputs[0])
    raw = (clip or op).inputs[0]
    work.gone |= {op.name, *(reader.name for reader in back)} | ({clip.name} if clip is not None else set())
    pair = _Pair(op, real, narrow, tuple(reader.outputs[0] for reader in (back or (op,))))
    _place(work, pair, _is_read_raw(work, raw, clip or op, spec))


def _clip_before(work: _Work, op: Op, spec: QuantSpec) -> tuple[Op | None, QuantSpec]:
    """The clip that narrows the format, and the spec with the narrow format."""
    name = op.inputs[0]
    clip = work.source.producer(name)
    if clip is None or clip.kind not in ("clip", "relu6") or not name.endswith(_CLIPPED):
        return None, spec
    bounds = limits(clip)
    if len(work.readers(name)) > 1 or spec.axis is not None or not np.isfinite(bounds).all():
        return None, spec
    form = _narrow(spec.format, [round(bound / spec.scale[0]) + spec.zero_point[0] for bound in bounds])
    return (None, spec) if form is None else (clip, replace(spec, format=form))


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


def _is_read_raw(work: _Work, name: str, reader: Op, spec: QuantSpec) -> bool:
    """Whether somebody else takes the value without rounding it first."""
    return name in work.source.outputs or any(
        other.name != reader.name and (_type(other) != "QuantizeLinear" or _spec(work.source, other) != spec)
        for other in work.readers(name)
    )


def _place(work: _Work, pair: _Pair, raw: bool) -> None:
    """Put the spec on the value, or on a copy when somebody reads the value without rounding."""
    value = work.values[pair.real]
    outputs = [name for name in pair.back if name in work.source.outputs]
    if (raw and value.quant is None) or (value.quant is not None and value.quant != pair.spec):
        _copy(work, pair)
        return
    name = pair.real
    if outputs and work.source.producer(name) is not None and value.quant is None:
        name = outputs[0]
        work.made_as[pair.real] = work.read_as[pair.real] = name
    work.values[name] = replace(value, name=name, quant=pair.spec)
    if value.is_const:
        work.constants.add(name)
    _hand_out(work, pair, name)


def _copy(work: _Work, pair: _Pair) -> None:
    """A value of its own with the spec, called like what a DequantizeLinear gives."""
    name = next((name for name in pair.back if name in work.source.outputs), pair.back[0])
    source = work.values[pair.real]
    if source.is_const:
        work.values[name] = replace(source, name=name, quant=pair.spec)
        work.constants.add(name)
    else:
        _round_into(work, pair, pair.real, name)
    _hand_out(work, pair, name)


def _hand_out(work: _Work, pair: _Pair, name: str) -> None:
    """Readers of the pair take `name`; each further output of the model is a copy of its own."""
    for given in pair.back:
        if given != name and given in work.source.outputs:
            _round_into(work, pair, name, given)
        elif given != name:
            work.read_as[given] = name


def _round_into(work: _Work, pair: _Pair, source: str, name: str) -> None:
    """name = source, rounded, in the place of the QuantizeLinear."""
    work.values[name] = replace(work.values[source], name=name, const=None, quant=pair.spec)
    places = work.copies.setdefault(pair.quantize.name, [])
    stem, count = pair.quantize.name, len(places)
    label = stem
    while count and (label == stem or work.source.has_op(label)):
        label, count = f"{stem}_{count}", count + 1
    places.append(Op("identity", label, (source,), (name,)))


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
