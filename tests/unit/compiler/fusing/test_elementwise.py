from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.xmodel.model import Attr
from tests.flat_xmodels import Net, check_same, compiled, ints, kinds, text


@settings(deadline=None, max_examples=25)
@given(
    positions=st.lists(st.integers(0, 6), min_size=2, max_size=3), out=st.integers(0, 6),
    kind=st.sampled_from(["add", "mul"]), relu=st.booleans(),
    rounding=st.sampled_from(["DPU_ROUND", "PY3_ROUND", "STD_ROUND"]),
)  # fmt: skip
def test_sums_and_products_are_exact(
    positions: list[int], out: int, kind: str, relu: bool, rounding: str
) -> None:
    net = Net(rounding=rounding)
    shape = (1, 3, 4, 5)
    inputs = [net.data(f"x{i}", shape, position) for i, position in enumerate(positions)]
    result = net.op("y", kind, inputs[:2] if kind == "mul" else inputs, shape)
    net.fix(net.relu(result) if relu else result, out)
    if kind == "mul" and sum(positions[:2]) < out:
        assert "a product is shifted" in compiled(net.done())[1].reasons["y"]
        return
    model, _ = check_same(net.done())
    eltwise = model.ops["y"]
    assert eltwise.kind == "eltwise-fix" and eltwise.get("type") == kind.upper()
    assert eltwise.get("nonlinear") == ("RELU" if relu else "NONE")


def test_a_constant_operand_is_kept_in_fixed_point() -> None:
    net = Net()
    x = net.data("x", (1, 3, 4, 5), 4)
    net.fix(net.op("y", "add", [x, net.random("c", (5,), 5)], (1, 3, 4, 5)), 4)
    model, _ = check_same(net.done())
    assert model.ops["c"].kind == "const-fix"


def test_shifts_beyond_the_registers() -> None:
    net = Net()
    a, b = net.data("a", (1, 2, 2, 1), 20), net.data("b", (1, 2, 2, 1), 2)
    net.fix(net.op("y", "add", [a, b], (1, 2, 2, 1)), 2)
    assert "shift_read 18" in compiled(net.done())[1].reasons["y"]


def test_an_operand_that_is_not_quantized() -> None:
    net = Net()
    a, b = net.data("a", (1, 2, 2, 1), 4), net.data("b", (1, 2, 2, 1))
    net.fix(net.op("y", "add", [a, b], (1, 2, 2, 1)), 2)
    model, report = compiled(net.done())
    assert "'b' is not quantized" in report.reasons["y"] and "upload" not in kinds(model)


def hard_sigmoid(net: Net, source: str, name: str, out: int, factor: float = 6 * 2731 / 16384) -> str:
    shape = net.shape(source)
    inner = net.op(f"{name}_inner", "hard-sigmoid", [source], shape)
    return net.fix(net.op(name, "mul", [inner, net.const(f"{name}_c", np.asarray([factor]))], shape), out)


@pytest.mark.parametrize("position", [0, 4, 9])
def test_hard_sigmoid(position: int) -> None:
    net = Net()
    hard_sigmoid(net, net.data("x", (1, 3, 4, 5), position), "h", 7)
    model, _ = check_same(net.done())
    assert model.ops["h_inner"].kind == "hard-sigmoid-fix"
    assert model.ops["h_inner"].get("shift_hsigmoid") == 14 + position - 7


def test_hard_sigmoids_of_another_slope_or_range_stay_on_the_cpu() -> None:
    net = Net()
    x = net.data("x", (1, 3, 4, 5), 4)
    net.fix(net.op("plain", "hard-sigmoid", [x], (1, 3, 4, 5)), 7)
    hard_sigmoid(net, x, "steep", 7, 1.5)
    hard_sigmoid(net, x, "coarse", 5)
    reasons = compiled(net.done())[1].reasons
    assert "1/6" in reasons["plain"] and "multiplied by 1.5" in reasons["steep_inner"]
    assert "fix point 4 to 5" in reasons["coarse_inner"]


@pytest.mark.parametrize(("shape", "kind"), [((1, 3, 4, 5), "pool-fix"), ((1, 6), "eltwise-fix")])
@pytest.mark.parametrize("out", [1, 6])
def test_from_one_grid_to_another(shape: tuple[int, ...], kind: str, out: int) -> None:
    net = Net()
    x = net.data("x", shape, 4)
    finer = net.fix(x, out)
    net.fix(net.op("y", "add", [x, finer], shape), 3)
    model, _ = check_same(net.done())
    assert model.ops["x_fix_fix"].kind == kind


@pytest.mark.parametrize(("kind", "word"), [("relu", "RELU"), ("leaky-relu", None)])
def test_an_activation_alone(kind: str, word: str | None) -> None:
    net = Net()
    x = net.data("x", (1, 3, 4, 5), 4)
    net.fix(net.relu(x, kind, {"alpha": Attr("float", 26 / 256)} if kind != "relu" else {}), 3)
    net.fix(net.conv("conv", net.model.ops[f"x_fix_{kind}_fix"].name, 4), 2)
    if word is None:
        assert "no engine" in compiled(net.done())[1].reasons["x_fix_leaky-relu"]
    else:
        model, _ = check_same(net.done())
        assert model.ops["x_fix_relu"].kind == "eltwise-fix"
        assert model.ops["x_fix_relu"].get("nonlinear") == word


def test_products_of_images_are_no_depthwise_convolutions() -> None:
    net = Net()
    x = net.data("x", (1, 3, 4, 5), 4)
    net.fix(net.op("y", "mul", [x, net.random("c", (3, 4, 5), 5)], (1, 3, 4, 5)), 4)
    assert check_same(net.done())[0].ops["y"].kind == "eltwise-fix"


def test_texts_of_the_helpers() -> None:
    assert ints(1).value == (1,) and text("a").kind == "string"
