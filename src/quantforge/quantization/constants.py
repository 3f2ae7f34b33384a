"""Statistics of constants that share a spec with values of the run, such as the table that a gather reads.

A constant is known before any data is: its sketch is that of its own numbers, all of them, also the rows that no
calibration sample asks for. Where a rule has a statistic over batches, every batch saw the whole constant.
"""

from __future__ import annotations

from dataclasses import replace

from quantforge.calibration.choose import range_of
from quantforge.calibration.history import History, needs_history
from quantforge.calibration.runner import Calibration
from quantforge.calibration.sketch import Sketch, sketch_of
from quantforge.graph import Graph
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import TensorRule


def with_constants(calibration: Calibration, graph: Graph, places: Places) -> Calibration:
    """`calibration` with the statistics of constants that decide a spec together with other values.

    A constant with a spec of its own needs none: `weights.constant_spec` reads its data.
    """
    found = {
        source: sketch_of([data])
        for group in places.groups
        if len(group.values) > 1
        for source in group.sources
        if (data := graph.value(source).const) is not None and source in places.rules
    }
    rules = {name: places.rules[name] for name in found if needs_history(places.rules[name])}
    histories = {name: _repeated(found[name], rule, calibration.batches) for name, rule in rules.items()}
    if not found:
        return calibration
    return replace(
        calibration,
        sketches={**calibration.sketches, **found},
        histories={**calibration.histories, **histories},
        rules={**calibration.rules, **rules},
    )


def _repeated(sketch: Sketch, rule: TensorRule, batches: int) -> History:
    history, extent = History(), range_of(sketch, rule)
    for _ in range(batches):
        history.append(extent)
    return history
