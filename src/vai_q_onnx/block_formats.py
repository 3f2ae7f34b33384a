"""VitisQuantFormat.BFPFixNeuron: every value that would be quantized is stored in a block format instead.

Blocks scale themselves, so there is nothing to calibrate: the reader's first batch only serves to measure what the
format costs. Biases and tensors without channels stay float32. Keys of `extra_options` set the attributes of the
same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from quantforge.calibration.data import open_data
from quantforge.calibration.runner import Calibration, guarded
from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import OnnxExecutor, input_infos
from quantforge.frontends.onnx.bfp_nodes import BfpAttributes, with_bfp_nodes
from quantforge.graph import Graph
from quantforge.passes.pipeline import prepare
from quantforge.quantization.assemble import assemble
from quantforge.quantization.flow import Quantized, graph_hash, preparation
from quantforge.quantization.measure import measure
from quantforge.quantization.placement import place
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.report import QuantizationReport

KEYS = tuple(vars(BfpAttributes()))


def attributes_from(extra: Mapping[str, Any]) -> BfpAttributes:
    """The attributes that `extra_options` give; what they leave out has its default.

    Raises:
        InputError: Q0702 for a value of the wrong type, Q0612 for a method or a rounding that does not exist, Q1475
            for a width or a size.
    """
    given = {key: extra[key] for key in KEYS if extra.get(key) is not None}
    for key, value in given.items():
        default = getattr(BfpAttributes(), key)
        if type(value) is not type(default):
            expected = "a whole number" if isinstance(default, int) else "a name"
            raise InputError("Q0702", f"extra_options[{key!r}]", repr(value), expected, repr(default))
    attributes = BfpAttributes(**given)
    _ = attributes.format  # which refuses widths that do not exist
    return attributes


def store_in_blocks(
    graph: Graph, reader: Any, recipe: Recipe, attributes: BfpAttributes, providers: tuple[str, ...]
) -> tuple[Graph, QuantizationReport]:
    """The graph in block formats, and a report of what it costs.

    Args:
        graph: A float graph.
        reader: Calibration data; its first batch is measured.
        recipe: Which passes run, and where quantization happens.
        attributes: The format.
        providers: Execution providers of ONNX Runtime.

    Raises:
        InputError: Q0507 when the recipe leaves nothing to store.
    """
    prepared = prepare(graph, preparation(recipe))
    base = prepared.graph
    places = place(base, recipe)
    names = [name for group in places.groups for name in group.sources]
    names += [place.value for place in places.weights]
    stored = with_bfp_nodes(base, names, attributes)
    if len(stored.ops) == len(base.ops):
        raise InputError(
            "Q0507", f"recipe {recipe.name}", "nothing to store in blocks", "a tensor with channels",
            "check that the model computes something",
        )  # fmt: skip
    data = open_data(reader, input_infos(graph))
    first = next(guarded(data), None)
    executor = OnnxExecutor(providers=providers)
    measured = None if first is None else measure(executor, base, stored, [first])
    empty = Places((), (), (), places.floats)
    batches, samples = (0, 0) if first is None else (1, len(next(iter(first.values()))))
    calibration = Calibration({}, batches, samples)
    found = Quantized(base, stored, empty, calibration, measured, prepared.notes, (), graph_hash(base))
    report = assemble(
        found, recipe, model=graph.name, source=data.description, tool_version=version("quantforge")
    )
    return stored, report
