from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch.nn import functional  # noqa: E402

from quantforge.frontends.torch.view import CallView, NotExpressibleError  # noqa: E402
from quantforge.graph import Graph, Value  # noqa: E402


class Pool(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(x, 2, stride=(2, 1), count_include_pad=False)


@pytest.fixture
def view() -> CallView:
    program = torch.export.export(Pool(), (torch.zeros(2, 3, 4, 4),)).run_decompositions({})
    nodes: dict[str, Any] = {node.name: node for node in program.graph.nodes}
    graph = Graph("g", [Value("x", (2, 3, 4, 4))], inputs=["x"])
    return CallView(nodes["avg_pool2d"], graph, "pool", {nodes["x"]: "x"}, {}, ("pool",))


def test_arguments_by_name_with_the_defaults_of_the_schema(view: CallView) -> None:
    assert view.ints("kernel_size", 2) == (2, 2) and view.ints("stride", 2) == (2, 1)
    assert view.ints("padding", 2) == (0, 0)
    assert view.arg("ceil_mode") is False and not view.has("divisor_override")
    assert view.value("self") == "x" and view.shape("self") == (2, 3, 4, 4)
    assert view.integer("nothing", 3) == 3 and view.number("nothing", 0.5) == 0.5
    assert view.axis("nothing", 4, -1) == 3 and view.axes("nothing", 2) == (0, 1)


def test_ops_in_the_middle_get_values_of_inferred_shape(view: CallView) -> None:
    middle = view.emit("transpose", ["x"], "flipped", order=(0, 1, 3, 2))
    assert middle == "pool.flipped" and view.values[middle].shape == (2, 3, 4, 4)
    factor = view.constant("factor", np.float32(2).reshape(()))
    assert view.emit("eltwise-mul", [middle, factor]) == "pool"
    assert [op.name for op in view.ops] == ["pool.flipped", "pool"]
    assert view.constant("factor", np.zeros(1)) == "pool.factor_1"


def test_what_is_not_known_is_refused(view: CallView) -> None:
    for refused in (
        lambda: view.weight("self"),
        lambda: view.number("self"),
        lambda: view.integer("self"),
        lambda: view.ints("nothing", 2),
        lambda: view.value("kernel_size"),
        lambda: view.operand("text", "other"),
        lambda: view.require(False, "no"),
    ):
        with pytest.raises(NotExpressibleError):
            refused()


def test_a_row_stands_in_where_it_may_broadcast_and_ops_can_stay_in_float(view: CallView) -> None:
    item = view.node.args[0]
    assert view.row_of(item) == "x"
    view.rows = {item: "x.row"}
    assert view.row_of(item) == "x.row" and view.value_of(item) == "x"
    view.keep_float(view.emit("sqrt", ["x"], "root"))
    assert view.kept == ["pool.root"]
