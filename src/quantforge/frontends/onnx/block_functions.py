"""Block formats in ONNX: functions inside the model, made of standard operators, so that any runtime has them.

ONNX cannot look at the bits of a float. The largest power of two that is not above p comes from two products instead:
with q = (2**52 + 1) p in float64, |q - (q - 2**-53 q)| is that power exactly (Rump, Ogita, Oishi, "Accurate
floating-point summation, part I", SIAM J. Sci. Comput. 31, 2008, algorithm 3.5; the same with 2**23 in float32).
The paper's factor 1 - 2**-53 would not do: ONNX Runtime takes it for 1 and drops the product. Everything else is
exact in float32, as in `numerics.block_float`.

The input is seen as [outer, blocks, sub-blocks, elements, inner], whatever its rank: nothing is transposed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from onnx import TensorProto, parser

from quantforge.graph import Graph, Op, Shape
from quantforge.numerics.block_float import BlockFormat, BlockKind
from quantforge.numerics.formats import BFLOAT16, FloatFormat
from quantforge.numerics.rounding import Rounding
from quantforge.ops.attributes import integer
from quantforge.ops.fake_quantize import KIND, format_of

DOMAIN = "quantforge"
LEAST_OPSET = 18  # reductions take their axes as inputs from here on
_PADDED = "Padded"
_ROUND = {
    Rounding.HALF_EVEN: "{y} = Round({x})",
    Rounding.HALF_AWAY: "{y}d = Add({x}, {x}) {y}f = Floor({y}d) {y}h = Mul({y}f, half) {y} = Ceil({y}h)",
    Rounding.TOWARD_ZERO: "{y} = Floor({x})",
}


@dataclass(frozen=True)
class StoreFunction:
    """One function: a format, and whether the axis may have to be filled up to whole blocks."""

    format: BlockFormat | FloatFormat
    padded: bool = False

    @property
    def name(self) -> str:
        """Its name in the domain: ``Mx6``, ``Mx6Padded``, ``Bfloat16``."""
        stem = "".join(word.capitalize() for word in re.split(r"[-_]", str(self.format)))
        return stem + (_PADDED if self.padded else "")


def store_function(op: Op, shape: Shape | None) -> StoreFunction:
    """The function for a fake-quantize op that reads a value of `shape`."""
    form = format_of(op)
    if isinstance(form, FloatFormat):
        return StoreFunction(form)
    size = None if shape is None else shape[integer(op, "axis", -1)]
    return StoreFunction(form, not isinstance(size, int) or size % form.block_size != 0)


def store_attributes(op: Op, shape: Shape | None) -> dict[str, int]:
    """The attributes of the node that calls it."""
    if isinstance(format_of(op), FloatFormat):
        return {}
    axis = integer(op, "axis", -1)
    axis = axis + len(shape) if axis < 0 and shape is not None else axis
    return {"axis": axis, "after": axis + 1}


def store_functions(graph: Graph, opset: int) -> list[Any]:
    """The FunctionProtos that the fake-quantize ops of `graph` call, but for those with a node of their own."""
    ops = [op for op in graph.ops if op.kind == KIND and op.origin.native is None]
    functions = dict.fromkeys(store_function(op, graph.value(op.inputs[0]).shape) for op in ops)
    return [function_proto(function, opset) for function in functions]


def function_proto(function: StoreFunction, opset: int) -> Any:
    """The FunctionProto, importing `opset`."""
    form = function.format
    if isinstance(form, FloatFormat):
        kind = TensorProto.BFLOAT16 if form == BFLOAT16 else TensorProto.FLOAT16
        signature, body = (
            "(x) => (y)",
            f"narrow = Cast <to: int = {kind}> (x) y = Cast <to: int = 1> (narrow)",
        )
    else:
        signature = "<axis, after> (x) => (y)"
        body = block_body(form, function.padded)
    head = f'<domain: "{DOMAIN}", opset_import: ["" : {opset}]> {function.name} {signature}'
    return parser.parse_function(f"{head} {{ {body} }}")


def block_body(form: BlockFormat, padded: bool, axis: str = "@axis", after: str = "@after") -> str:
    """The nodes from `x` to `y`, as ONNX text; `axis` and `after` are numbers or attributes of the function."""
    text = _into_blocks(form, padded).replace("@axis", axis).replace("@after", after)
    return text + _stored(form) + _out_of_blocks(padded)


def _ints(name: str, *numbers: int) -> str:
    return f"{name} = Constant <value_ints: ints = [{', '.join(map(str, numbers))}]> () "


def _float(name: str, number: float) -> str:
    return f"{name} = Constant <value: tensor = float {{{float(number)!r}}}> () "


def _double(name: str, number: float) -> str:
    return f"{name} = Constant <value: tensor = double {{{float(number)!r}}}> () "


def _into_blocks(form: BlockFormat, padded: bool) -> str:
    """`x` to `b` of [outer, blocks, sub-blocks, elements, inner]."""
    sub = form.sub_block_size
    text = "head = Shape <end: int = @axis> (x) size = Shape <start: int = @axis, end: int = @after> (x) "
    text += "tail = Shape <start: int = @after> (x) "
    text += _ints("one", 1) + _ints("rest", -1) + _ints("subs", form.block_size // sub, sub)
    text += "heads = Concat <axis: int = 0> (one, head) outer = ReduceProd (heads) "
    text += "tails = Concat <axis: int = 0> (one, tail) inner = ReduceProd (tails) "
    text += "blocked = Concat <axis: int = 0> (outer, rest, subs, inner) "
    if not padded:
        return text + "b = Reshape (x, blocked) "
    text += _ints("block", form.block_size) + _ints("before", 0, 0, 0, 0) + _ints("behind", 0)
    text += "negative = Neg (size) missing = Mod (negative, block) "
    text += "pads = Concat <axis: int = 0> (before, missing, behind) "
    text += "rows = Concat <axis: int = 0> (outer, size, inner) "
    return text + "flat = Reshape (x, rows) whole = Pad (flat, pads) b = Reshape (whole, blocked) "


def _out_of_blocks(padded: bool) -> str:
    """`v` back to `y` of the shape of `x`."""
    if not padded:
        return "shape = Shape (x) y = Reshape (v, shape) "
    text = "joined = Concat <axis: int = 0> (outer, rest, inner) long = Reshape (v, joined) "
    text += _ints("begin", 0) + "cut = Slice (long, begin, size, one) "
    return text + "shape = Shape (x) y = Reshape (cut, shape) "


def _stored(form: BlockFormat) -> str:
    """`b` to `v`, both of whole blocks."""
    text = _float("zero", 0.0) + _float("half", 0.5) + _ints("inside", 2, 3) + _ints("last", 3)
    text += "magnitude = Abs (b) difference = Sub (b, b) "  # 0, or NaN for inf and NaN
    if form.kind is BlockKind.PLAIN:
        text += "finite = Equal (difference, zero) m = Where (finite, magnitude, zero) "
    elif form.kind is BlockKind.MICROEXPONENT:
        text += (
            _float("tiny", 2.0**-126) + "small = Less (magnitude, tiny) m = Where (small, zero, magnitude) "
        )
    else:
        text += "m = Identity (magnitude) "
    text += "peak = ReduceMax (m, inside) " + _power_of_peak() + _float("least", form.smallest_power)
    text += "clamped = Max (power, least) "
    if form.kind is BlockKind.PLAIN:
        text += "top = Identity (clamped) "
    else:
        text += "poison = ReduceSum (difference, inside) top = Add (clamped, poison) "
    text += _floats(form) if form.exponent_bits else _integers(form)
    text += "below = Less (b, zero) opposite = Sub (zero, k) signed = Where (below, opposite, k) "
    return text + (
        "v = Where (finite, signed, b) " if form.kind is BlockKind.PLAIN else "v = Identity (signed) "
    )


def _power_of_peak() -> str:
    """The largest power of two that is not above `peak`; 0 for 0."""
    text = _double("factor", 2.0**52 + 1) + _double("ulp", 2.0**-53)
    text += "wide = Cast <to: int = 11> (peak) q = Mul (wide, factor) "
    text += "small_q = Mul (q, ulp) less = Sub (q, small_q) rest_q = Sub (q, less) "
    return text + "exact = Abs (rest_q) power = Cast <to: int = 1> (exact) "


def _integers(form: BlockFormat) -> str:
    text = _float("unit", 2.0 ** (1 - form.mantissa_bits)) + "coarse = Mul (top, unit) "
    if form.shift_bits:
        text += "peaks = ReduceMax (m, last) " + _float("shift0", 1.0)
        for index in range((1 << form.shift_bits) - 1):
            text += _float(f"down{index}", 2.0**-index) + _float(f"by{index}", 2.0 ** -(index + 1))
            text += f"bound{index} = Mul (clamped, down{index}) lower{index} = Less (peaks, bound{index}) "
            text += f"shift{index + 1} = Where (lower{index}, by{index}, shift{index}) "
        text += f"step = Mul (coarse, shift{(1 << form.shift_bits) - 1}) "
    else:
        text += "step = Identity (coarse) "
    text += "ratio = Div (m, step) " + _ROUND[form.rounding].format(x="ratio", y="n") + " "
    return text + _float("largest", form.largest) + "held = Min (n, largest) k = Mul (held, step) "


def _floats(form: BlockFormat) -> str:
    lowest, highest = form.exponent_range
    text = _float("unscale", 2.0**-highest) + "scale = Mul (top, unscale) scaled = Div (m, scale) "
    text += _float("factor32", 2.0**23 + 1) + _float("ulp32", 2.0**-24) + "q32 = Mul (scaled, factor32) "
    text += "small32 = Mul (q32, ulp32) less32 = Sub (q32, small32) rest32 = Sub (q32, less32) own = Abs (rest32) "
    text += _float("lowest", 2.0**lowest) + "normal = Max (own, lowest) "
    text += _float("unit", 2.0**-form.mantissa_bits) + "step = Mul (normal, unit) ratio = Div (scaled, step) "
    text += _ROUND[form.rounding].format(x="ratio", y="n") + " nearest = Mul (n, step) "
    return (
        text + _float("largest", form.largest_float) + "held = Min (nearest, largest) k = Mul (held, scale) "
    )
