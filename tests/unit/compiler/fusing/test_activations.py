from __future__ import annotations

from dataclasses import replace

from quantforge.compiler.fusing.activations import depthwise_engine, eltwise_engine, fusable
from quantforge.compiler.fusing.draft import Scene
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import Attr
from tests.flat_xmodels import B4096, Net, all_dpu

TARGET = load_dpu(B4096)


def scene(kind: str, alpha: float = 26 / 256, device: str = "DPU") -> Scene:
    net = Net()
    attrs = {"alpha": Attr("float", alpha)} if kind == "leaky-relu" else {}
    net.fix(net.relu(net.conv("conv", net.data("x", (1, 5, 5, 3), 4), 4), kind, attrs), 3)
    model = net.done()
    return Scene(model, all_dpu(model) | {f"conv_{kind}": device}, TARGET)


def test_what_an_engine_lists_is_fused() -> None:
    assert fusable(scene("relu"), "conv", TARGET.conv) == {"relu": "RELU"}
    assert fusable(scene("leaky-relu"), "conv", TARGET.conv) == {"leaky-relu": "LEAKYRELU"}


def test_what_it_does_not_list_or_may_not_have_is_not() -> None:
    assert fusable(scene("relu"), "conv", replace(TARGET.conv, nonlinear=())) == {}
    assert fusable(scene("relu"), "conv", None) == {}
    assert fusable(scene("relu", device="CPU"), "conv", TARGET.conv) == {}
    assert fusable(scene("leaky-relu", 0.1), "conv", TARGET.conv) == {}
    assert fusable(scene("sigmoid"), "conv", TARGET.conv) == {}


def test_the_alu_stands_in_for_missing_engines() -> None:
    assert depthwise_engine(scene("relu")) is TARGET.alu
    assert eltwise_engine(scene("relu")) is TARGET.eltwise
