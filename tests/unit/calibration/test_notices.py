"""Remarks and refusals name the tensor, its operator and what was found."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.calibration.notices import check_numbers, notices_of
from quantforge.calibration.sketch import Sketch, sketch_of
from quantforge.diagnostics import CalibrationError
from quantforge.graph import Graph, Op, Value

GRAPH = Graph(
    "net",
    inputs=("x",),
    outputs=("y",),
    values=[Value("x", (1, 3), "float32"), Value("y", (1, 3), "float32")],
    ops=[Op("relu", "act", ("x",), ("y",))],
)


def sketch(*values: float) -> Sketch:
    return sketch_of([np.array(values, np.float32)])


def test_numbers_pass() -> None:
    check_numbers({"x": sketch(1, 2)}, ["x"], 0, GRAPH)


def test_nan_names_the_first_tensor_its_operator_and_the_batch() -> None:
    sketches = {"x": sketch(1.0), "y": sketch(np.nan, np.nan, np.inf, 1.0)}
    with pytest.raises(CalibrationError) as caught:
        check_numbers(sketches, ["x", "y"], 3, GRAPH)
    assert str(caught.value) == (
        "Q0203 tensor 'y', computed by 'act' (relu), batch 3: found 2 NaN and 1 +inf; expected finite numbers; "
        "try: run the float model on this batch; if it is meant to be so, keep the operator in float"
    )


def test_nan_in_an_input_points_to_the_data() -> None:
    with pytest.raises(
        CalibrationError, match=r"Q0203 input 'x', batch 0: found 1 -inf.*in this batch of the data"
    ):
        check_numbers({"x": sketch(-np.inf)}, ["x"], 0, GRAPH)


def test_remarks() -> None:
    sketches = {"x": sketch(0.0, 0.0), "y": sketch(2.5, 2.5, 2.5), "z": Sketch(), "w": sketch(1, 2)}
    assert [str(notice) for notice in notices_of(sketches, GRAPH)] == [
        "Q0204 input 'x': found 2 zeros; expected values that differ; "
        "try: check that the data reaches this tensor; it gets scale 1",
        "Q0205 tensor 'y', computed by 'act' (relu): found only the value 2.5; expected values that differ; "
        "try: check that the data varies; the range is from 0 to this value",
        "Q0206 tensor 'z': found no values in any batch; expected values; "
        "try: use data for which this part of the model has something to do",
    ]
