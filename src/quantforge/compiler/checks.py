"""What must hold of a model before it is compiled."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from quantforge.compiler.grid import Grid
from quantforge.compiler.options import ANY_INPUT, CompileOptions
from quantforge.diagnostics import InputError
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.catalogue import definition
from quantforge.xmodel.model import XModel

_FIXED_BATCH = ("DPUCADF8H",)  # computes a whole batch at once; the others take one image per engine


def check_flat(model: XModel, target: DpuTarget, options: CompileOptions) -> None:
    """See that `model` is a flat quantized one that `target` can take.

    Raises:
        InputError: Q1100 for a fix without its numbers, Q1101 when the model is not quantized or compiled already,
            Q1102 for operators in a circle, Q1103 for an input shape that is not the model's, Q1104 for a batch that
            the target does not take, Q1110 for an operator XIR does not know that does not say what it gives.
    """
    _check_form(model)
    for op in model.ops.values():
        if op.kind == "fix":
            Grid.of(op)
    _check_order(model)
    _check_custom(model)
    _check_inputs(model, target, options)


def _check_form(model: XModel) -> None:
    fixed = next((op for op in model.ops.values() if op.kind.endswith("-fix") or op.kind == "upload"), None)
    if fixed is not None:
        raise InputError(
            "Q1101",
            model.name,
            f"{fixed.name!r} of kind {fixed.kind}: the model is compiled already",
            "a quantized model, with fix operators between floating-point operators",
            "compile the file that the quantizer wrote",
        )
    if not any(op.kind == "fix" for op in model.ops.values()):
        raise InputError(
            "Q1101",
            model.name,
            "no fix operator: the model is not quantized",
            "a quantized model",
            "quantize it first: quantforge quantize MODEL --recipe dpu-cnn",
        )


def _check_order(model: XModel) -> None:
    seen: set[str] = set()
    late = False
    for op in model.ops.values():
        for name in op.producers:
            if name not in model.ops:
                raise InputError(
                    "Q1102",
                    op.name,
                    f"reads {name!r}, which does not exist",
                    "operators of the model",
                    "add it",
                )
            late = late or name not in seen
        seen.add(op.name)
    if not late:
        return
    sorter = TopologicalSorter({op.name: op.producers for op in model.ops.values()})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise InputError(
            "Q1102", model.name, f"the circle {circle}", "data that flows one way", "take one connection out"
        ) from error


def _check_custom(model: XModel) -> None:
    for op in model.ops.values():
        if definition(op.kind).custom and not {"shape", "data_type"} <= op.attrs.keys():
            raise InputError(
                "Q1110",
                op.name,
                f"an operator of kind {op.kind!r} without the attributes shape and data_type",
                "an operator of XIR, or a custom one that says what it gives",
                "correct the kind, or set shape (int32_vec) and data_type (string)",
            )


def _check_inputs(model: XModel, target: DpuTarget, options: CompileOptions) -> None:
    inputs = {op.name: op.tensor.shape for op in model.ops.values() if op.kind == "data"}
    for name, shape in options.input_shapes.items():
        held = next(iter(inputs.values()), None) if name == ANY_INPUT else inputs.get(name)
        if name == ANY_INPUT and len(inputs) > 1:
            held = None
        if held != shape:
            known = ", ".join(f"{key} {list(value)}" for key, value in inputs.items())
            where = f"input_shape of {name or 'the input'}"
            fix = "leave input_shape out: a quantized xmodel has fixed sizes"
            raise InputError("Q1103", "--options", f"{where}: {list(shape)}", known or "no inputs", fix)
    wrong = [(name, shape) for name, shape in inputs.items() if shape[0] != target.batch]
    if wrong and target.family in _FIXED_BATCH:
        name, shape = wrong[0]
        expected = f"a batch of {target.batch}, which {target.name} computes at once"
        raise InputError("Q1104", name, f"shape {list(shape)}", expected, "export the model with that batch")
