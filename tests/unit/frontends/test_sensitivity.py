"""The public function: what it looked at, and what it says of a recipe."""

from __future__ import annotations

import quantforge
from quantforge.frontends.onnx.import_ import import_model
from quantforge.frontends.sensitivity import sensitivity
from tests.unit.frontends.digits import DATA, MODEL


def test_it_says_what_it_looked_at() -> None:
    found = sensitivity(MODEL, DATA, recipe="cpu-cnn", confirm=2)
    assert (found.model, found.recipe, found.data.samples) == (MODEL, "cpu-cnn", 128)
    assert found.samples == 32 and sum(row.confirmed for row in found.layers) == 2
    assert quantforge.sensitivity is sensitivity


def test_an_imported_graph_and_fewer_samples() -> None:
    found = sensitivity(import_model(MODEL), DATA, samples=6, confirm=1)
    assert (found.model, found.data.samples, found.samples) == ("digits", 6, 6)
