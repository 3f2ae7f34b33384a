"""Shards add up to one pass, bit for bit; what depends on the order is not cut up."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import quantforge
from quantforge.calibration.data import DataSource, open_data
from quantforge.calibration.methods import Statistic
from quantforge.calibration.runner import calibrate
from quantforge.diagnostics import CalibrationError
from quantforge.distribution.pool import LocalPool
from quantforge.distribution.processes import ProcessPool
from quantforge.distribution.ray_ import RayPool
from quantforge.frontends import shards as module
from quantforge.frontends.onnx.import_ import import_model
from quantforge.frontends.onnx.run import OnnxExecutor, input_infos
from quantforge.frontends.shards import PackedSketch, ShardedCounter, Shards, count_shard, counter_for
from quantforge.quantization.plan import plan_of
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN
from tests.unit.frontends.digits import DATA, MODEL

GRAPH = import_model(MODEL)


class WidePool(LocalPool):
    width = 3


def opened(samples: int | None = None) -> DataSource:
    return open_data(DATA, input_infos(GRAPH), batch_size=8, limit=samples)


def dying(mark: Path) -> DataSource:
    """The data; the first process that asks for it is killed."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return opened()


def test_shards_add_up_to_one_pass() -> None:
    observed = [GRAPH.inputs[0], *(op.outputs[0] for op in GRAPH.ops[:4])]
    whole = calibrate(OnnxExecutor().session(GRAPH, observed), opened(), observed, graph=GRAPH)
    found = ShardedCounter(WidePool(), OnnxExecutor(), opened, 0)(GRAPH, observed, observed)
    assert (found.batches, found.samples, found.notices) == (16, 128, whole.notices)
    for name in observed:
        assert np.array_equal(found.sketches[name].counts, whole.sketches[name].counts)
        assert found.sketches[name].extent == whole.sketches[name].extent


def test_more_shards_than_batches() -> None:
    shards = Shards(OnnxExecutor(), GRAPH, GRAPH.inputs, GRAPH.inputs, partial(opened, 4), 0, 3)
    assert [count_shard(shards, number).batches for number in range(3)] == [1, 0, 0]
    with pytest.raises(CalibrationError, match="Q0201"):
        empty = partial(open_data, [], input_infos(GRAPH))
        ShardedCounter(WidePool(), OnnxExecutor(), empty, 0)(GRAPH, GRAPH.inputs, GRAPH.inputs)


def test_pools_of_this_process_need_no_counter() -> None:
    assert counter_for(None, OnnxExecutor(), opened, 0) is None
    assert counter_for(LocalPool(), OnnxExecutor(), opened, 0) is None
    assert counter_for(ProcessPool(1), OnnxExecutor(), opened, 4) is not None


def test_a_packed_sketch() -> None:
    sketch = module.Sketch()
    sketch.add(np.array([0.5, -2.0, np.nan, np.inf], np.float32))
    again = PackedSketch.of(sketch).unpacked()
    assert np.array_equal(again.counts, sketch.counts)
    assert (again.extent, again.nans, again.infinities) == (sketch.extent, sketch.nans, sketch.infinities)


@pytest.mark.parametrize("recipe", [CPU_CNN, replace(DPU_CNN, hold_out=4)], ids=["cpu", "dpu"])
def test_the_same_model_whoever_counts(recipe: quantforge.Recipe, tmp_path: Path) -> None:
    paths = [tmp_path / "here.onnx", tmp_path / "there.onnx"]
    for path, pool in zip(paths, (None, WidePool()), strict=True):
        if pool is not None:
            pool.in_process = False  # as if its workers were elsewhere
        quantforge.quantize(MODEL, DATA, recipe=recipe, output=path, batch_size=8, pool=pool)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_depends_on_the_order_is_counted_here(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(DPU_CNN, activations=replace(DPU_CNN.activations, statistic=Statistic.MOST_COMMON))
    monkeypatch.setattr(ShardedCounter, "__call__", lambda *given: pytest.fail("cut up"))
    pool = WidePool()
    pool.in_process = False
    found = quantforge.quantize(MODEL, DATA, recipe=recipe, pool=pool)
    assert found.plan == plan_of(quantforge.quantize(MODEL, DATA, recipe=recipe).graph, found.plan.recipe)


def ray_pool() -> RayPool:
    pytest.importorskip("ray", reason="ray is not installed")
    return RayPool(workers=1)


@pytest.mark.slow
@pytest.mark.parametrize("pool_of", [partial(ProcessPool, 1), ray_pool], ids=["processes", "ray"])
def test_a_killed_worker_loses_nothing(
    pool_of: Callable[[], ProcessPool | RayPool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3]))
    pool = pool_of()
    try:
        counter = ShardedCounter(pool, OnnxExecutor(), partial(dying, tmp_path / "died"), 0)
        found = counter(GRAPH, GRAPH.inputs, GRAPH.inputs)
    finally:
        pool.close()
    assert (tmp_path / "died").exists() and (found.batches, found.samples) == (16, 128)
    whole = calibrate(OnnxExecutor().session(GRAPH, GRAPH.inputs), opened(), GRAPH.inputs, graph=GRAPH)
    assert all(found.sketches[name] == whole.sketches[name] for name in GRAPH.inputs)
