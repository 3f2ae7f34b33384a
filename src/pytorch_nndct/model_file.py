"""``<Model>.py``: the readable source of the quantized model, where the names of its layers can be looked up."""

from __future__ import annotations

import logging
from pathlib import Path

from quantforge.diagnostics import UnsupportedError
from quantforge.files import write_atomic
from quantforge.frontends.torch.model_source import model_source
from quantforge.graph import Graph

logger = logging.getLogger("pytorch_nndct")


def write_model_file(graph: Graph, folder: Path) -> Path | None:
    """Write the source of `graph`; None, with notice Q1461, when it cannot be written.

    Raises:
        InputError: Q0601 when the folder is not writable.
    """
    try:
        text = model_source(graph)
    except UnsupportedError as reason:
        logger.warning("%s", reason.diagnostic)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return write_atomic(folder / f"{graph.name}.py", text)
