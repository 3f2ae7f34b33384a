from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import INT8, UINT8, IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.ops.interpreter import Interpreter
from quantforge.passes.dpu_hard_sigmoid import dpu_hard_sigmoids, split_hard_swishes
from tests.networks import Net

UP = Rounding.HALF_UP


def hard_sigmoid(alpha: float, beta: float) -> Graph:
    net = Net()
    return net.done(net.add("hard-sigmoid", "a", ("x",), alpha=alpha, beta=beta))


@pytest.mark.parametrize("sixth", [1 / 6, float(np.float32(1 / 6))])
def test_a_slope_of_a_sixth_becomes_2731_16384(sixth: float) -> None:
    result = dpu_hard_sigmoids(hard_sigmoid(sixth, 0.5))
    assert result.graph.op("a").attrs == {"alpha": 2731 / 16384, "beta": 3 * 2731 / 16384}
    assert result.changed == ("a",)
    assert dpu_hard_sigmoids(result.graph).notes == ()


@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.5), (1 / 6, 0.4)])
def test_another_slope_stays_and_is_said(alpha: float, beta: float) -> None:
    result = dpu_hard_sigmoids(hard_sigmoid(alpha, beta))
    assert result.changed == () and not result.notes[0].done
    assert dpu_hard_sigmoids(hard_sigmoid(alpha, beta), {"a"}).notes == ()


def swish(x: QuantSpec | None, y: QuantSpec | None, size: int = 16) -> Graph:
    net = Net(1, size)
    graph = net.done(net.add("hard-swish", "a", ("x",)))
    for name, spec in (("x", x), ("a.out", y)):
        graph.set_value(replace(graph.value(name), quant=spec))
    return graph


def test_a_stored_hard_swish_is_taken_apart() -> None:
    result = split_hard_swishes(swish(*(QuantSpec.power_of_two(INT8, 4, UP),) * 2))
    gate, product = result.graph.ops
    assert (gate.kind, product.kind, product.name) == ("hard-sigmoid", "eltwise-mul", "a")
    assert product.inputs == ("x", gate.outputs[0]) and product.outputs == ("a.out",)
    assert result.graph.value(gate.outputs[0]).quant == QuantSpec.power_of_two(INT8, 7, UP)
    assert gate.origin.made_by == product.origin.made_by == "dpu-hard-sigmoid"
    assert result.changed == ("a",)


def test_wider_formats_keep_all_bits_but_one_behind_the_point() -> None:
    spec = QuantSpec.power_of_two(IntFormat(16), 10, UP)
    found = split_hard_swishes(swish(spec, spec)).graph
    assert found.value(found.ops[0].outputs[0]).quant == QuantSpec.power_of_two(IntFormat(16), 15, UP)


def test_what_is_not_stored_on_powers_of_two_stays_whole() -> None:
    stored = QuantSpec.power_of_two(INT8, 4)
    for x, y, said in (
        (None, stored, 0),
        (stored, None, 0),
        (stored, QuantSpec(INT8, (0.3,)), 1),
        (QuantSpec(INT8, (0.3,)), stored, 1),
        (stored, QuantSpec.power_of_two(UINT8, 4), 1),
    ):
        result = split_hard_swishes(swish(x, y))
        assert [op.kind for op in result.graph.ops] == ["hard-swish"]
        assert [note.done for note in result.notes] == [False] * said
    assert split_hard_swishes(swish(stored, stored), {"a"}).changed == ()


@given(st.integers(0, 7), st.integers(0, 7))
def test_it_computes_the_integers_of_the_hardware(source: int, target: int) -> None:
    """Every int8 number, against fractions."""
    graph = swish(QuantSpec.power_of_two(INT8, source, UP), QuantSpec.power_of_two(INT8, target, UP))
    x = (np.arange(-128, 128, dtype=np.float32) / 2**source).reshape(1, 1, 16, 16)
    split = split_hard_swishes(graph).graph
    found = Interpreter().session(split, ["a.out"]).run({"x": x})["a.out"].reshape(-1)

    def stored(number: Fraction, position: int) -> Fraction:
        whole = floor(number * 2**position + Fraction(1, 2))
        return Fraction(min(max(whole, -128), 127), 2**position)

    for real, result in zip(range(-128, 128), found.tolist(), strict=True):
        number = Fraction(real, 2**source)
        gate = stored(min(max(number + 3, 0), Fraction(6)) * Fraction(2731, 16384), 7)
        assert result == float(stored(number * gate, target))
