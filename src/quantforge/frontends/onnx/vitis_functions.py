"""The operators of domains com.vai.quantize and ai.onnx.contrib as functions of standard operators.

    q = saturate(round(x / scale) + zero_point)    in the type of the zero point, ties to even
    y = (q - zero_point) * scale

A zero point of type float16 or bfloat16 stands for that format: q is x, held to the largest finite number, and y is
q; neither the scale nor the zero point count. FixNeuron is both operators at once; its attributes `bit_width` and
`pos` repeat what the scale and the type say.

Where every zero point of the model has 8 or 16 bits, a function is QuantizeLinear, which runtimes fuse; 16 bits need
opset 21. Otherwise one function serves all types of the model. The ends of the type then come from Cast, which drops
the higher bits of an integer that does not fit: -1 is the largest unsigned number, 2**7, 2**15 and 2**31 become the
smallest signed ones. x / scale is divided in float64 for 32 bits, in float32 otherwise, as `numerics.affine` divides.

Source: the custom operators of the ONNX quantizer of Vitis AI; ONNX operators Cast and QuantizeLinear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import parser

from quantforge.graph import Array, Op
from quantforge.numerics.formats import BFLOAT16, FLOAT16
from quantforge.numerics.lowfloat import largest_finite

VAI, CONTRIB = "com.vai.quantize", "ai.onnx.contrib"
QUANTIZE, DEQUANTIZE, FIX_NEURON = "VitisQuantizeLinear", "VitisDequantizeLinear", "FixNeuron"
NATIVE_QUANTIZE, NATIVE_DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
OPERATORS = (
    (VAI, QUANTIZE),
    (VAI, DEQUANTIZE),
    (CONTRIB, FIX_NEURON),
    (CONTRIB, NATIVE_QUANTIZE),
    (CONTRIB, NATIVE_DEQUANTIZE),
)
_GENERAL_OPSET = 15  # CastLike
_WIDE_OPSET = 21  # 16 bits in QuantizeLinear
_SMALL_OPSET = 13
_INTEGERS = {1: frozenset({"small"}), 2: frozenset({"middle"}), 4: frozenset({"wide"})}


@dataclass(frozen=True)
class Uses:
    """What operators store: `kinds` of small (8 bits), middle (16), wide (32), float; per axis or not."""

    kinds: frozenset[str] = frozenset()
    per_axis: bool = False

    def __or__(self, other: Uses) -> Uses:
        return Uses(self.kinds | other.kinds, self.per_axis or other.per_axis)

    @property
    def least_opset(self) -> int:
        """The oldest opset in which the functions can be written."""
        if not self._native:
            return _GENERAL_OPSET
        return _WIDE_OPSET if "middle" in self.kinds else _SMALL_OPSET

    @property
    def _native(self) -> bool:
        return self.kinds <= {"small", "middle"}

    def native(self, opset: int) -> bool:
        """Whether QuantizeLinear does it in `opset`."""
        return self._native and opset >= self.least_opset


def uses_of(dtype: np.dtype[Any], per_axis: bool = False) -> Uses:
    """The uses of one operator whose zero point is of `dtype`."""
    kinds = _INTEGERS[dtype.itemsize] if dtype.kind in "iu" else frozenset({"float"})
    return Uses(kinds, per_axis)


def least_opset_of(op: Op) -> int:
    """The opset that an imported operator of these domains needs to run as a function; 0 for others."""
    known = (op.attrs.get("domain"), op.attrs.get("type")) in OPERATORS
    return _GENERAL_OPSET if known else 0


def vitis_functions(nodes: Iterable[Any], arrays: Mapping[str, Array], opset: int) -> list[Any]:
    """The FunctionProtos that `nodes` call, importing `opset`.

    Args:
        nodes: All nodes of a model.
        arrays: Its constants by name; an operator with another zero point than those gets the function for all types.
        opset: Version of the standard operators.
    """
    used: dict[tuple[str, str], Uses] = {}
    for node in nodes:
        key = (node.domain, node.op_type)
        if key in OPERATORS:
            used[key] = used.get(key, Uses()) | _uses(node, arrays)
    return [_function(domain, name, uses, opset) for (domain, name), uses in used.items()]


def _uses(node: Any, arrays: Mapping[str, Array]) -> Uses:
    zero = arrays.get(node.input[2]) if len(node.input) > 2 else None
    if zero is None:
        return Uses(frozenset({"small", "middle", "wide", "float"}), True)
    return uses_of(zero.dtype, zero.size > 1)


def _function(domain: str, name: str, uses: Uses, opset: int) -> Any:
    attributes = "axis" if domain == VAI else "bit_width, pos"
    if name == FIX_NEURON:
        body = _quantize(uses, opset, "", "q") + _dequantize(uses, opset, "", "q")
    elif name in (QUANTIZE, NATIVE_QUANTIZE):
        body = _quantize(uses, opset, _axis(domain), "y")
    else:
        body = _dequantize(uses, opset, _axis(domain), "x")
    least = _SMALL_OPSET if uses.native(opset) else _GENERAL_OPSET
    head = f'<domain: "{domain}", opset_import: ["" : {max(opset, least)}]>'
    return parser.parse_function(f"{head} {name} <{attributes}> (x, scale, zero_point) => (y) {{ {body} }}")


def _axis(domain: str) -> str:
    return "<axis: int = @axis>" if domain == VAI else ""


def _quantize(uses: Uses, opset: int, axis: str, result: str) -> str:
    if uses.native(opset):
        return f"{result} = QuantizeLinear {axis} (x, scale, zero_point) "
    text = _parameters(uses) + _double("none", 0.0)
    text += _typed("low31", 1 << 31)
    if uses.kinds - {"float"}:
        text += _rounded(uses)
    if "float" in uses.kinds:
        text += _held(uses)
    chosen = "n" if "float" not in uses.kinds else "h"
    if len(uses.kinds) > 1 and "float" in uses.kinds:
        text += _is_real() + "chosen = Where (real, h, n) "
        chosen = "chosen"
    return text + f"{result} = CastLike ({chosen}, zero_point) "


def _rounded(uses: Uses) -> str:
    """`x` to `n`, an integer of the type, in float64."""
    text = _typed("low7", 1 << 7) + _typed("low15", 1 << 15) + _typed("ones", -1) + _double("one", 1.0)
    text += "low = Min (low7, low15, low31, none) minus = Neg (low) top = Sub (minus, one) high = Max (top, ones) "
    if uses.kinds - {"wide", "float"}:
        text += "ratio32 = Div (x, steps) ratio = Cast <to: int = 11> (ratio32) "
    if "wide" in uses.kinds:
        name = "ratio64" if uses.kinds - {"wide", "float"} else "ratio"
        text += "x64 = Cast <to: int = 11> (x) steps64 = Cast <to: int = 11> (steps) "
        text += f"{name} = Div (x64, steps64) "
    chosen = "ratio"
    if {"wide"} < uses.kinds - {"float"}:
        text += (
            _typed("bit16", 1 << 16)
            + "is_wide = Greater (bit16, none) exact = Where (is_wide, ratio64, ratio) "
        )
        chosen = "exact"
    text += f"nearest = Round ({chosen}) zero = Cast <to: int = 11> (zeros) moved = Add (nearest, zero) "
    return text + "above = Max (moved, low) n = Min (above, high) "


def _held(uses: Uses) -> str:
    """`x` to `h`: held to the largest finite number of the type, in float64; 2**31 is infinite in float16 alone."""
    text = _double("largest16", largest_finite(FLOAT16)) + _double("largest", largest_finite(BFLOAT16))
    text += (
        _double("huge", 1e30) + "is_half = Greater (low31, huge) limit = Where (is_half, largest16, largest) "
    )
    text += "bottom = Neg (limit) x_wide = Cast <to: int = 11> (x) "
    return text + "over = Max (x_wide, bottom) h = Min (over, limit) "


def _dequantize(uses: Uses, opset: int, axis: str, source: str) -> str:
    if uses.native(opset):
        return f"y = DequantizeLinear {axis} ({source}, scale, zero_point) "
    if uses.kinds == {"float"}:
        return f"y = Cast <to: int = 1> ({source}) "
    text = _parameters(uses) if source == "x" else ""
    text += f"integers = Cast <to: int = 11> ({source}) offset = Cast <to: int = 11> (zeros) "
    text += "difference = Sub (integers, offset) centred = Cast <to: int = 1> (difference) "
    if "float" not in uses.kinds:
        return text + "y = Mul (centred, steps) "
    if source == "x":  # elsewhere `_quantize` has asked
        text += _double("none", 0.0) + _is_real()
    text += f"as_it_is = Cast <to: int = 1> ({source}) scaled = Mul (centred, steps) "
    return text + "y = Where (real, as_it_is, scaled) "


def _is_real() -> str:
    """`real`: whether the type is a float type, where a half stays a half."""
    text = (
        _double("half", 0.5) + "half_t = CastLike (half, zero_point) half_d = Cast <to: int = 11> (half_t) "
    )
    return text + "real = Greater (half_d, none) "


def _parameters(uses: Uses) -> str:
    """`steps` and `zeros`: scale and zero point in a shape that stands along the axis of x."""
    if not uses.per_axis:
        return "steps = Identity (scale) zeros = Identity (zero_point) "
    text = "axis = Constant <value_int: int = @axis> () one_more = Constant <value_ints: ints = [1]> () "
    text += "behind = Add (axis, one_more) end = Constant <value_ints: ints = [9223372036854775807]> () "
    text += "shape = Shape (x) tail = Slice (shape, behind, end) rank = Shape (tail) "
    text += (
        "filled = Expand (one_more, rank) own = Shape (scale) aligned = Concat <axis: int = 0> (own, filled) "
    )
    return text + "steps = Reshape (scale, aligned) zeros = Reshape (zero_point, aligned) "


def _typed(name: str, number: int) -> str:
    """`number` after a cast to the type of the zero point, as float64."""
    text = f"{name}_i = Constant <value: tensor = int64 {{{number}}}> () "
    return text + f"{name}_t = CastLike ({name}_i, zero_point) {name} = Cast <to: int = 11> ({name}_t) "


def _double(name: str, number: float) -> str:
    return f"{name} = Constant <value: tensor = double {{{float(number)!r}}}> () "
