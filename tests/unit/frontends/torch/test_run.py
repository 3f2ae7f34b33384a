from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.run import TorchExecutor, input_infos, stored_constant  # noqa: E402
from quantforge.graph import QuantSpec, Value  # noqa: E402
from quantforge.numerics.formats import INT8  # noqa: E402
from quantforge.ops.interpreter import Interpreter  # noqa: E402
from quantforge.quantization.flow import quantize_graph  # noqa: E402
from quantforge.quantization.recipe import named_recipe  # noqa: E402
from tests.unit.frontends.torch.modules import Residual  # noqa: E402


def batches(count: int = 3) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(3)
    return [{"x": rng.standard_normal((4, 3, 6, 6)).astype(np.float32)} for _ in range(count)]


def test_a_quantized_graph_is_computed_as_the_reference_interpreter_computes_it() -> None:
    from quantforge.calibration.data import open_data

    torch.manual_seed(0)
    graph = import_module(Residual().eval(), torch.zeros(1, 3, 6, 6))
    found = quantize_graph(
        graph, TorchExecutor(), open_data(batches(), input_infos(graph)), named_recipe("dpu-cnn")
    )
    names = [value.name for value in found.graph.quantized()]
    fast = TorchExecutor().session(found.graph, names).run(batches()[0])
    slow = Interpreter("integer").session(found.graph, names).run(batches()[0])
    for name in names:
        np.testing.assert_array_equal(fast[name], slow[name], err_msg=name)


def test_any_value_can_be_observed_inputs_and_constants_too() -> None:
    module = Residual().eval()
    graph = import_module(module, torch.zeros(2, 3, 6, 6))
    found = TorchExecutor().session(graph, ["x", "conv2.weight", "relu"]).run(batches()[0])
    assert list(found) == ["x", "conv2.weight", "relu"]
    np.testing.assert_array_equal(found["conv2.weight"], module.conv2.weight.detach().numpy())


def test_constants_are_stored_as_their_spec_says() -> None:
    data = np.array([0.3, -9.0], np.float32)
    data.flags.writeable = False
    assert stored_constant(Value("w", (2,), "float32", data)).tolist() == data.tolist()
    spec = QuantSpec.power_of_two(INT8, 4)
    assert stored_constant(Value("w", (2,), "float32", data, spec)).tolist() == [0.3125, -8.0]


def test_bad_names_and_feeds_are_refused() -> None:
    graph = import_module(Residual().eval(), torch.zeros(2, 3, 6, 6))
    with pytest.raises(InputError, match="Q1407"):
        TorchExecutor().session(graph, ["nothing"])
    session = TorchExecutor().session(graph, graph.outputs)
    with pytest.raises(InputError, match="Q1408"):
        session.run({})
    with pytest.raises(InputError, match="Q1408"):
        session.run({"x": batches()[0]["x"].astype(np.float64)})
    with pytest.raises(InputError, match=r"Q1403.*conv1"):
        session.run({"x": np.zeros((2, 5, 6, 6), np.float32)})
