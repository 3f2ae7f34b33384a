from __future__ import annotations

import numpy as np

from quantforge.graph import Graph, Value
from quantforge.graph.execution import Executor, Session, sample_count
from quantforge.ops.interpreter import Interpreter


def test_the_interpreter_is_an_executor() -> None:
    executor: Executor = Interpreter()
    session: Session = executor.session(Graph("g", [Value("x", (1,))], inputs=["x"]), ["x"])
    assert session.run({"x": np.ones(1, np.float32)})["x"].tolist() == [1.0]


def test_samples_are_counted_by_the_first_array_with_axes() -> None:
    scalar, one, images = np.float32(1.0), np.ones(1), np.zeros((4, 3, 2, 2))
    assert sample_count({"scale": np.asarray(scalar), "x": images, "y": one}) == 4
    assert sample_count({"scale": np.asarray(scalar)}) == sample_count({}) == 1
