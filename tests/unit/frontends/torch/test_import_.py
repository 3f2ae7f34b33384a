from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.native import Fixed, NativeModule, Size  # noqa: E402
from quantforge.frontends.torch.run import TorchExecutor  # noqa: E402
from quantforge.graph import Graph  # noqa: E402
from quantforge.graph.verify import verify  # noqa: E402
from quantforge.ops.interpreter import Interpreter  # noqa: E402
from tests.unit.frontends.torch.modules import Mixed, Nested, Residual, Transformer, Twice  # noqa: E402

IMAGE = (3, 6, 6)


def images(batch: int, channels: int = 3, size: int = 6, seed: int = 0) -> Any:
    return torch.randn(batch, channels, size, size, generator=torch.Generator().manual_seed(seed))


def outputs(graph: Graph, *inputs: Any) -> list[Any]:
    feeds = {name: tensor.numpy() for name, tensor in zip(graph.inputs, inputs, strict=True)}
    found = TorchExecutor().session(graph, graph.outputs).run(feeds)
    return [found[name] for name in graph.outputs]


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph.ops]


def test_ordinary_user_code_becomes_canonical_kinds_under_stable_names() -> None:
    module = Residual().eval()
    graph = import_module(module, images(1))
    verify(graph)
    assert [(op.name, op.kind) for op in graph.ops] == [
        ("conv1", "conv2d"),
        ("bn1", "batchnorm"),
        ("relu", "relu"),
        ("conv2", "conv2d"),
        ("add", "eltwise-add"),
        ("relu_1", "relu"),
        ("avg_pool2d", "avgpool2d"),
        ("view", "flatten"),
        ("head", "inner-product"),
    ]
    assert graph.op("conv2").inputs == ("relu", "conv2.weight", "conv2.bias")
    assert graph.inputs == ("x",) and graph.value("x").shape == ("batch", *IMAGE)


def test_the_batch_is_open_and_the_numbers_are_those_of_the_module() -> None:
    module = Residual().eval()
    graph = import_module(module, images(1))
    for batch in (1, 2, 5):
        with torch.no_grad():
            want = module(images(batch)).numpy()
        np.testing.assert_array_equal(outputs(graph, images(batch))[0], want)


def test_parameters_are_shared_with_the_module() -> None:
    module = Residual()
    module.train()
    graph = import_module(module, images(2))
    assert module.training and module.bn1.training, "the module is given back as it was"
    for name, parameter in module.named_parameters():
        const = graph.value(name).const
        assert const is not None and const.ctypes.data == parameter.data_ptr()


def test_a_module_called_twice_and_tied_weights() -> None:
    module = Twice().eval()
    graph = import_module(module, images(2))
    convs = [op for op in graph.ops if op.kind == "conv2d"]
    assert [op.inputs[1] for op in convs] == ["conv.weight", "conv.weight"]
    assert [op.name for op in convs] == ["conv", "conv_1"]
    tied = [graph.op(name).inputs[1] for name in ("first", "second")]
    assert tied == ["first.weight", "first.weight"]
    with torch.no_grad():
        np.testing.assert_array_equal(outputs(graph, images(3))[0], module(images(3)).numpy())


def test_nests_of_inputs_and_outputs_are_remembered() -> None:
    module = Nested()
    graph = import_module(module, (images(2, 4),), {"other": images(2, 4, seed=1)})
    verify(graph)
    native = graph.native
    assert isinstance(native, NativeModule)
    assert native.leaves == ("x", "other") == graph.inputs
    pair, sigmoid, count, rows, sort = native.returned
    assert count == Fixed(3)
    assert isinstance(rows, Fixed) and isinstance(rows.value, Size)
    symbol = graph.native.symbols and next(iter(native.symbols))
    assert rows.value.of({str(symbol): 7}) == 7
    want = module(images(3, 4), other=images(3, 4, seed=1))
    found = dict(zip(graph.outputs, outputs(graph, images(3, 4), images(3, 4, seed=1)), strict=True))
    for name, tensor in ((pair, want["pair"][0]), (sigmoid, want["pair"][1]), (sort, want["sorted"])):
        np.testing.assert_array_equal(found[str(name)], tensor.numpy())


def test_unknown_operators_stay_opaque_and_run_in_torch() -> None:
    graph = import_module(Nested(), (images(2, 4),), {"other": images(2, 4)})
    opaque = [op for op in graph.ops if op.kind == "opaque"]
    assert [op.attrs["type"] for op in opaque] == ["aten.sort"]
    assert opaque[0].attrs["why"] == "not in the table"


def test_a_transformer_with_tables_and_sizes_that_depend_on_the_batch() -> None:
    module = Transformer().eval()
    tokens = torch.randint(0, 10, (3, 5), generator=torch.Generator().manual_seed(1))
    graph = import_module(module, tokens[:2])
    verify(graph)
    assert "opaque" not in kinds(graph)
    assert {"gather", "matmul", "softmax", "layernorm", "gelu", "inner-product"} <= set(kinds(graph))
    with torch.no_grad():
        want = module(tokens).numpy()
    np.testing.assert_allclose(outputs(graph, tokens)[0], want, atol=1e-6)


def test_many_operators_agree_with_torch_and_with_the_reference_kernels() -> None:
    module = Mixed().eval()
    graph = import_module(module, images(2, 4, 8))
    verify(graph)
    assert "opaque" not in kinds(graph)
    x = images(3, 4, 8)
    with torch.no_grad():
        want = module(x)
    for found, tensor in zip(outputs(graph, x), want, strict=True):
        np.testing.assert_allclose(found, tensor.numpy(), atol=1e-5)
    slow = Interpreter().session(graph, graph.outputs).run({graph.inputs[0]: x.numpy()})
    for name, tensor in zip(graph.outputs, want, strict=True):
        np.testing.assert_allclose(slow[name], tensor.numpy(), atol=1e-4)


class Cascade(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return x * 2 if x.sum() > 0 else x


def test_modules_that_cannot_be_captured_are_refused_with_a_reason() -> None:
    with pytest.raises(InputError, match="Q1401"):
        import_module(Residual(), torch.zeros(1, 7, 6, 6))
    with pytest.raises(InputError, match="Q1402"):
        import_module(Cascade(), torch.ones(2, 3))
    with pytest.raises(InputError, match="Q1402"):
        import_module(torch.ones(3), torch.ones(3))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Q1404"):
        import_module(Residual().bfloat16(), images(2).bfloat16())
