from __future__ import annotations

import numpy as np
import pytest

from quantforge.compiler.lowering.concrete import concrete
from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import import_model
from quantforge.graph import Graph, Op, Value
from tests.unit.frontends.onnx.text_models import model

FREE = "g (float[N,3,H,W] x, float[N,W] z) => (y) { y = Relu(x) w = Relu(z) }"


def test_a_batch_axis_gets_its_size_and_inference_the_rest() -> None:
    graph = import_model(model("g (float[N,3,4,4] x) => (y) { r = Relu(x) y = Flatten(r) }"))
    assert concrete(graph).value("y").shape == (1, 48)
    assert concrete(graph, batch=4).value("y").shape == (4, 48)
    assert graph.value("y").shape == ("N", 48)  # the graph itself is left alone


def test_given_shapes_bind_the_names_of_sizes_in_other_inputs() -> None:
    graph = import_model(model(FREE))
    fixed = concrete(graph, input_shapes={"x": (2, 3, 8, 6)})
    assert fixed.value("z").shape == (2, 6) and fixed.value("y").shape == (2, 3, 8, 6)


@pytest.mark.parametrize(
    ("shapes", "found"),
    [
        ({}, "the size 'H' on axis 2"),
        ({"nobody": (1,)}, "no input of this name"),
        ({"x": (1, 4, 8, 8)}, "[1, 4, 8, 8]"),
        ({"x": (1, 3, 8)}, "[1, 3, 8]"),
        ({"x": (1, 3, 0, 8)}, "[1, 3, 0, 8]"),
    ],
)
def test_sizes_that_are_missing_or_wrong(shapes: dict[str, tuple[int, ...]], found: str) -> None:
    with pytest.raises(InputError) as error:
        concrete(import_model(model(FREE)), input_shapes=shapes)
    assert error.value.diagnostic.code == "Q1150" and found in error.value.diagnostic.found


def test_an_input_of_unknown_rank() -> None:
    graph = Graph("g", [Value("x", None), Value("y", None)], [Op("relu", "r", ("x",), ("y",))], ["x"], ["y"])
    with pytest.raises(InputError, match="Q1150"):
        concrete(graph)
    assert concrete(graph, input_shapes={"x": (2, 3)}).value("y").shape == (2, 3)


def test_sizes_that_depend_on_data() -> None:
    graph = import_model(model("g (float[3] x) => (y) { i = NonZero(x) y = Cast <to = 1> (i) }"))
    with pytest.raises(InputError) as error:
        concrete(graph)
    assert error.value.diagnostic.code == "Q1151" and "'i'" in error.value.diagnostic.where


def test_nothing_may_be_empty() -> None:
    text = "g (float[3] x) => (y) { y = Slice(x, b, e) }"
    graph = import_model(model(text, b=np.array([2]), e=np.array([2])))
    with pytest.raises(InputError, match="Q1151"):
        concrete(graph)


def test_recorded_types_are_kept() -> None:
    graph = import_model(model("g (int64[3] x, float[3] z) => (y) { y = Pow(x, z) }"))
    assert concrete(graph).value("y").dtype == "int64"
