"""Whose arithmetic a compiled model has: the quantized model's, or the hardware's.

A quantized ONNX model rounds halves to even and divides sums of average pools exactly; a DPU rounds halves up,
floor(x + 1/2), and multiplies sums by factors such as 7/64. The compiled model says per tensor how it rounds, and the
software DPU does as it says. By default that is what the quantized model computed, so that a deployed model gives its
numbers to the last bit; `as_hardware` gives what the hardware will make of it.

Source: user guide UG1414, chapter 3; rounding mode DPU_ROUND of XIR.
"""

from __future__ import annotations

from dataclasses import replace

from quantforge.numerics.law import average_pool_factor
from quantforge.xmodel.model import Attr, XModel, XOp

HARDWARE_ROUNDING = Attr("string", "DPU_ROUND")
WHOLE_WINDOW = Attr("bool", True)
_COUNTED = ("count_include_pad", "count_include_invalid")


def as_hardware(model: XModel) -> XModel:
    """A copy of a flat quantized `model` whose activations round and average as a DPU does.

    Constants stay as they are: they are integers already, whoever rounded them.
    """
    changed = {name: _changed(model, op) for name, op in model.ops.items()}
    return replace(model, ops=changed)


def differs(model: XModel) -> bool:
    """Whether a flat quantized `model` computes otherwise than the hardware."""
    return any(_changed(model, op) is not op for op in model.ops.values())


def _changed(model: XModel, op: XOp) -> XOp:
    attrs = op.attrs
    if op.kind == "fix" and attrs.get("round_mode") != HARDWARE_ROUNDING:
        source = op.arg("input")
        if source is None or model.ops[source].kind != "const":
            attrs = {**attrs, "round_mode": HARDWARE_ROUNDING}
    kernel = _averaged(model, op)
    if op.get("avg_exact") and kernel is not None:
        attrs = {name: attr for name, attr in attrs.items() if name != "avg_exact"}
        attrs |= {name: WHOLE_WINDOW for name in _COUNTED if name in attrs}  # its factor knows no borders
        attrs["dpu_factor"] = Attr("int32_vec", tuple(average_pool_factor(kernel)))
    return op if attrs is op.attrs else replace(op, attrs=attrs)


def _averaged(model: XModel, op: XOp) -> tuple[int, int] | None:
    """The window of an average over an image; None for any other operator."""
    if op.kind == "avgpool2d":
        kernel = op.get("kernel", ())
        return (int(kernel[0]), int(kernel[1])) if len(kernel) == 2 else None
    source = op.arg("input")
    if op.kind != "reduction_mean" or source is None:
        return None
    shape = model.ops[source].tensor.shape
    axes = sorted(axis % len(shape) for axis in op.get("axis", ()))
    return (shape[1], shape[2]) if len(shape) == 4 and axes == [1, 2] else None
