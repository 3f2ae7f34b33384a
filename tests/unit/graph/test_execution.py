from __future__ import annotations

import numpy as np

from quantforge.graph import Graph, Value
from quantforge.graph.execution import Executor, Session
from quantforge.ops.interpreter import Interpreter


def test_the_interpreter_is_an_executor() -> None:
    executor: Executor = Interpreter()
    session: Session = executor.session(Graph("g", [Value("x", (1,))], inputs=["x"]), ["x"])
    assert session.run({"x": np.ones(1, np.float32)})["x"].tolist() == [1.0]
