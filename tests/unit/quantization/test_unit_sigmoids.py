from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.graph import QuantSpec
from quantforge.numerics.formats import INT8, UINT8, IntFormat
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import Recipe, TensorRule
from quantforge.quantization.solve import solve
from quantforge.quantization.unit_sigmoids import with_unit_sigmoids
from tests.networks import Net

PLAIN = Recipe("plain", activations=TensorRule(UINT8, symmetric=False))


@pytest.mark.parametrize("form", [UINT8, INT8])
def test_unsigned_sigmoids_and_the_biases_behind_them(form: IntFormat) -> None:
    net = Net()
    graph = net.done(net.conv("c", net.add("sigmoid", "s", ("x",)), 4))
    plain = replace(PLAIN, activations=replace(PLAIN.activations, format=form))
    recipe, places = replace(plain, unit_sigmoids=True), place(graph, plain)
    solved = solve(graph, places, plain, lambda group, rule: QuantSpec(form, (0.1,), (3,)))
    assert with_unit_sigmoids(solved, places, plain) is solved
    after = with_unit_sigmoids(solved, places, recipe)
    s, x, w, b = (after.value(name).quant for name in ("s.out", "x", "c.w", "c.b"))
    assert s is not None and x is not None and w is not None and b is not None
    assert (s.scale, s.zero_point) == (((1 / 256,), (0,)) if form == UINT8 else ((0.1,), (3,)))
    assert (x.scale, x.zero_point) == ((0.1,), (3,))
    assert b.scale == (float(np.float32(s.scale[0]) * np.float32(w.scale[0])),)


def test_a_concat_with_other_values_keeps_its_range() -> None:
    net = Net()
    y = net.add("concat", "j", (net.add("sigmoid", "s", ("x",)), net.conv("c", "x", 3)), 6, axis=1)
    graph = net.done(net.conv("d", y, 2))
    recipe = replace(PLAIN, unit_sigmoids=True)
    places = place(graph, recipe)
    solved = solve(graph, places, recipe, lambda group, rule: QuantSpec(UINT8, (0.1,), (3,)))
    assert with_unit_sigmoids(solved, places, recipe).value("s.out").quant == solved.value("s.out").quant
