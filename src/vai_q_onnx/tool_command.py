"""The command lines of `vai_q_onnx.tools`: an input, an output, and what `quantforge convert` does.

Releases of the original differ in the names of the two options, so several are known; both may also be given without
a name, in this order.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from quantforge.diagnostics import InputError, QuantforgeError
from quantforge.frontends.onnx.conversions import CONVERSIONS, convert
from quantforge.frontends.onnx.fixed_shapes import fix_file
from vai_q_onnx.enums import PowerOfTwoMethod
from vai_q_onnx.quantize_static import quantize_static

INPUTS = ("--input", "--input_model", "--input_path", "-i")
OUTPUTS = ("--output", "--output_model", "--output_path", "--quant_model", "-o")
_SHAPE = re.compile(r"\s*(.+?)\s*:\s*\[([\d,\s]+)\]\s*")


def run_conversion(name: str, arguments: Sequence[str] | None = None) -> int:
    """One of `CONVERSIONS` as a program; returns its exit code."""
    parser = _parser(CONVERSIONS[name].summary)
    given = parser.parse_args(arguments)
    return _run(parser, given, lambda source, target: convert(name, source, target))


def run_random_quantize(arguments: Sequence[str] | None = None) -> int:
    """A DPU model from random data, to see whether a model can be quantized at all; returns the exit code."""
    parser = _parser("Quantize a model for a DPU with random data.")
    given = parser.parse_args(arguments)

    def quantize(source: Path, target: Path) -> None:
        quantize_static(
            source,
            target,
            None,
            calibrate_method=PowerOfTwoMethod.NonOverflow,
            enable_dpu=True,
            extra_options={"ActivationSymmetric": True},
            print_summary=False,
        )

    return _run(parser, given, quantize)


def run_fix_shapes(arguments: Sequence[str] | None = None) -> int:
    """Open sizes to fixed ones, as a program; returns its exit code."""
    parser = _parser("Open sizes of a model to fixed ones.")
    parser.add_argument("--fix_shapes", required=True, help="'x:[1,3,224,224];z:[1,10]'")
    given = parser.parse_args(arguments)
    return _run(
        parser, given, lambda source, target: fix_file(source, target, parse_shapes(given.fix_shapes))
    )


def parse_shapes(text: str) -> dict[str, list[int]]:
    """Shapes by input name.

    >>> parse_shapes("x:[1,3,8,8]; z:[2]")
    {'x': [1, 3, 8, 8], 'z': [2]}

    Raises:
        InputError: Q0614 when the text is none.
    """
    shapes = {}
    for part in filter(str.strip, text.split(";")):
        match = _SHAPE.fullmatch(part)
        if match is None:
            raise InputError("Q0614", "--fix_shapes", repr(part), "INPUT:[SIZES]", "'x:[1,3,224,224]'")
        shapes[match[1]] = [int(size) for size in match[2].split(",") if size.strip()]
    return shapes


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "files", nargs="*", type=Path, help="input and output, when they are not given by name"
    )
    parser.add_argument(*INPUTS, dest="source", type=Path, help="the model to read")
    parser.add_argument(*OUTPUTS, dest="target", type=Path, help="the model to write")
    return parser


def _run(
    parser: argparse.ArgumentParser, given: argparse.Namespace, action: Callable[[Path, Path], object]
) -> int:
    named = [path for path in (given.source, given.target) if path is not None]
    files = [*named, *given.files]
    if len(files) != 2 or (given.files and named):
        parser.error("give an input and an output")
    try:
        action(files[0], files[1])
    except QuantforgeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
