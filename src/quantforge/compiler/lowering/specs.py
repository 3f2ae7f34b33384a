"""`QuantSpec` to the attributes of a `fix` operator.

fix: q = clip(round(x * 2**fix_point)), y = q * 2**-fix_point, so only one power-of-two scale per tensor without a
zero point can be expressed. The names of rounding modes are XIR's: DPU_ROUND takes ties up, STD_ROUND away from
zero, PY3_ROUND to even.
"""

from __future__ import annotations

import numpy as np

from quantforge.diagnostics import InputError, InternalError
from quantforge.graph import Array, QuantSpec, Value
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.xmodel.model import Attr, Attrs

ROUND_MODES = {
    Rounding.HALF_EVEN: "PY3_ROUND",
    Rounding.HALF_UP: "DPU_ROUND",
    Rounding.HALF_AWAY: "STD_ROUND",
}
_EXACT_BITS = 24  # integers of a float32


def fix_attrs(value: Value) -> Attrs:
    """fix_point, bit_width, if_signed and round_mode for the spec of `value`.

    Raises:
        InputError: Q1152 for a spec that `fix` cannot express.

    >>> from quantforge.numerics.formats import INT8
    >>> spec = QuantSpec.power_of_two(INT8, 5, Rounding.HALF_UP)
    >>> [attr.value for attr in fix_attrs(Value("x", (1,), quant=spec)).values()]
    [5, 8, True, 'DPU_ROUND']
    """
    spec = value.quant
    if spec is None:
        raise InternalError("Q1190", value.name, "no spec", "a quantized value", "report this bug")
    found = _obstacle(value, spec)
    form, position = spec.format, spec.position
    if found is not None or position is None or not isinstance(form, IntFormat):
        raise InputError(
            "Q1152",
            f"tensor {value.name!r}",
            found or "no power-of-two scale",
            "one power-of-two scale for the tensor, no zero point",
            "quantize with recipe='dpu-cnn'",
        )
    return {
        "fix_point": Attr("int32", position),
        "bit_width": Attr("int32", form.bits),
        "if_signed": Attr("bool", form.signed),
        "round_mode": Attr("string", ROUND_MODES.get(spec.rounding, "PY3_ROUND")),
    }


def _obstacle(value: Value, spec: QuantSpec) -> str | None:
    """What about `spec` no fix operator says, or None. Constants are rounded already, when they are written."""
    if not isinstance(spec.format, IntFormat):
        return f"format {spec.format}"
    if spec.axis is not None and len(spec.scale) > 1:
        return f"{len(spec.scale)} scales along axis {spec.axis}"
    if any(spec.zero_point):
        return f"zero point {spec.zero_point[0]}"
    if spec.position is None:
        return f"scale {spec.scale[0]:g}"
    if not value.is_const and spec.format.narrow:
        return f"the narrow range of {spec.format}"
    if not value.is_const and spec.rounding not in ROUND_MODES:
        return f"rounding {spec.rounding.value}"
    return None


def constant_data(value: Value) -> Array:
    """The data of a constant, on the grid of its spec when it has one.

    Raises:
        InputError: Q1152 when float32 cannot hold its integers.
    """
    data = np.asarray(value.const)
    spec = value.quant
    if spec is None or spec.position is None:
        return data
    rounded = fake_quantize_value(data, spec, value.name)
    if isinstance(spec.format, IntFormat) and spec.format.bits > _EXACT_BITS:
        largest = float(np.abs(rounded).max(initial=0.0)) / spec.scale[0]
        if largest > 2**_EXACT_BITS:
            raise InputError(
                "Q1152",
                f"tensor {value.name!r}",
                f"an integer of {largest:.0f}",
                f"at most 2**{_EXACT_BITS}, which float32 holds exactly",
                "quantize with recipe='dpu-cnn', whose biases have 8 bits",
            )
    return rounded
