"""The device-level subgraphs of a model as one picture."""

from __future__ import annotations

from pathlib import Path

from quantforge.files import write_atomic
from quantforge.reporting.box_drawing import Box, to_svg
from quantforge.xmodel.model import XModel
from quantforge.xmodel.trees import depends, in_order

COLOURS = {"DPU": "#bfe3c8", "CPU": "#f9d9a8", "USER": "#cfe0f7"}
PLAIN = "#eceff3"


def save_subgraphs(model: XModel, path: Path) -> None:
    """Write an SVG picture with a box per device-level subgraph; an arrow says that one reads another.

    Raises:
        InputError: Q0601 when the file cannot be written.
    """
    parts = in_order(model, model.root.children) or [model.root]
    boxes = []
    for part in parts:
        device, count = str(part.get("device", "")), sum(1 for _ in part.all_ops())
        title = f"{device or 'not compiled'}, {count} operators"
        boxes.append(Box(part.name, title, part.name, COLOURS.get(device, PLAIN), f"{part.name}\n{title}"))
    reads = depends(model, parts)
    sources = {part.name: [parts[other].name for other in sorted(reads[i])] for i, part in enumerate(parts)}
    write_atomic(path, to_svg(boxes, sources))
