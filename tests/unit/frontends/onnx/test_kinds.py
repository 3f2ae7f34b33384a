"""The table from ONNX operators to kinds: special cases; the whole table is in test_backend_nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.frontends.onnx.kinds import _RULES as RULES
from quantforge.ops.registry import KINDS

from .text_models import model, random, round_trip

X = {"x": random(2, 4)}
EPSILON = pytest.approx(1e-5)
OPAQUE_SELU = ("opaque", {"type": "Selu", "domain": "", "why": "selu with its own constants"})


def only(node: str, opset: int = 17, **arrays: Any) -> tuple[str, dict[str, Any]]:
    fixed = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
    op = round_trip(model(f"g (float[N,4] x) => (y) {{ {node} }}", opset=opset, **fixed), X).ops[0]
    return op.kind, dict(op.attrs)


@pytest.mark.parametrize(
    ("node", "arrays", "want"),
    [
        ("y = Clip(x, l)", {"l": 0}, ("relu", {})),
        ("y = Clip(x, l, h)", {"l": 0, "h": 6}, ("relu6", {})),
        ("y = Clip(x, l, h)", {"l": -1, "h": 6}, ("clip", {"min": -1.0, "max": 6.0})),
        ("y = Clip(x, , h)", {"h": 1}, ("clip", {"max": 1.0})),
        ("y = Clip(x)", {}, ("clip", {})),
        ("y = LeakyRelu(x)", {}, ("leaky-relu", {"alpha": pytest.approx(0.01)})),
        ("y = HardSigmoid(x)", {}, ("hard-sigmoid", {"alpha": pytest.approx(0.2), "beta": 0.5})),
        ("y = PRelu(x, a)", {"a": [0.1] * 4}, ("prelu", {})),
        ("y = Softmax(x)", {}, ("softmax", {"axis": 1})),
        ("y = Sum(x, a)", {"a": [1] * 4}, ("eltwise-add", {})),
        ("y = Sum(x, x, x)", {}, ("opaque", {"type": "Sum", "domain": "", "why": "3 operands"})),
        ("y = Max(x)", {}, ("identity", {})),
        ("y = MatMul(x, a)", {"a": np.ones((4, 2))}, ("matmul", {"weight_layout": "IO"})),
        ("t = Transpose(x) y = MatMul(x, t)", {}, ("transpose", {"order": (1, 0)})),
        ("y = ReduceMean<axes = [-1], keepdims = 0>(x)", {}, ("reduction-mean", {"axes": (1,), "keepdims": False})),
        ("y = ReduceSum(x)", {}, ("reduction-sum", {"axes": (0, 1), "keepdims": True})),
        ("y = LayerNormalization(x, a)", {"a": [1] * 4}, ("layernorm", {"axis": 1, "epsilon": EPSILON})),
        ("y = LpNormalization(x)", {}, ("l2-normalize", {"axis": 1, "p": 2})),
        ("y = ArgMax<axis = -1>(x)", {}, ("argmax", {"axis": 1, "keepdims": True})),
        ("y = Selu(x)", {}, ("selu", {})),
        ("y = Selu<alpha = 2.0>(x)", {}, OPAQUE_SELU),
        ("y = Cos(x)", {}, ("opaque", {"type": "Cos", "domain": "", "why": "not in the table"})),
    ],
)  # fmt: skip
def test_special_cases(node: str, arrays: dict[str, Any], want: tuple[str, dict[str, Any]]) -> None:
    assert only(node, **arrays) == want


@pytest.mark.parametrize(
    ("node", "arrays", "why"),
    [
        ("Gemm<transA = 1>(x, w)", {"w": np.ones((2, 3))}, "transA"),
        ("Gemm(x, w, c)", {"w": np.ones((4, 3)), "c": np.ones((2, 1))}, "a bias per row"),
        ("BatchNormalization(x, m, m, m, v)", {"m": np.ones(4)}, "input 4 is not constant"),
    ],
)
def test_refusals_say_why(node: str, arrays: dict[str, Any], why: str) -> None:
    fixed = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
    feeds = {**X, **({"v": np.ones(4, np.float32)} if "v)" in node else {})}
    extra = ", float[4] v" if "v)" in node else ""
    graph = round_trip(model(f"g (float[2,4] x{extra}) => (y) {{ y = {node} }}", **fixed), feeds)
    assert graph.ops[0].kind == "opaque" and graph.ops[0].attrs["why"] == why


def test_every_kind_made_is_in_the_operator_table() -> None:
    assert len(RULES) > 60
    made = {
        only(f"y = {name}(x)")[0]
        for name in ("Relu", "Sigmoid", "Tanh", "Exp", "Abs", "Neg", "Erf", "Softplus")
    }
    assert made <= set(KINDS) | {"opaque"}
