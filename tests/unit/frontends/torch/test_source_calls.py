"""Each kind in Python computes what its kernel computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from quantforge.diagnostics import UnsupportedError  # noqa: E402
from quantforge.frontends.torch.graph_operator import GraphOperator  # noqa: E402
from quantforge.frontends.torch.kernels import kernel  # noqa: E402
from quantforge.frontends.torch.source_calls import written  # noqa: E402
from quantforge.graph import Graph, Op, Value  # noqa: E402

X = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
WINDOW = {"kernel": (3, 3), "stride": (2, 2), "pads": (1, 1, 1, 1)}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("maxpool2d", WINDOW),
    ("maxpool2d", {**WINDOW, "ceil_mode": True, "dilation": (2, 2)}),
    ("avgpool2d", {**WINDOW, "count_include_pad": True}),
    ("avgpool2d", {"global": True}),
    ("maxpool2d", {"global": True}),
    ("clip", {"min": -0.5, "max": 0.25}),
    ("clip", {"max": 0.25}),
    ("reduction-mean", {"axes": (2, 3), "keepdims": False}),
    ("reduction-sum", {"axes": (1,)}),
    ("reduction-max", {}),
    ("reshape", {"shape": (0, -1, 3)}),
    ("flatten", {"axis": 1}),
    ("flatten", {"axis": 2}),
    ("transpose", {"order": (0, 2, 3, 1)}),
    ("unsqueeze", {"axes": (1,)}),
    ("unsqueeze", {"axes": (0, 2)}),
    ("strided-slice", {"begin": (1, 0), "end": (2**63 - 1, -1), "axes": (1, 3), "strides": (2, 1)}),
    ("strided-slice", {"begin": (-1,), "end": (-5,), "axes": (2,), "strides": (-2,)}),
    ("pad", {"pads": (0, 0, 1, 0, 0, 0, 2, 1), "value": 0.5}),
    ("pad", {"pads": (0, 0, 1, 0, 0, 0, 2, 1), "mode": "reflect"}),
    ("softmax", {"axis": 1}),
    ("log-softmax", {"axis": -1}),
    ("leaky-relu", {"alpha": 0.125}),
    ("elu", {"alpha": 0.5}),
    ("gelu", {"approximate": "tanh"}),
    ("cast", {"to": "int32"}),
    ("tile", {"repeats": (1, 1, 2, 1)}),
    *((kind, {}) for kind in (
        "relu", "relu6", "sigmoid", "tanh", "hard-swish", "swish", "mish", "exp", "abs", "neg", "erf", "identity",
        "hard-sigmoid", "softplus",
    )),
]  # fmt: skip


def run(graph: Graph, op: Op, inputs: dict[str, Any]) -> Any:
    """What the written form computes."""
    found = written(graph, op, [f"values[{name!r}]" if name else "None" for name in op.inputs])
    space: dict[str, Any] = {
        "torch": torch,
        "nn": nn,
        "F": F,
        "GraphOperator": GraphOperator,
        "values": inputs,
    }
    if found.made:
        space["me"] = eval(found.made, space)
        state = {
            ours: torch.from_numpy(np.asarray(graph.value(theirs).const)) for ours, theirs in found.state
        }
        space["me"].load_state_dict(state, strict=False)
        space["me"].eval()
    with torch.no_grad():
        return eval(found.call.replace("{me}", "me"), space)


@pytest.mark.parametrize(("kind", "attrs"), CALLS, ids=lambda item: item if isinstance(item, str) else "")
def test_kinds_without_parameters(kind: str, attrs: dict[str, Any]) -> None:
    op = Op(kind, "y", ("x",), ("y",), attrs)
    graph = Graph("g", [Value("x", X.shape), Value("y")], [op], ("x",), ("y",))
    torch.testing.assert_close(run(graph, op, {"x": X}), kernel(op)([X]), atol=0, rtol=0)


def parts(kind: str, attrs: dict[str, Any], *shapes: tuple[int, ...]) -> tuple[Graph, Op, dict[str, Any]]:
    """An op of X and of constants of these shapes."""
    rng = np.random.default_rng(0)
    constants = {f"c{i}": np.abs(rng.normal(size=shape)).astype("float32") for i, shape in enumerate(shapes)}
    op = Op(kind, "y", ("x", *constants), ("y",), attrs)
    values = [Value("x", X.shape), Value("y"), *(Value(n, c.shape, const=c) for n, c in constants.items())]
    return (
        Graph("g", values, [op], ("x",), ("y",)),
        op,
        {n: torch.from_numpy(c) for n, c in constants.items()},
    )


@pytest.mark.parametrize(
    ("kind", "attrs", "shapes"),
    [
        ("conv2d", {"pads": (1, 0, 2, 1), "stride": (2, 1)}, [(5, 4, 3, 3), (5,)]),
        ("conv2d", {"group": 2, "dilation": (2, 2)}, [(6, 2, 3, 3)]),
        ("depthwise-conv2d", {"group": 4, "pads": (1, 1, 1, 1)}, [(4, 1, 3, 3), (4,)]),
        ("transposed-conv2d", {"stride": (2, 2), "output_padding": (1, 1), "group": 2}, [(4, 3, 3, 3), (6,)]),
        ("inner-product", {"weight_layout": "OI"}, [(5, 6), (5,)]),
        ("inner-product", {"weight_layout": "OI"}, [(5, 6)]),
        ("matmul", {}, [(6, 5)]),
        ("batchnorm", {"epsilon": 1e-3}, [(4,), (4,), (4,), (4,)]),
        ("layernorm", {"axis": -1}, [(6,), (6,)]),
        ("groupnorm", {"groups": 2}, [(4,), (4,)]),
        ("prelu", {}, [(4, 1, 1)]),
        ("eltwise-min", {}, [(6,)]),
    ],
)
def test_kinds_with_parameters(kind: str, attrs: dict[str, Any], shapes: list[tuple[int, ...]]) -> None:
    graph, op, constants = parts(kind, attrs, *shapes)
    want = kernel(op)([X, *constants.values(), *([None] * (kind == "conv2d" and len(shapes) == 1))])
    torch.testing.assert_close(run(graph, op, {"x": X, **constants}), want)


def test_a_layout_that_torch_does_not_have_is_left_to_the_kernel_which_refuses_it() -> None:
    graph, op, _ = parts("transposed-conv2d", {"weight_layout": "OI"}, (4, 3, 3, 3))
    with pytest.raises(UnsupportedError, match="Q1405"):
        run(graph, op, {"x": X})


def test_a_table_and_results_of_several() -> None:
    table = np.arange(12, dtype="float32").reshape(4, 3)
    op = Op("gather", "y", ("table", "x"), ("y",), {"axis": 0})
    graph = Graph("g", [Value("table", (4, 3), const=table), Value("x"), Value("y")], [op], ("x",), ("y",))
    indices = torch.tensor([[3, 0]])
    assert torch.equal(run(graph, op, {"x": indices}), torch.from_numpy(table)[indices])
    split = Op("split", "y", ("x",), ("y", "z"), {"sizes": (1, 3), "axis": 1})
    found = run(Graph("g", [Value("x"), Value("y"), Value("z")], [split], ("x",)), split, {"x": X})
    assert torch.equal(torch.cat(found, 1), X)


def test_computed_weights_need_no_module() -> None:
    op = Op("conv2d", "y", ("x", "w"), ("y",), {})
    graph = Graph("g", [Value("x"), Value("w"), Value("y")], [op], ("x", "w"), ("y",))
    w = torch.randn(3, 4, 1, 1)
    torch.testing.assert_close(run(graph, op, {"x": X, "w": w}), F.conv2d(X, w))
