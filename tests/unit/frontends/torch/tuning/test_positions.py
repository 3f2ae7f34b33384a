from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.tuning import Schedule, TuneOptions, fine_tune  # noqa: E402
from quantforge.frontends.torch.tuning.positions import Candidate, Search, with_spec  # noqa: E402
from quantforge.graph import QuantSpec  # noqa: E402
from tests.unit.frontends.torch.tuning.nets import images, mixed  # noqa: E402


def test_a_spec_goes_to_all_values_of_a_copy() -> None:
    quantizer = mixed()
    values = next(group.values for group in quantizer.places.groups if len(group.values) == 1)
    old = quantizer.graph.value(values[0]).quant
    new = QuantSpec.power_of_two(old.format, old.position + 1, old.rounding)
    moved = with_spec(quantizer.graph, Candidate(values, new, 1.0))
    assert moved.value(values[0]).quant == new
    assert quantizer.graph.value(values[0]).quant == old


def test_a_position_that_is_plainly_wrong_is_found_and_outputs_stay() -> None:
    quantizer = mixed(8)
    graph = quantizer.graph.copy()
    groups = [group.values for group in quantizer.places.groups]
    inner = next(values for values in groups if "x" not in values and not set(values) & set(graph.outputs))
    for name in inner:
        spec = graph.value(name).quant
        coarse = QuantSpec.power_of_two(spec.format, spec.position - 4, spec.rounding)
        graph.set_value(replace(graph.value(name), quant=coarse))
    options = TuneOptions(layers=False, schedule=Schedule(epochs=0))
    batches = [{"x": images(64)}]
    found = fine_tune(
        quantizer.base, graph, batches, options, search=Search(groups), progress=lambda *_: None
    )
    assert found.graph.value(inner[0]).quant.position > graph.value(inner[0]).quant.position
    for name in graph.outputs:
        assert found.graph.value(name).quant == graph.value(name).quant
