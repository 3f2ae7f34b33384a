from __future__ import annotations

import numpy as np

from quantforge.calibration.data import open_data
from quantforge.calibration.runner import calibrate, guarded
from quantforge.calibration.samples import InputInfo
from quantforge.calibration.segments import segments_of
from quantforge.calibration.sketch import sketch_of
from quantforge.graph import QuantSpec
from quantforge.numerics.formats import INT8
from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.output_room import activation_specs, roomy
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import DPU_CNN
from tests.networks import Net


def test_rare_large_values_decide_for_the_coarser_grid() -> None:
    values = np.random.default_rng(0).normal(size=20_000).astype(np.float32) * 3
    values[:20] = 18.0
    seen = segments_of(sketch_of([values]))
    assert roomy(QuantSpec.power_of_two(INT8, 3), seen).position == 2
    assert roomy(QuantSpec.power_of_two(INT8, 2), seen).position == 2


def test_specs_without_a_position_and_values_without_data_stay() -> None:
    free = QuantSpec(INT8, (0.3,), (0,))
    seen = segments_of(sketch_of([np.ones(3, np.float32)]))
    assert roomy(free, seen) is free
    fixed = QuantSpec.power_of_two(INT8, 3)
    assert roomy(fixed, segments_of(sketch_of([np.zeros(0, np.float32)]))) is fixed


def test_only_outputs_get_room() -> None:
    net = Net()
    graph = net.done(net.conv("c2", net.add("relu", "r", (net.conv("c1", "x", 4),)), 2))
    places = place(graph, DPU_CNN)
    data = open_data(np.ones((8, 3, 6, 6), np.float32), [InputInfo("x", "float32", ("batch", 3, 6, 6))])
    names = list(places.observed)
    calibration = calibrate(
        Interpreter().session(graph, names), guarded(data), names, rules=places.rules, graph=graph
    )
    tight, room = (activation_specs(graph, calibration, wanted) for wanted in (False, True))
    for group in places.groups:
        first, second = (found(group, group.rule).position for found in (tight, room))
        assert first is not None and second is not None
        assert second <= first + 1 if "c2.out" in group.values else second == first
