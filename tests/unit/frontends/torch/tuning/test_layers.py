from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402

from quantforge.frontends.torch import import_module  # noqa: E402
from quantforge.frontends.torch.tuning.layers import Layer, Product, layers_of, weighted_ops  # noqa: E402
from tests.unit.frontends.torch.tuning.nets import mixed, shared  # noqa: E402

MODULES: list[tuple[Any, tuple[int, ...]]] = [
    (nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2), (3, 4, 17)),
    (nn.Conv2d(3, 5, (3, 2), stride=(1, 2), padding=(2, 0)), (2, 3, 7, 8)),
    (nn.Conv2d(4, 4, 3, padding="same", groups=4), (2, 4, 5, 6)),
    (nn.Conv2d(4, 8, 3, groups=4), (2, 4, 5, 6)),
    (nn.Conv3d(2, 3, 2, stride=2), (2, 2, 4, 4, 6)),
    (nn.ConvTranspose1d(4, 6, 4, stride=2, padding=1), (2, 4, 5)),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (2, 4, 5, 4)),
    (nn.ConvTranspose2d(4, 4, 2, stride=3, dilation=2, groups=4), (2, 4, 3, 4)),
    (nn.Linear(5, 7), (3, 5)),
    (nn.Linear(5, 7), (3, 4, 5)),
]


@pytest.mark.parametrize(("module", "shape"), MODULES, ids=lambda item: str(item)[:48])
def test_a_layer_is_the_product_of_its_columns_and_its_matrix(module: Any, shape: tuple[int, ...]) -> None:
    graph = import_module(module.eval(), torch.zeros(shape))
    (op,) = (op for op in graph.ops if len(op.inputs) > 1 and graph.value(op.inputs[1]).is_const)
    weights = torch.from_numpy(graph.value(op.inputs[1]).const)
    product, x = Product(op, tuple(weights.shape)), torch.randn(shape)
    with torch.no_grad():
        y = module(x)
    picked = torch.randperm(product.positions(y))[:20]
    matrix = product.matrix(weights)
    rows = product.columns(x, picked) @ matrix.transpose(1, 2)
    bias = module.bias.detach().reshape(matrix.shape[0], 1, -1)
    torch.testing.assert_close(rows + bias, product.rows(y, picked))
    assert torch.equal(product.weights(matrix), weights)


def test_layers_and_what_stands_behind_them() -> None:
    graph = mixed().graph
    assert graph is not None
    found = {layer.op: layer for layer in layers_of(graph)}
    assert list(found) == ["stem", "depth", "point", "halves", "linear"]
    assert found["depth"] == Layer("depth", "depth.weight", "depth.bias", "relu_1", None)
    assert found["point"].beside == "relu"
    assert found["linear"].act is None


def test_shared_weights_belong_to_no_single_layer() -> None:
    graph = shared()[0].graph
    assert graph is not None
    assert len(list(weighted_ops(graph))) == 4
    assert layers_of(graph) == []
