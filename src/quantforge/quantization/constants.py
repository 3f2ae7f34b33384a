"""Statistics of constants that share a spec with values of the run, such as the table that a gather reads.

A constant is known before any data is: its sketch is that of its own numbers, all of them, also the rows that no
calibration sample asks for.
"""

from __future__ import annotations

from dataclasses import replace

from quantforge.calibration.runner import Calibration
from quantforge.calibration.sketch import sketch_of
from quantforge.graph import Graph
from quantforge.quantization.places import Places


def with_constants(calibration: Calibration, graph: Graph, places: Places) -> Calibration:
    """`calibration` with sketches of the constants that decide a spec together with other values.

    A constant with a spec of its own needs none: `weights.constant_spec` reads its data.
    """
    found = {
        source: sketch_of([data])
        for group in places.groups
        if len(group.values) > 1
        for source in group.sources
        if (data := graph.value(source).const) is not None and source in places.rules
    }
    return replace(calibration, sketches={**calibration.sketches, **found}) if found else calibration
