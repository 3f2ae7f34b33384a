from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402
from torch.utils import _pytree as pytree  # noqa: E402

from quantforge.diagnostics import UnsupportedError  # noqa: E402
from quantforge.frontends.torch.custom_ops import CustomOp, call, register  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.model_source import model_source  # noqa: E402
from quantforge.frontends.torch.names import scope_path  # noqa: E402
from quantforge.frontends.torch.run import stored_constant  # noqa: E402
from quantforge.graph import Graph, Op, Value  # noqa: E402
from tests.unit.frontends.torch.modules import Mixed, Nested, Residual, Transformer, Twice  # noqa: E402

IMAGE = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
SCALE = register(CustomOp("SourceScale", lambda ctx, x, by: x * by, ("by",)))


class Spread(nn.Module):
    """Sizes that follow the batch, a registered function, uneven padding, an opaque call, a list of one tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 2, stride=2, groups=1, bias=False)
        self.depth = nn.Conv2d(4, 8, 3, groups=4, dilation=2, padding="same")
        self.prelu, self.group = nn.PReLU(8), nn.GroupNorm(2, 8)

    def forward(self, x: Any) -> Any:
        y = self.group(self.prelu(self.depth(self.up(x))))
        y = call(SCALE, (y, 0.5), {}) + torch.ones(2 * x.shape[0], 1, 1, 1)[: x.shape[0]]
        return [(y.roll(1, 2)[:, 1:-1:2],), None, x.shape[0] * 2]


def module_of(graph: Graph) -> tuple[Any, str]:
    """The generated module with the constants of the graph."""
    text = model_source(graph)
    space: dict[str, Any] = {}
    exec(compile(text, f"{graph.name}.py", "exec"), space)
    module = space[graph.name]().eval()
    state = {value.name: stored_constant(value) for value in graph.values if value.is_const}
    module.load_state_dict({ours: state[theirs] for ours, theirs in space["NAMES"].items()})
    return module, text


CASES = {
    "residual": (Residual, (IMAGE,), {}),
    "twice": (Twice, (IMAGE,), {}),
    "nested": (Nested, (torch.randn(2, 4, 3),), {"other": torch.randn(2, 4, 3)}),
    "transformer": (Transformer, (torch.randint(0, 10, (2, 5)),), {}),
    "mixed": (Mixed, (torch.randn(2, 4, 6, 6),), {}),
    "spread": (Spread, (IMAGE,), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_source_computes_what_the_module_computes(name: str) -> None:
    made, args, kwargs = CASES[name]
    torch.manual_seed(0)
    module = made().eval()
    written, _ = module_of(import_module(module, args, kwargs))
    with torch.no_grad():
        want, found = module(*args, **kwargs), written(*args, *kwargs.values())
    assert pytree.tree_structure(want) == pytree.tree_structure(found)
    for wanted, one in zip(pytree.tree_leaves(want), pytree.tree_leaves(found), strict=True):
        torch.testing.assert_close(one, wanted)


def test_each_layer_is_named_in_all_ways() -> None:
    graph = import_module(Residual().eval(), IMAGE)
    text = module_of(graph)[1]
    assert (
        "self.module_1(x)  # conv1 | Residual::nndct_conv2d_1 | Residual::Residual/Conv2d[conv1]/conv2d"
        in text
    )
    assert "output_module_4 + output_module_3  # add | Residual::nndct_elemwise_add_5" in text
    assert "# x: Residual::nndct_input_0" in text
    scope = "Net/Sequential[layer1]/BasicBlock[0]/Conv2d[conv1]"
    assert scope_path(scope) == "layer1.0.conv1"


def test_the_source_is_plain_torch_where_it_can_be() -> None:
    assert "quantforge.frontends" not in module_of(import_module(Residual().eval(), IMAGE))[1]
    text = module_of(import_module(Spread().eval(), IMAGE))[1]
    assert "import GraphOperator" in text and "import compute as custom_op" in text
    assert "x.shape[0]" in text


def test_results_of_other_classes_come_flat() -> None:
    class Pair(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.sort(x + 1)

    module, _ = module_of(import_module(Pair(), IMAGE))
    found = module(IMAGE)
    assert len(found) == 2 and torch.equal(found[0], torch.sort(IMAGE + 1)[0])


def test_what_cannot_be_written_is_said() -> None:
    graph = Graph(
        "g", [Value("x"), Value("y")], [Op("opaque", "y", ("x",), ("y",), {"type": "Odd"})], ("x",), ("y",)
    )
    with pytest.raises(UnsupportedError, match=r"Q1461 op 'y'.*type Odd"):
        model_source(graph)


def test_names_that_python_has_no_form_for() -> None:
    values = [Value("in", (1,)), Value("self", (1,)), Value("y", (1,))]
    graph = Graph("my-net", values, [Op("eltwise-add", "y", ("in", "self"), ("y",))], ("in", "self"), ("y",))
    space: dict[str, Any] = {}
    exec(model_source(graph), space)
    assert space["my_net"]()(1, 2) == 3
