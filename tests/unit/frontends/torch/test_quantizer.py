from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.calibration.data import open_data  # noqa: E402
from quantforge.diagnostics import CalibrationError, InputError  # noqa: E402
from quantforge.frontends.torch import TorchExecutor, import_module, input_infos  # noqa: E402
from quantforge.frontends.torch.quantizer import ModuleQuantizer  # noqa: E402
from quantforge.frontends.torch.recipes import dpu_recipe  # noqa: E402
from quantforge.graph import Graph  # noqa: E402
from quantforge.ops.interpreter import Interpreter  # noqa: E402
from quantforge.quantization.flow import quantize_graph  # noqa: E402
from tests.unit.frontends.torch.modules import Residual, Transformer, Twice  # noqa: E402


def images(batches: int = 3) -> list[Any]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(4, 3, 6, 6, generator=generator) for _ in range(batches)]


@pytest.fixture
def module() -> Any:
    torch.manual_seed(1)
    return Residual().eval()


def calibrated(module: Any) -> ModuleQuantizer:
    quantizer = ModuleQuantizer(module, images()[0], None, dpu_recipe())
    observed = quantizer.observed_module()
    for x in images():
        observed(x)
    quantizer.solve()
    return quantizer


def specs(graph: Graph) -> dict[str, Any]:
    return {value.name: (value.quant.format, value.quant.scale) for value in graph.quantized() if value.quant}


def test_the_users_loop_gives_the_plan_of_the_shared_flow(module: Any) -> None:
    graph = import_module(module, images()[0])
    data = open_data([{"x": x.numpy()} for x in images()], input_infos(graph))
    want = quantize_graph(graph, TorchExecutor(), data, dpu_recipe()).graph
    assert specs(calibrated(module).graph) == specs(want)  # type: ignore[arg-type]


def test_the_module_computes_what_the_reference_interpreter_computes(module: Any) -> None:
    quantizer = calibrated(module)
    assert quantizer.graph is not None
    found = quantizer.quantized_module()(images()[0]).detach().numpy()
    session = Interpreter("integer").session(quantizer.graph, quantizer.graph.outputs)
    (want,) = session.run({"x": images()[0].numpy()}).values()
    np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("network", [Residual, Twice])
def test_another_process_gets_the_same_graph_from_the_files(network: Any) -> None:
    torch.manual_seed(2)
    module = network().eval()
    first = calibrated(module)
    second = ModuleQuantizer(module, images()[0], None, dpu_recipe())
    second.load(first.quant_info("1.0"), first.bias_corrections(), "file")
    assert first.graph is not None and second.graph is not None
    for value in first.graph.values:
        other = second.graph.value(value.name)
        assert other.quant == value.quant
        if value.const is not None:
            np.testing.assert_array_equal(other.const, value.const)


def test_a_transformer_with_a_table_goes_all_the_way() -> None:
    torch.manual_seed(3)
    module, tokens = Transformer().eval(), torch.randint(0, 10, (4, 5))
    first = ModuleQuantizer(module, tokens[:1], None, dpu_recipe())
    first.observed_module()(tokens)
    first.solve()
    second = ModuleQuantizer(module, tokens[:1], None, dpu_recipe())
    second.load(first.quant_info("1.0"), first.bias_corrections(), "file")
    with torch.no_grad():
        want, found, again = (
            m(tokens) for m in (module, first.quantized_module(), second.quantized_module())
        )
    assert torch.equal(found, again)
    noise = float((found - want).square().sum() / want.square().sum())
    assert 0 < noise < 10 ** (-15 / 10)


def test_what_is_missing_is_said(module: Any) -> None:
    quantizer = ModuleQuantizer(module, images()[0], None, dpu_recipe())
    with pytest.raises(InputError, match="Q1410"):
        quantizer.quantized_module()
    with pytest.raises(CalibrationError, match="Q0201"):
        quantizer.solve()
    info = calibrated(module).quant_info("1.0")
    with pytest.raises(InputError, match="Q1412"):
        quantizer.load(info, None, "file")
    with pytest.raises(InputError, match="Q0507"):
        ModuleQuantizer(torch.nn.Identity(), torch.zeros(2, 3), None, dpu_recipe())
