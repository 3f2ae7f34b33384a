from __future__ import annotations

import pytest

from tests.flat_xmodels import B4096, VERSAL, Net, check_same, kinds
from tests.unit.compiler.fusing.test_elementwise import hard_sigmoid


def net_with(swish: bool, inner: int = 7, rounding: str = "DPU_ROUND", extra: bool = False) -> Net:
    net = Net(rounding=rounding)
    x = net.fix(net.conv("conv", net.data("x", (1, 5, 5, 3), 5), 4), 4)
    gate = hard_sigmoid(net, x, "h", inner)
    if swish:
        gate = net.fix(net.op("y", "mul", [gate, x], (1, 5, 5, 4)), 4)
    if extra:
        net.fix(net.op("z", "add", [gate, x], (1, 5, 5, 4)), 3)
    return net


@pytest.mark.parametrize("rounding", ["DPU_ROUND", "PY3_ROUND"])
def test_hard_sigmoid_in_the_convolution(rounding: str) -> None:
    model, _ = check_same(net_with(swish=False, rounding=rounding).done(), VERSAL)
    conv = model.ops["conv"]
    assert kinds(model) == ["data-fix", "upload", "conv2d-fix", "download", "fix2float"]
    assert (conv.get("nonlinear"), conv.get("hsigmoid_in"), conv.get("shift_hsigmoid")) == ("HSIGMOID", 4, 11)
    assert conv.get("shift_cut") == 5 + 7 - 4 and conv.tensor.fix_point == 7


def test_hard_swish_in_the_convolution() -> None:
    model, _ = check_same(net_with(swish=True).done(), VERSAL)
    conv = model.ops["conv"]
    assert kinds(model) == ["data-fix", "upload", "conv2d-fix", "download", "fix2float"]
    assert (conv.get("nonlinear"), conv.get("shift_hswish")) == ("HSWISH", 4 + 7 - 4)


def test_an_engine_without_them_does_them_one_by_one() -> None:
    model, _ = check_same(net_with(swish=True).done(), B4096)
    assert [kind for kind in kinds(model) if kind.endswith("-fix")][1:] == [
        "conv2d-fix", "hard-sigmoid-fix", "eltwise-fix",
    ]  # fmt: skip


@pytest.mark.parametrize(("swish", "inner"), [(False, 7), (True, 8)])
def test_other_readers_or_another_gate_keep_them_apart(swish: bool, inner: int) -> None:
    model, _ = check_same(net_with(swish, inner, extra=not swish).done(), VERSAL)
    assert "hard-sigmoid-fix" in kinds(model)
