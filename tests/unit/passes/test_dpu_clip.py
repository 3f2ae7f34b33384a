from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import BFLOAT16, INT8, UINT8
from quantforge.passes.dpu_clip import dpu_clips
from tests.unit.frontends.onnx.text_models import random

from .onnx_nets import kinds, net, outputs


def stored(low: float, high: float, spec: QuantSpec | None) -> Graph:
    graph = net("[c] y = Clip (x, low, high)", low=np.float32(low), high=np.float32(high))
    graph.set_value(replace(graph.value("y"), quant=spec))
    return graph


def test_what_is_stored_ends_where_the_clip_did() -> None:
    graph = stored(0.0, 2.0, QuantSpec.power_of_two(INT8, 6))
    result = dpu_clips(graph)
    assert kinds(result.graph) == ["relu"]
    assert "ends at 1.98438, the clip did at 2" in result.notes[0].text
    x = 3 * random(1, 4, 6, 6)
    np.testing.assert_array_equal(outputs(result.graph, {"x": x})["y"], outputs(graph, {"x": x})["y"])


def test_the_largest_number_counts_the_zero_point() -> None:
    spec = QuantSpec(UINT8, (2.0**-6,), (128,))
    assert "ends at 1.98438" in dpu_clips(stored(0.0, 6.0, spec)).notes[0].text


def test_clips_that_stay() -> None:
    spec = QuantSpec.power_of_two(INT8, 6)
    for low, high, spec_of, why in (
        (0.5, 2.0, spec, "it begins at 0.5"),
        (-1.0, 2.0, spec, "it begins at -1"),
        (0.0, 2.0, None, "nothing is stored behind it that would end at 2"),
        (0.0, 2.0, QuantSpec(BFLOAT16), "nothing is stored behind it"),
    ):
        result = dpu_clips(stored(low, high, spec_of))
        assert result.changed == () and why in result.notes[0].text
    assert dpu_clips(stored(0.0, 2.0, spec), {"c"}).notes == ()
