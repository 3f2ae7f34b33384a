"""What the user should know of operators that were replaced by what a DPU has."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from quantforge.diagnostics import Diagnostic
from quantforge.passes import dpu_leaky_relu, replace_relu6, replace_sigmoid, replace_swish
from quantforge.passes.result import Note

logger = logging.getLogger("pytorch_nndct")


@dataclass(frozen=True)
class _Replacement:
    message: str
    done: bool
    found: str
    expected: str
    fix: str


_ACCURACY = "compare its accuracy with and without"
_REPLACEMENTS = {
    replace_relu6.NAME: (
        _Replacement(
            "REPLACE_RELU6", True, "relu6 made relu", "relu, which equalization passes through",
            '"convert_relu6_to_relu": false in the configuration keeps them',
        ),
    ),
    replace_swish.NAME: (
        _Replacement("REPLACE_SILU", True, "silu made hardswish", "hardswish, which DPUs compute", _ACCURACY),
    ),
    replace_sigmoid.NAME: (
        _Replacement(
            "REPLACE_SIGMOID", True, "sigmoid made hardsigmoid", "hardsigmoid, which DPUs compute", _ACCURACY
        ),
    ),
    dpu_leaky_relu.NAME: (
        _Replacement(
            "LEAKYRELU", True, "a slope near 0.1 made 26/256", "the one slope of a DPU",
            "nothing: it makes next to no difference",
        ),
        _Replacement(
            "LEAKYRELU", False, "a slope far from 26/256, kept", "0.1, which DPUs round to 26/256",
            "train with LeakyReLU(0.1); a DPU leaves any other slope to the CPU",
        ),
    ),
}  # fmt: skip


_LISTED = 4


def say_replacements(notes: Iterable[Note]) -> None:
    """One notice Q0511 for each kind of replacement among `notes`, with the operators' names."""
    notes = tuple(notes)
    for made_by, kinds in _REPLACEMENTS.items():
        for kind in kinds:
            names = [note.op for note in notes if note.made_by == made_by and note.done is kind.done]
            if names:
                more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
                where = f"{', '.join(names[:_LISTED])}{more} (QUANTIZER_TORCH_{kind.message})"
                logger.warning("%s", Diagnostic("Q0511", where, kind.found, kind.expected, kind.fix))
