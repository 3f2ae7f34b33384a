from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from tests.unit.frontends.torch.calls import captured, producers, random  # noqa: E402


def test_two_operands() -> None:
    calls = [
        lambda m, x, y: x + y,
        lambda m, x, y: 1 - x,
        lambda m, x, y: x - y,
        lambda m, x, y: x * 3,
        lambda m, x, y: x / y,
        lambda m, x, y: torch.minimum(x, y),
        lambda m, x, y: torch.maximum(x, y),
        lambda m, x, y: x**2,
        lambda m, x, y: torch.add(x, y, alpha=2),
        lambda m, x, y: torch.where(x > 0, x, y),
        lambda m, x, y: torch.floor_divide(x, y),
    ]
    graph = captured(calls, random(2, 3, 4), random(2, 3, 4, seed=1))
    words = ["add", "sub", "sub", "mul", "div", "min", "max", "pow"]
    assert producers(graph) == [f"eltwise-{word}" for word in words] + ["eltwise-add", "where", "opaque"]


def test_activations() -> None:
    calls = [
        lambda m, x: functional.relu(x),
        lambda m, x: functional.relu6(x),
        lambda m, x: functional.hardtanh(x),
        lambda m, x: x.clamp(min=0),
        lambda m, x: functional.leaky_relu(x, 0.3),
        lambda m, x: m.slope(x),
        lambda m, x: functional.elu(x, 0.7),
        lambda m, x: functional.celu(x, 0.7),
        lambda m, x: functional.selu(x),
        lambda m, x: functional.gelu(x),
        lambda m, x: functional.gelu(x, approximate="tanh"),
        lambda m, x: functional.silu(x),
        lambda m, x: functional.mish(x),
        lambda m, x: functional.softplus(x),
        lambda m, x: torch.sigmoid(x),
        lambda m, x: functional.hardsigmoid(x),
        lambda m, x: functional.hardswish(x),
        lambda m, x: torch.tanh(x),
        lambda m, x: torch.rsqrt(x.abs() + 1),
        lambda m, x: torch.square(x),
        lambda m, x: functional.softmax(x, 1),
        lambda m, x: functional.log_softmax(x, -1),
    ]
    graph = captured(calls, random(2, 3, 4) * 4, parts={"slope": nn.PReLU(3)})
    found = producers(graph)
    assert found[:7] == ["relu", "relu6", "clip", "relu", "leaky-relu", "prelu", "elu"]
    assert found[9:18] == [
        "gelu", "gelu", "swish", "mish", "softplus", "sigmoid", "hard-sigmoid", "hard-swish", "tanh"
    ]  # fmt: skip
    assert found[18:] == ["reciprocal", "eltwise-mul", "softmax", "log-softmax"]


def test_products_and_reductions() -> None:
    calls = [
        lambda m, x: m.linear(x),
        lambda m, x: x @ m.table,
        lambda m, x: x @ x.transpose(1, 2),
        lambda m, x: torch.addmm(m.shift, x[:, 0], m.table),
        lambda m, x: x.mean((1, 2)),
        lambda m, x: x.sum(-1, keepdim=True),
        lambda m, x: x.amax(1),
        lambda m, x: x.max(1)[0],
        lambda m, x: x.max(1)[1] + x.min(2)[1].sum(),
        lambda m, x: x.argmax(2),
        lambda m, x: functional.scaled_dot_product_attention(x, x, x),
        lambda m, x: functional.scaled_dot_product_attention(x, x, x, is_causal=True),
    ]
    parts = {"linear": nn.Linear(4, 5), "table": random(4, 2), "shift": random(2, seed=3)}
    graph = captured(calls, random(2, 3, 4), parts=parts)
    found = producers(graph)
    assert found[:4] == ["inner-product", "matmul", "matmul", "inner-product"]
    assert found[4:8] == ["reduction-mean", "reduction-sum", "reduction-max", "reduction-max"]
    assert found[9:] == ["argmax", "matmul", "matmul"]


def test_normalizations() -> None:
    parts = {
        "batch": nn.BatchNorm2d(4, affine=False),
        "layer": nn.LayerNorm([5, 5], elementwise_affine=False),
        "group": nn.GroupNorm(2, 4),
        "instance": nn.InstanceNorm2d(4, affine=True),
    }
    calls = [lambda m, x, name=name: getattr(m, name)(x) for name in parts]
    graph = captured(calls, random(2, 4, 5, 5), parts=parts)
    assert producers(graph) == ["batchnorm", "layernorm", "groupnorm", "instancenorm"]


def test_operands_of_several_dtypes_and_scales() -> None:
    calls = [
        lambda m, x: x * torch.arange(4),
        lambda m, x: x + (x > 0),
        lambda m, x: torch.add(x, x, alpha=0.5),
        lambda m, x: x.argmax(1) / 2,
        lambda m, x: x.max(),
    ]
    graph = captured(calls, random(2, 3, 4))
    assert producers(graph) == ["eltwise-mul", "eltwise-add", "eltwise-add", "eltwise-div", "reduction-max"]


def test_norms_and_variances() -> None:
    calls = [
        lambda m, x: torch.linalg.vector_norm(x, dim=1),
        lambda m, x: functional.normalize(x, dim=-1),
        lambda m, x: x.norm(2, (1, 2), keepdim=True),
        lambda m, x: x.var(1),
        lambda m, x: x.var((1, 2), unbiased=False, keepdim=True),
        lambda m, x: x.std(2),
    ]
    graph = captured(calls, random(2, 3, 4))
    assert [op.attrs["type"] for op in graph.ops if op.kind == "opaque"] == []
    assert producers(graph)[:4] == ["sqrt", "eltwise-div", "sqrt", "eltwise-mul"]
