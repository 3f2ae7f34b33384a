"""A rung judges on samples that it did not see, and statistics are shared only where they serve."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quantforge.calibration.methods import Statistic
from quantforge.diagnostics import InputError
from quantforge.frontends.rungs import from_the_start, judged, quantized_by, run_rung, sketches_for
from quantforge.quantization.fine_tuning import FineTune
from quantforge.quantization.plan import plan_of
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN, Equalization, Override, Refinement
from tests.unit.frontends.digits import labels, trial

PLAIN = replace(DPU_CNN, equalize=None, correct_bias=False, hold_out=4)


def test_calibration_leaves_out_what_is_judged() -> None:
    found = quantized_by(trial(), PLAIN)
    assert found.calibration.samples == 96
    figures = judged(trial(), found.graph)
    assert figures.samples == 32 and figures.sqnr_db > 20.0 and figures.agreement is not None
    assert run_rung(trial(), PLAIN).figures == figures


def test_labels_of_the_samples_held_out() -> None:
    known = replace(trial(), labels=labels())
    assert run_rung(known, PLAIN).figures.float_accuracy == 1.0
    with pytest.raises(InputError, match="Q0221"):
        run_rung(replace(known, labels=labels()[:50]), PLAIN)
    with pytest.raises(InputError, match="Q0221"):
        run_rung(replace(known, labels=np.concatenate([labels(), labels()])), PLAIN)


def test_statistics_kept_give_the_same_model(tmp_path: Path) -> None:
    recipe = replace(CPU_CNN, hold_out=4)
    fresh = quantized_by(trial(), recipe)
    kept = [quantized_by(trial(tmp_path), recipe) for _ in range(2)]
    assert "load sketches" in {timing.stage for timing in kept[1].timings}
    assert plan_of(fresh.graph, "") == plan_of(kept[0].graph, "") == plan_of(kept[1].graph, "")
    for value in fresh.graph.values:
        if value.const is not None:
            assert np.array_equal(value.const, kept[1].graph.value(value.name).const)  # type: ignore[arg-type]


def test_who_shares_statistics(tmp_path: Path) -> None:
    path = sketches_for(tmp_path, PLAIN)
    wide = Override(op="logits", format=CPU_CNN.activations.format)
    same = [
        replace(PLAIN, correct_bias=True, correct_bias_by_samples=True),
        replace(PLAIN, refine=Refinement()),
        PLAIN.with_overrides((wide,)),
    ]
    assert all(sketches_for(tmp_path, recipe) == path for recipe in same)
    others = [
        replace(PLAIN, equalize=Equalization()),
        PLAIN.with_overrides((Override(op="logits", keep_float=True),)),
    ]
    assert all(sketches_for(tmp_path, recipe) != path for recipe in others)
    tuned = replace(PLAIN, finetune=FineTune())  # grids are fitted to formats
    assert len({sketches_for(tmp_path, r) for r in (tuned, tuned.with_overrides((wide,)), PLAIN)}) == 3
    over_batches = replace(PLAIN, activations=replace(PLAIN.activations, statistic=Statistic.MEAN))
    assert sketches_for(tmp_path, over_batches) is None and sketches_for(None, PLAIN) is None


def test_data_is_read_from_its_start() -> None:
    class Reader:
        def __init__(self) -> None:
            self.left: list[int] = []

        def rewind(self) -> None:
            self.left = [1, 2]

        def get_next(self) -> int | None:
            return self.left.pop() if self.left else None

    reader = Reader()
    for _ in range(2):
        assert from_the_start(reader).get_next() == 2
    assert from_the_start([1]) == [1]
    with pytest.raises(InputError, match="Q0218"):
        from_the_start(iter([1]))


def test_the_key_tells_model_data_and_labels_apart() -> None:
    keys = {trial().key(), trial(hold_out=5).key(), replace(trial(), samples=64).key()}
    keys |= {replace(trial(), labels=labels()).key()}
    assert len(keys) == 4 and trial().key() == pickle.loads(pickle.dumps(trial())).key()
