from __future__ import annotations

from quantforge.compiler.fuse import fuse
from quantforge.compiler.settle import settle
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import Attr
from tests.flat_xmodels import B4096, Net, all_dpu, check_same, compiled, kinds

TARGET = load_dpu(B4096)


def test_devices_outputs_and_where_values_went() -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 4)
    net.fix(net.relu(net.conv("conv", x, 4)), 3)
    net.op("y", "sigmoid", ["conv_relu_fix"], (1, 5, 5, 4))
    model = settle(net.done()).model
    found = fuse(model, all_dpu(model), TARGET, ("conv_relu_fix", "y"))
    assert found.devices == {
        "x": "USER", "conv_w": "DPU", "conv_b": "DPU", "conv": "DPU", "conv_relu_fix_y": "CPU", "y": "CPU",
    }  # fmt: skip
    assert found.integers["conv_relu_fix"] == "conv" and found.outputs == ("conv_relu_fix_y", "y")
    assert found.reasons == {"y": "there is no fixed-point form of sigmoid here"}


def test_an_operator_the_inspection_keeps_is_not_fused() -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 4)
    net.fix(net.relu(net.conv("conv", x, 4)), 3)
    net.fix(net.conv("next", "conv_relu_fix", 4), 3)
    model, report = check_same(net.done(), devices=all_dpu(net.model) | {"conv": "CPU", "conv_relu": "CPU"})
    assert [kind for kind in kinds(model) if kind != "fix"] == [
        "data",
        "conv2d",
        "relu",
        "float2fix",
        "upload",
        "conv2d-fix",
        "download",
        "fix2float",
    ]
    assert report.reasons == {}


def test_without_a_device_an_operator_is_the_cpus() -> None:
    net = Net()
    net.fix(net.conv("conv", net.data("x", (1, 5, 5, 3), 4), 4), 3)
    model, _ = compiled(net.done(), devices={"x": "USER"})
    assert "upload" not in kinds(model)


def test_claimed_operators_stay_as_they_are() -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 4)
    net.fix(net.relu(net.conv("conv", x, 4)), 3)
    model = settle(net.done()).model
    found = fuse(model, all_dpu(model), TARGET, ("conv_relu_fix",), {"conv_relu"})
    assert "conv2d" in [op.kind for op in found.model.ops.values()]
    assert "another accelerator" in found.reasons["conv"]


def test_an_operator_without_a_fixed_point_form_has_a_reason() -> None:
    net = Net()
    x = net.fix(net.conv("conv", net.data("x", (1, 5, 5, 3), 4), 4), 3)
    net.op("best", "argmax", [x], (1, 5, 5, 1), {"axis": Attr("int32", 3)})
    model, report = compiled(net.done())
    assert "argmax" in kinds(model) and "argmax" in report.reasons["best"]
