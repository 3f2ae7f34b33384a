"""The graph of an inspection, coloured by device: Graphviz text, SVG and PNG, made without Graphviz."""

from __future__ import annotations

from quantforge.inspection import Inspection, Verdict
from quantforge.reporting.box_drawing import Box, to_dot, to_png, to_svg
from quantforge.reporting.inspection_wording import drawn

FILLS = {"USER": "#e6e8ec", "DPU": "#cfe8d5", "CPU": "#f6c9b8"}


def inspection_dot(inspection: Inspection) -> str:
    """Graphviz text; operators of a subgraph stand in a cluster."""
    boxes, sources = _boxes(inspection)
    return to_dot(inspection.model, boxes, sources)


def inspection_svg(inspection: Inspection) -> str:
    """An SVG file of its own."""
    return to_svg(*_boxes(inspection))


def inspection_png(inspection: Inspection) -> bytes:
    """The bytes of a PNG file."""
    return to_png(*_boxes(inspection))


def _boxes(inspection: Inspection) -> tuple[list[Box], dict[str, tuple[str, ...]]]:
    group_of = {
        name: f"{index} {group.device}" for index, group in enumerate(inspection.groups) for name in group.ops
    }
    boxes, sources = [], {}
    for verdict, read in drawn(inspection):
        boxes.append(_box(verdict, group_of.get(verdict.name)))
        sources[verdict.name] = read
    return boxes, sources


def _box(verdict: Verdict, group: str | None) -> Box:
    reasons = [f"{reason.id}: {reason}; try: {reason.fix}" for reason in verdict.reasons]
    where = f"{verdict.device}, fused into {verdict.fused_into}" if verdict.fused_into else verdict.device
    tip = "\n".join([verdict.name, f"{verdict.kind} {list(verdict.shape)}", where, *reasons, *verdict.notes])
    return Box(verdict.name, verdict.kind, verdict.name, FILLS[verdict.device], tip, group)
