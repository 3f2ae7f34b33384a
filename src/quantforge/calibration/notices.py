"""What is wrong or odd about the values of a tensor, said with the operator that computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quantforge.calibration.sketch import Sketch
from quantforge.diagnostics import CalibrationError, Diagnostic
from quantforge.graph import Graph


def check_numbers(
    sketches: Mapping[str, Sketch], names: Sequence[str], batch: int, graph: Graph | None
) -> None:
    """Refuse NaN and infinities.

    Raises:
        CalibrationError: Q0203 naming the first tensor of `names` that has some.
    """
    for name in names:
        sketch = sketches[name]
        if sketch.special:
            below, above = sketch.infinities
            kinds = ((sketch.nans, "NaN"), (below, "-inf"), (above, "+inf"))
            found = " and ".join(f"{count} {kind}" for count, kind in kinds if count)
            given = graph is not None and name in graph.inputs
            raise CalibrationError(
                "Q0203",
                f"{_described(name, graph)}, batch {batch}",
                found,
                "finite numbers",
                "look for bad values in this batch of the data"
                if given
                else "run the float model on this batch; if it is meant to be so, keep the operator in float",
            )


def notices_of(sketches: Mapping[str, Sketch], graph: Graph | None) -> tuple[Diagnostic, ...]:
    """Remarks on tensors that were zero, constant or empty throughout."""
    return tuple(notice for name, sketch in sketches.items() for notice in _notices(name, sketch, graph))


def _notices(name: str, sketch: Sketch, graph: Graph | None) -> list[Diagnostic]:
    where = _described(name, graph)
    if not sketch.finite:
        fix = "use data for which this part of the model has something to do"
        return [Diagnostic("Q0206", where, "no values in any batch", "values", fix)]
    if sketch.lo == sketch.hi == 0.0:
        fix = "check that the data reaches this tensor; it gets scale 1"
        return [Diagnostic("Q0204", where, f"{sketch.count} zeros", "values that differ", fix)]
    if sketch.lo == sketch.hi:
        fix = "check that the data varies; the range is from 0 to this value"
        return [Diagnostic("Q0205", where, f"only the value {sketch.lo:g}", "values that differ", fix)]
    return []


def _described(name: str, graph: Graph | None) -> str:
    if graph is None or not graph.has_value(name):
        return f"tensor {name!r}"
    if name in graph.inputs:
        return f"input {name!r}"
    op = graph.producer(name)
    return f"tensor {name!r}" if op is None else f"tensor {name!r}, computed by {op.name!r} ({op.kind})"
