"""What the Inspector prints and writes: a table for the screen, and a text with every operator.

The text has the parts that the user guide UG1414 describes: what the fields mean, hints on permutations, the target,
a summary, and a block per operator. Operators are called by their layers: the paths of the user's modules.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from quantforge.inspection import Inspection, Verdict
from quantforge.reporting.inspection_wording import counts, headline, share
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import XModel, XOp

WIDTH = 160
_RULE = "=" * WIDTH
_SILENT = ("const", "fix")
_NOT_SHOWN = ("data", "origin", "onnx_node", "onnx_opset", "onnx_inputs", "onnx_output", "shape", "data_type")
_COLUMNS = {"layer": 44, "type": 22, "device": 6}
_HINTS = (
    "A transpose between NCHW and NHWC is not part of your code: images lie channels last on a DPU, and an operator",
    "that needs them otherwise (view, reshape, softmax over channels) gets one in front. To be rid of it, keep the",
    "four axes: pool to 1x1 before flatten, use a 1x1 convolution for a linear layer, join over channels.",
)
_FIELDS = (
    ("layer", "path of the module and what it calls"),
    ("operator", "name of the operator in the xmodel"),
    ("device", "USER: given by the caller; DPU; CPU"),
    ("constraint", "why an operator is not on the DPU: what was found, and what is supported"),
    ("try", "the nearest change that would help"),
    ("fused into", "the operator that does it in the same step"),
    ("source", "where your code makes the call"),
)


@dataclass(frozen=True)
class Inspected:
    """An inspection with what is known of the model besides.

    `sources` has for each layer the places in the user's code, innermost last.
    """

    model: XModel
    inspection: Inspection
    target: DpuTarget
    sources: Mapping[str, Sequence[str]]

    @property
    def shown(self) -> tuple[Verdict, ...]:
        """The operators of the tables: no constants and no roundings."""
        return tuple(v for v in self.inspection.verdicts if v.kind not in _SILENT)


def table(verdicts: Iterable[Verdict], with_device: bool) -> str:
    """Operators with what keeps them off the DPU, one per line; long reasons are wrapped."""
    widths = {name: size for name, size in _COLUMNS.items() if with_device or name != "device"}
    left = sum(widths.values()) + 2 * len(widths)
    head = "  ".join(f"{name:<{size}}" for name, size in widths.items()) + "  constraint"
    lines = [head, "-" * WIDTH]
    for verdict in verdicts:
        cells = {"layer": layer_of(verdict), "type": verdict.kind, "device": verdict.device}
        row = "  ".join(f"{cells[name]:<{size}}" for name, size in widths.items())
        reason = " | ".join(map(str, verdict.reasons)) or "-"
        wrapped = textwrap.wrap(reason, max(40, WIDTH - left)) or [""]
        lines += [f"{row}  {wrapped[0]}", *(" " * left + rest for rest in wrapped[1:])]
    return "\n".join(lines)


def summary(inspected: Inspected) -> str:
    """The operators on the CPU as a table, or one line that says that there are none."""
    away = inspected.inspection.on_cpu
    if not away:
        return f"All {len(inspected.shown)} operators are assigned to the DPU or are inputs."
    return table(away, with_device=False)


def everything(inspected: Inspected) -> str:
    """All operators with their devices as a table."""
    return table(inspected.shown, with_device=True)


def report(inspected: Inspected) -> str:
    """The text of ``inspect_<target>.txt``."""
    found = inspected.inspection
    parts = [
        "# The fields",
        *(f"#   {name:<12}{meaning}" for name, meaning in _FIELDS),
        "#",
        "# Permutations",
    ]
    parts += [f"#   {line}" for line in _HINTS]
    parts += [_RULE, "TARGET", *_rows(_target_rows(inspected.target))]
    overall = [("model", found.model), ("subgraphs", counts(found)), ("on the DPU", share(found))]
    parts += [_RULE, "SUMMARY", *_rows([*overall, ("operators", headline(found))]), "", summary(inspected)]
    parts += [_RULE, "OPERATORS", ""]
    readers = inspected.model.consumers()
    for verdict in inspected.shown:
        parts += [*_rows(_operator_rows(inspected, verdict, readers[verdict.name])), ""]
    return "\n".join(parts)


def layer_of(verdict: Verdict) -> str:
    """The layer, or the operator's own name where it has none; moves that are put in front of a layer say so."""
    layer = verdict.origin or verdict.name
    return (
        f"{layer} (before it)"
        if any(note.startswith("layout_transpose") for note in verdict.notes)
        else layer
    )


def _target_rows(target: DpuTarget) -> list[tuple[str, str]]:
    return [
        ("name", target.name), ("family", target.family), ("fingerprint", target.fingerprint_text),
        ("batch", str(target.batch)),
    ]  # fmt: skip


def _operator_rows(
    inspected: Inspected, verdict: Verdict, readers: Sequence[str]
) -> Iterator[tuple[str, str]]:
    op = inspected.model.ops[verdict.name]
    yield "layer", layer_of(verdict)
    yield "operator", verdict.name
    yield "inputs", ", ".join(inspected.inspection.sources[verdict.name]) or "-"
    yield "outputs", ", ".join(readers) or "-"
    yield "type", verdict.kind
    yield "shape", _sizes(verdict.shape)
    yield "attributes", _attributes(op)
    yield "device", verdict.device
    if verdict.fused_into:
        yield "fused into", verdict.fused_into
    for reason in verdict.reasons:
        yield "constraint", f"{reason} ({reason.rule}, {reason.id})"
        yield "try", reason.fix
    for note in verdict.notes:
        yield "note", note
    for source in inspected.sources.get(verdict.origin or "", ()):
        yield "source", source


def _attributes(op: XOp) -> str:
    """The attributes that say what an operator does, without data."""
    shown = {name: attr.value for name, attr in sorted(op.attrs.items()) if name not in _NOT_SHOWN}
    texts = (f"{name}={list(v) if isinstance(v, tuple) else v}" for name, v in shown.items())
    return ", ".join(texts) or "-"


def _rows(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [f"  {label:<12}{text}" for label, text in rows]


def _sizes(shape: Sequence[int]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"
