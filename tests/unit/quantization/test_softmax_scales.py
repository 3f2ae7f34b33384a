from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge import quantize
from quantforge.graph import QuantSpec
from quantforge.numerics.formats import INT8, INT16, UINT8, IntFormat
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import CPU_CNN, Recipe, TensorRule
from quantforge.quantization.softmax_scales import with_softmax_scales
from quantforge.quantization.solve import solve
from tests.networks import Net
from tests.unit.frontends.onnx.text_models import model, random, run


@pytest.mark.parametrize(
    ("form", "scale", "zero", "after"),
    [
        (UINT8, 0.001, 0, 1 / 256), (INT8, 0.001, -128, 1 / 256), (INT8, 2.0**-10, 0, 1 / 256),
        (UINT8, 0.003, 0, 1 / 256), (UINT8, 1 / 255, 0, 1 / 255), (INT16, 0.0001, 0, 0.0001),
    ],
)  # fmt: skip
def test_no_share_has_a_finer_scale(form: IntFormat, scale: float, zero: int, after: float) -> None:
    net = Net()
    graph = net.done(net.conv("c", net.add("softmax", "s", ("x",), axis=1), 4))
    recipe = Recipe("plain", activations=TensorRule(form, symmetric=False))
    places = place(graph, recipe)
    spec = QuantSpec(form, (scale,), (zero,))
    solved = solve(graph, places, recipe, lambda group, rule: spec)
    found = with_softmax_scales(solved, places, recipe)
    assert found.value("s.out").quant == replace(spec, scale=(after,))
    assert all(found.value(name).quant == solved.value(name).quant for name in ("x", "c.out", "c.w"))
    bias = found.value("c.b").quant
    weights = found.value("c.w").quant
    if form.bits == 8 and bias is not None and weights is not None:
        assert bias.scale == (float(np.float32(after) * np.float32(weights.scale[0])),)
    assert (found is solved) == (after == scale)


@pytest.mark.parametrize("recipe", [CPU_CNN, replace(CPU_CNN, activations=TensorRule(INT8, symmetric=False))])
def test_even_shares_survive_the_integer_kernel_of_onnx_runtime(recipe: Recipe) -> None:
    proto = model(
        "agraph (float[n,5] x) => (float[n,5] y) { z = MatMul (x, w) y = Softmax (z) }", w=random(5, 5) / 50
    )
    made = quantize(proto, [{"x": random(64, 5)}], recipe=recipe).model
    x = random(50, 5, seed=9)
    want, got = run(proto, {"x": x})[0], run(made, {"x": x})[0]
    assert np.abs(want - got).max() < 1 / 128, "without the bound most of these are 0"
