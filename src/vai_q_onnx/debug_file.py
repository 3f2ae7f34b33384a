"""`debug_mode`: a text file beside the quantized model with all that was decided.

It holds the whole report, a line for everything a pass did or refused, and the quantized graph as text with the scale
of every tensor.
"""

from __future__ import annotations

from pathlib import Path

from quantforge.files import write_atomic
from quantforge.graph import Graph
from quantforge.graph.text import print_graph
from quantforge.quantization.report import QuantizationReport


def write_debug_file(output: Path, graph: Graph, report: QuantizationReport) -> Path:
    """Write ``<output>.debug.txt`` and return its path.

    Raises:
        InputError: Q0601 when it cannot be written.
    """
    from quantforge.reporting import to_text

    notes = "\n".join(str(note) for note in report.notes)
    text = f"{to_text(report, full=True)}\n\nNotes\n{notes}\n\nGraph\n{print_graph(graph)}\n"
    return write_atomic(output.with_name(f"{output.name}.debug.txt"), text)
