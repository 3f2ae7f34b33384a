"""Layers of a real network are ranked by what each alone costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quantforge.distribution.pool import LocalPool
from quantforge.frontends.layers import Measuring, noise_of_layer, rank_layers
from quantforge.frontends.rungs import quantized_by
from quantforge.quantization.recipe import DPU_CNN, Override
from quantforge.quantization.sensitivity import float_outputs
from tests.unit.frontends.digits import trial


def test_every_layer_once_and_the_shares_add_up() -> None:
    run, recipe = trial(), replace(DPU_CNN, hold_out=4)
    found = quantized_by(run, recipe)
    rows = rank_layers(found, run.executor, run.source(), 4, None, LocalPool())
    assert sum(row.share for row in rows) == pytest.approx(1.0) and all(row.confirmed for row in rows)
    assert [row.share for row in rows] == sorted((row.share for row in rows), reverse=True)
    assert {"image", "logits"} < {row.layer.name for row in rows} and len({row.layer for row in rows}) == len(
        rows
    )
    few = rank_layers(found, run.executor, run.source(), 4, 3, LocalPool())
    assert sum(row.confirmed for row in few) == 3 and len(few) == len(rows)


def test_fewer_bits_make_a_layer_the_worst() -> None:
    run = trial()
    rough = Override(op="block2/pointwise/conv", format=replace(DPU_CNN.weights.format, bits=3))  # type: ignore[type-var]
    found = quantized_by(run, DPU_CNN.with_overrides((rough,)))
    rows = rank_layers(found, run.executor, run.source(), 0, None, LocalPool())
    assert rows[0].layer.name == "block2/pointwise/conv" and rows[0].share > 0.5
    batches = tuple(run.source())
    wanted = tuple(float_outputs(run.executor, found.base, batches))
    noise = noise_of_layer(Measuring(run.executor, found.base, found.graph, batches, wanted), rows[0].layer)
    assert noise > 0.0
