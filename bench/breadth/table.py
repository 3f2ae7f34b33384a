"""The rows as a Markdown page."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.breadth.row import BATCH, CALIBRATION_BATCHES, Row

_HEAD = """# Torch models: what the door was tried on

Written by `python -m bench.breadth`; do not edit. Every architecture is built with random weights, small and in the
manner of its publication, from plain torch (`bench/breadth/`) or from a configuration of `transformers`. Batch
normalizations get the statistics of the data first, linear layers unit gain. Each is captured, calibrated on
{batches} random batches of {batch}, quantized, run on data it has not seen, exported to ONNX and run in stock ONNX
Runtime.

{passed} of {total} pass: every stage works, and ONNX Runtime gives what the quantized torch module gives.

- **ops**: operators after folding = quantized + float; opaque ones (float, run in torch) are named with their number.
- **seconds**: capture, calibration with solving, export; one core.
- **SQNR**: output of the quantized torch module against the float module, of the worst output. Weights are random, so
  this says that arithmetic works, not what accuracy a trained model keeps: without training there is no margin.
- **ONNX Runtime**: largest difference to the quantized torch module, in steps of the output's grid, or relative to
  the largest value where the output is not quantized. Float operators (softmax, layer normalization, gelu) are
  computed in another order there, and what lies near the middle between two steps may then go to the other one and
  grow on its way. In dB: the output against that difference.
- **recipe**: `torch-dpu` is what `torch_quantizer` does by default (int8, powers of two); `npu-transformer` has free
  scales.

| architecture | recipe | parameters | ops | quantized | float | opaque | seconds | SQNR dB | ONNX Runtime |
| --- | --- | ---: | ---: | ---: | ---: | --- | --- | ---: | --- |
"""


def page(rows: Sequence[Row]) -> str:
    """The whole page."""
    head = _HEAD.format(
        batches=CALIBRATION_BATCHES, batch=BATCH, passed=sum(row.passed for row in rows), total=len(rows)
    )
    return head + "".join(f"{_line(row)}\n" for row in rows) + _failures(rows)


def _line(row: Row) -> str:
    opaque = ", ".join(f"{name} {count}" for name, count in row.opaque.items())
    seconds = " + ".join(
        "-" if s is None else f"{s:.1f}" for s in (row.capture_s, row.calibrate_s, row.export_s)
    )
    cells = [
        row.name, row.recipe, _number(row.parameters), _number(row.operators), _number(row.quantized),
        _number(row.floats), opaque, seconds, _decibels(row.sqnr_db), _runtime(row),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _decibels(value: float | None) -> str:
    if value is None:
        return "-"
    return "exact" if math.isinf(value) else f"{value:.1f}"


def _runtime(row: Row) -> str:
    if row.failure or not row.onnx:
        return "**fails**"
    parts = []
    if row.steps is not None:
        parts.append(
            "equal" if row.steps == 0 else f"{row.steps:.0f} steps, {_decibels(row.agreement_db)} dB"
        )
    if row.relative is not None:
        parts.append("equal" if row.relative == 0 else f"{row.relative:.0e} relative")
    return ", ".join(dict.fromkeys(parts)) or "no output"


def _failures(rows: Sequence[Row]) -> str:
    failed = [row for row in rows if not row.passed]
    if not failed:
        return ""
    lines = [f"- {row.name} ({row.recipe}): {row.failure or 'ONNX Runtime differs'}\n" for row in failed]
    return "\n## What fails\n\n" + "".join(lines)
