from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import vart
import xir
from quantforge.diagnostics import InputError
from quantforge.runtime.program import program_of
from quantforge.runtime.reference import ReferenceEngine
from tests.compiled_xmodels import classifier, dpu_part

MODEL = classifier()


def get_child_subgraph_dpu(graph: Any) -> list[Any]:
    """As the examples of the user guide find the DPU's part."""
    root_subgraph = graph.get_root_subgraph()
    child_subgraphs = root_subgraph.toposort_child_subgraph()
    return [cs for cs in child_subgraphs if cs.has_attr("device") and cs.get_attr("device").upper() == "DPU"]


def test_the_multi_threaded_example() -> None:
    """The pattern of the ResNet-50 example: one runner per thread on the same subgraph, full batches, scales."""
    g = xir.Graph.from_model(MODEL)
    subgraphs = get_child_subgraph_dpu(g)
    assert len(subgraphs) == 1
    images = np.random.default_rng(0).normal(0, 0.5, (16, 8, 8, 3)).astype(np.float32)
    results: dict[int, np.ndarray[Any, Any]] = {}

    def run(runner: Any, start: int) -> None:
        input_tensors, output_tensors = runner.get_input_tensors(), runner.get_output_tensors()
        input_ndim, output_ndim = tuple(input_tensors[0].dims), tuple(output_tensors[0].dims)
        input_scale = 2 ** input_tensors[0].get_attr("fix_point")
        output_scale = 1 / 2 ** output_tensors[0].get_attr("fix_point")
        for index in range(start, start + 4):
            input_data = [np.empty(input_ndim, dtype=np.int8, order="C")]
            output_data = [np.empty(output_ndim, dtype=np.int8, order="C")]
            input_data[0][0, ...] = (images[index] * input_scale).astype(np.int8)
            job_id = runner.execute_async(input_data, output_data)
            runner.wait(job_id)
            results[index] = output_data[0][0] * output_scale

    runners = [vart.Runner.create_runner(subgraphs[0], "run") for _ in range(4)]
    threads = [threading.Thread(target=run, args=(runner, 4 * i)) for i, runner in enumerate(runners)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fixed = (images * 64).astype(np.int8)
    expected = ReferenceEngine(program_of(MODEL, dpu_part(MODEL))).run({"image": fixed})["logits"]
    np.testing.assert_array_equal(np.stack([results[i] for i in range(16)]), expected / 2)


def test_tensors_look_like_xirs() -> None:
    runner = vart.Runner.create_runner((MODEL, dpu_part(MODEL)), "ref")
    tensor = runner.get_input_tensors()[0]
    assert (tensor.name, tensor.dims, tensor.ndim, tensor.dtype) == ("image_t", [1, 8, 8, 3], 4, "xint8")
    assert tensor.get_data_size() == 192


def test_dynamic_arrays() -> None:
    runner = vart.Runner.create_runner((MODEL, dpu_part(MODEL)), "run")
    x, out = np.zeros((3, 8, 8, 3), np.int8), np.empty((3, 10), np.int8)
    assert runner.wait(runner.execute_async([x], [out], enable_dynamic_array=True)) == 0
    assert (out == out[0]).all()


def test_buffers_of_the_runner() -> None:
    runner = vart.RunnerExt.create_runner((MODEL, dpu_part(MODEL)), "run")
    assert isinstance(runner, vart.RunnerExt)
    inputs, outputs = runner.get_inputs(), runner.get_outputs()
    assert isinstance(inputs[0], vart.TensorBuffer)
    assert inputs[0].get_tensor().name == "image_t"
    np.array(inputs[0], copy=False)[...] = 1
    assert runner.wait(runner.execute_async(inputs, outputs)) == 0
    expected = ReferenceEngine(program_of(MODEL, dpu_part(MODEL))).run(
        {"image": np.ones((1, 8, 8, 3), np.int8)}
    )
    np.testing.assert_array_equal(np.asarray(runner.get_outputs()[0]), expected["logits"])


@pytest.mark.parametrize("mode", ["", "fast"])
def test_modes_that_do_not_exist(mode: str) -> None:
    with pytest.raises(InputError, match=r"Q1207"):
        vart.Runner.create_runner((MODEL, dpu_part(MODEL)), mode)


def test_what_is_no_subgraph() -> None:
    with pytest.raises(InputError, match=r"Q1207 .*VART_RUNNER_CONSTRUCTION_FAIL: a NoneType"):
        vart.Runner.create_runner(None, "run")
