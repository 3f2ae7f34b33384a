"""`RemoveInputInit=False`: initializers that the model also lists as inputs stay listed.

Who runs such a model may give another value for them. That is kept where the written model still has the constant as
it was: its name, its numbers. A constant that was folded, equalized or stored in integers is no input any more, and a
notice (Q0718) names it. With `AddQDQPairToWeight` weights stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from quantforge.diagnostics import Diagnostic
from quantforge.frontends.onnx.load import LoadedModel, load_model
from quantforge.graph import Graph

NAMED = 4


def input_constants(model: Any) -> LoadedModel:
    """The model, read for its inputs that have initializers."""
    loaded = load_model(model)
    listed = {value.name for value in loaded.model.graph.input}
    loaded.arrays = {name: array for name, array in loaded.arrays.items() if name in listed}
    return loaded


def listing(loaded: LoadedModel, graph: Graph, lost: list[str]) -> Callable[[Any], None]:
    """A last change to a ModelProto: list what has survived as inputs, and append the other names to `lost`."""

    def finish(model: Any) -> None:
        made = {name for node in model.graph.node for name in node.output}
        read = {name for node in model.graph.node for name in node.input} - made
        for value in loaded.model.graph.input:
            if value.name not in loaded.arrays:
                continue
            if value.name in read and _is_unchanged(graph, value.name, loaded.arrays):
                model.graph.input.append(value)
            else:
                lost.append(value.name)

    return finish


def lost_notice(lost: list[str]) -> Diagnostic:
    """Q0718: these constants cannot be given by the caller any more."""
    more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    return Diagnostic(
        "Q0718",
        "option RemoveInputInit",
        f"{', '.join(lost[:NAMED])}{more} folded or stored in integers",
        "constants that are as they were",
        "extra_options={'AddQDQPairToWeight': True} and optimize_model=False keep more of them",
    )


def _is_unchanged(graph: Graph, name: str, arrays: Mapping[str, Any]) -> bool:
    const = graph.value(name).const if graph.has_value(name) else None
    return const is not None and np.array_equal(const, arrays[name])
