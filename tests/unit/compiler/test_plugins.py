from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from quantforge.compiler.options import CompileOptions
from quantforge.compiler.plugins import Claim, Plugin, Plugins, load_plugin
from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Attr, Subgraph, XModel
from tests.flat_xmodels import Net, compiled, kinds

SOURCE = """
from quantforge.compiler.plugins import Claim
from quantforge.xmodel.model import Attr

def partition(model):
    return [Claim("mine", tuple(n for n, op in model.ops.items() if op.kind == "tanh"), "NPU", {"run": "libnpu.so"})]

def compile(model, subgraph):
    subgraph.attrs["instructions"] = Attr("bytes", b"tanh")
"""


class Takes:
    """Claims what it is told to."""

    def __init__(self, *claims: Claim) -> None:
        self.claims = claims
        self.seen: list[str] = []

    def partition(self, model: XModel) -> Iterable[Claim]:
        return self.claims

    def compile(self, model: XModel, subgraph: Subgraph) -> None:
        self.seen.append(subgraph.name)
        subgraph.attrs["mine"] = Attr("bool", True)


def model() -> XModel:
    net = Net()
    x = net.fix(net.conv("first", net.data("x", (1, 5, 5, 3), 4), 3), 3)
    y = net.fix(net.op("t", "tanh", [x], (1, 5, 5, 3)), 7)
    net.fix(net.conv("last", y, 3), 3)
    return net.done()


def test_a_plugin_gets_its_subgraph() -> None:
    plugin = Takes(Claim("mine", ("t",), "NPU", {"run": "libnpu.so"}))
    found, _ = compiled(model(), plugins=[plugin])
    child = next(child for child in found.root.children if child.name == "mine")
    assert child.ops == ["t"] and child.get("device") == "NPU" and child.get("mine") is True
    assert child.get("runner") == {"run": "libnpu.so"} and plugin.seen == ["mine"]
    assert found.ops["t"].get("device") == "NPU"
    assert [child.get("device") for child in found.root.children].count("DPU") == 2


def test_a_plugin_may_take_what_a_dpu_could_do() -> None:
    found, _ = compiled(model(), plugins=[Takes(Claim("mine", ("first",)))])
    assert kinds(found).count("conv2d") == 1


def test_a_plugin_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tanh_plugin.py"
    path.write_text(SOURCE)
    found, _ = compiled(model(), options=CompileOptions(plugins=(str(path),)))
    child = next(child for child in found.root.children if child.name == "mine")
    assert child.get("instructions") == b"tanh"
    path.write_text(
        "class P:\n def partition(self, m): return []\n def compile(self, m, s): pass\ndef get_plugin(): return P()\n"
    )
    assert isinstance(load_plugin(str(path)), Plugin)


@pytest.mark.parametrize(
    ("plugins", "found"),
    [
        ([Takes(Claim("a", ("nobody",)))], "'nobody'"),
        ([Takes(Claim("a", ("t",))), Takes(Claim("b", ("t",)))], "'a' has taken"),
        ([Takes(Claim("a", ("t", "t")))], "'a' has taken"),
        ([Takes(Claim("a", ("t",)), Claim("a", ("last",)))], "Claim"),
        ([Takes(Claim("a", ()))], "Claim"),
        ([Takes("t")], "'t'"),  # type: ignore[arg-type]
        ([Takes(Claim("a", ("t",), "DPU"))], "DPU"),
    ],
)
def test_claims_that_cannot_be(plugins: list[Takes], found: str) -> None:
    with pytest.raises(InputError, match="Q1106") as error:
        compiled(model(), plugins=plugins)
    assert found in error.value.diagnostic.found


def test_a_subgraph_that_cannot_run_in_one_go() -> None:
    with pytest.raises(InputError, match="Q1105"):
        compiled(model(), plugins=[Takes(Claim("a", ("first", "last")))])


@pytest.mark.parametrize("text", ["import nothing_of_this_name\n", "x = 1\n", "def (\n"])
def test_what_cannot_be_loaded(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(InputError, match="Q1107"):
        load_plugin(str(path))
    with pytest.raises(InputError, match="Q1107"):
        load_plugin("no_module_of_this_name")


def test_nothing_asked_nothing_taken() -> None:
    plugins = Plugins((), ())
    plugins.partition(model())
    assert plugins.taken == {} and plugins.groups == {}
