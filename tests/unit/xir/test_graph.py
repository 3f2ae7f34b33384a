from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import xir
from quantforge.diagnostics import InputError
from tests.unit.xir.networks import names, op, small
from tests.unit.xmodel.samples import published


def test_a_graph_and_what_can_be_asked() -> None:
    graph = small()
    assert graph.get_name() == "small" and graph.get_op_num() == 7
    assert names(graph.get_ops()) == ["b", "c", "f", "r", "s", "w", "x"]
    assert [one.get_name() for one in graph.toposort()] == ["x", "w", "b", "c", "r", "f", "s"]
    assert names(graph.get_head_ops()) == ["b", "w", "x"] and names(graph.get_tail_ops()) == ["s"]
    assert op(graph, "c") is op(graph, "c") and graph.get_op("none") is None
    assert op(graph, "c").get_output_tensor().dims == [1, 8, 8, 3]
    tensor = graph.get_tensor("c")
    assert tensor is not None and graph.get_tensor_producer(tensor) is op(graph, "c")
    assert graph.get_tensor("none") is None and len(graph.get_tensors()) == 7
    assert repr(graph) == "<xir.Graph named 'small'>"
    assert str(graph) == "{name: 'small', op_num: 7, attrs: {}}"


def test_serialize_and_deserialize(tmp_path: Path) -> None:
    graph = small().set_attr("origin", "test")
    root = graph.get_root_subgraph()
    root.create_child_subgraph()
    root.merge_children({root.find_child_subgraph_by_op(op(graph, name)) for name in "cwb"}).set_attr(
        "device", "DPU"
    )
    graph.serialize(tmp_path / "m.xmodel")
    again = xir.Graph.deserialize(str(tmp_path / "m.xmodel"))
    assert again.model == graph.model
    found = again.get_root_subgraph().find_child_subgraph_by_op_name("c")
    assert (
        found is not None and found.get_attr("device") == "DPU" and names(found.get_ops()) == ["b", "c", "w"]
    )
    with pytest.raises(InputError, match="Q0902"):
        xir.Graph.deserialize(tmp_path / "none.xmodel")


def test_a_published_file() -> None:
    graph = xir.Graph.deserialize(published("mnist_DPUCV2DX8G_ISA1_C20B14"))
    children = graph.get_root_subgraph().toposort_child_subgraph()
    assert [child.get_attr("device") for child in children] == ["USER", "DPU", "CPU", "DPU", "CPU"]
    dpu = children[1]
    assert [tensor.producer.get_name() for tensor in dpu.get_input_tensors() if tensor.producer] == [
        "input_1"
    ]
    assert [tensor.dtype for tensor in dpu.get_output_tensors()] == ["xint8"]
    assert dpu.get_attr("runner")["run"] == "libvart-dpu-runner.so"


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
)
def test_constants(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    made = xir.Graph("g").create_const_op("k", array.T)
    assert made.get_output_tensor().dims == [3, 2] and made.get_output_tensor().dtype == dtype
    assert np.frombuffer(made.get_attr("data"), dtype).reshape(3, 2).tolist() == array.T.tolist()
    assert made.get_output_tensor().get_data_size() == array.nbytes
    scalar = xir.Graph("g").create_const_op("k", np.array(3).astype(dtype))
    assert scalar.get_output_tensor().dims == [1]


def test_constants_of_other_types_are_refused() -> None:
    for array in (np.array(["a"]), np.zeros(2, np.complex64), np.zeros(2, bool), np.zeros(2, np.float16)):
        with pytest.raises(InputError, match="Q0923 k: found XIR_INVALID_DATA_TYPE"):
            xir.Graph("g").create_const_op("k", array)


def test_operators_that_cannot_be_created() -> None:
    graph, other = small(), small()
    with pytest.raises(
        InputError, match="Q0921 small: found XIR_MULTI_DEFINED_OP: a second operator named 'r'"
    ):
        graph.create_op("r", "relu", input_ops={"input": [op(graph, "c")]})
    with pytest.raises(InputError, match="Q0921 small: found XIR_UNDEFINED_OP"):
        graph.create_op("y", "relu", input_ops={"input": [op(other, "c")]})
    with pytest.raises(InputError, match="Q0905"):
        graph.create_op("y", "relu")
    with pytest.raises(InputError, match="Q0906"):
        graph.create_op("y", "Mine", {"shape": [1]}, {"input": [op(graph, "c")]})
    with pytest.raises(InputError, match="Q0914"):
        graph.create_op("y", "data", {"shape": [1], "data_type": "what"})
    with pytest.raises(InputError, match=r"Q0921.*XIR_OP_DEF_SHAPE_HINT_MISSING"):
        graph.create_op("y", "priorbox", dict(PRIORBOX), {"input": [op(graph, "c")]})
    hinted = graph.create_op("y", "priorbox", {**PRIORBOX, "shape": [1, 2]}, {"input": [op(graph, "c")]})
    assert graph.get_op_num() == 8 and hinted.get_output_tensor().dims == [1, 2]


PRIORBOX = {
    "min_sizes": [1.0], "flip": True, "clip": False, "variance": [0.1], "step": [8.0, 8.0], "offset": 0.5,
}  # fmt: skip


def test_removing() -> None:
    graph = small()
    with pytest.raises(InputError, match="Q0921 small: found XIR_REMOVE_OP_FAIL: 'r', which 'f' reads"):
        graph.remove_op(op(graph, "r"))
    last = op(graph, "s")
    graph.get_root_subgraph().create_child_subgraph()
    graph.remove_op(last)
    assert graph.get_op("s") is None and names(graph.get_tail_ops()) == ["f"]
    assert graph.get_root_subgraph().get_children_num() == 6
    with pytest.raises(InputError, match=r"Q0921.*XIR_UNDEFINED_OP"):
        graph.remove_op(last)


def test_new_operators_find_their_subgraph() -> None:
    graph = small()
    root = graph.get_root_subgraph()
    graph.create_op("y", "relu", input_ops={"input": [op(graph, "s")]})
    assert root.has_op("y")
    root.create_child_subgraph()
    leaf = root.find_child_subgraph_by_op_name("s")
    graph.create_op("z", "relu", input_ops={"input": [op(graph, "y")]}, subgraph=leaf)
    alone = graph.create_op("a", "relu", input_ops={"input": [op(graph, "z")]})
    assert graph.get_leaf_subgraph(op(graph, "z")) is leaf
    found = graph.get_leaf_subgraph(alone)
    assert found is not None and found.get_name() == "subgraph_a" and found.depth == 1
    assert graph.get_leaf_subgraph(op(small(), "s")) is None


def test_inferring_again() -> None:
    graph = small()
    op(graph, "c").set_attr("stride", [2, 2])
    graph.infer_shape()
    assert [op(graph, name).get_output_tensor().dims for name in "crs"] == [[1, 4, 4, 3]] * 3


@pytest.mark.parametrize("form", ["png", "svg", "dot"])
def test_pictures(tmp_path: Path, form: str) -> None:
    small().save_as_image(tmp_path / "g", form)
    assert (tmp_path / "g").stat().st_size > 100
    small().save_as_dot(tmp_path / "g.dot")
    assert (tmp_path / "g.dot").read_text().startswith('digraph "small" {')


def test_a_model_of_quantforge_as_a_graph() -> None:
    model = small().model
    model.root.ops.clear()
    graph = xir.Graph.from_model(model)
    assert graph.model is model and graph.get_root_subgraph().get_op_num() == 7
