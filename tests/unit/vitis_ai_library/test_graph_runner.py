from __future__ import annotations

import numpy as np
import pytest

import vitis_ai_library
import xir
from quantforge.diagnostics import InputError
from quantforge.runtime import GraphRunner
from tests.compiled_xmodels import classifier


def test_the_documented_use() -> None:
    graph = xir.Graph.from_model(classifier())
    runner = vitis_ai_library.GraphRunner.create_graph_runner(graph)
    inputs, outputs = runner.get_inputs(), runner.get_outputs()
    image = np.random.default_rng(0).integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)
    np.array(inputs[0], copy=False)[...] = image
    job = runner.execute_async(inputs, outputs)
    assert runner.wait(job) == 0
    with GraphRunner(classifier(), "ref") as reference:
        np.testing.assert_array_equal(np.array(outputs[0], copy=False), reference.run(image)[0])
    assert runner.get_input_tensors()[0].get_attr("fix_point") == 6
    assert runner.get_output_tensors()[0].dtype == "float32"


def test_what_is_no_graph() -> None:
    with pytest.raises(InputError, match=r"Q1207 create_graph_runner: found a str"):
        vitis_ai_library.GraphRunner.create_graph_runner("model.xmodel")
