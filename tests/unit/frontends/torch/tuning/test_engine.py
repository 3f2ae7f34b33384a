from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import CalibrationError  # noqa: E402
from quantforge.frontends.torch.tuning import Schedule, TuneOptions, fine_tune  # noqa: E402
from quantforge.frontends.torch.tuning.engine import is_open  # noqa: E402
from tests.unit.frontends.torch.tuning.nets import images, mixed  # noqa: E402

SHORT = TuneOptions(schedule=Schedule(epochs=1, batch=16))


@pytest.fixture(scope="module")
def quantizer() -> Any:
    return mixed()


def tune(quantizer: Any) -> Any:
    batches = [{"x": rows} for rows in images(64).split(16)]
    return fine_tune(quantizer.base, quantizer.graph, batches, SHORT, progress=lambda *_: None)


def test_held_out_samples_decide_and_nothing_gets_worse(
    quantizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert is_open(quantizer.graph)
    with caplog.at_level(logging.INFO):
        found = tune(quantizer)
    assert "Q1440" in caplog.text  # memory is announced
    losses = {stage.name: stage.loss for stage in found.stages}
    assert losses[found.chosen] == min(losses.values()) <= losses["start"]
    assert found.samples == 64
    for value in quantizer.graph.values:
        if value.quant is not None:
            assert found.graph.value(value.name).quant == value.quant  # without a search scales stay


def test_the_same_samples_and_seed_give_the_same_weights(quantizer: Any) -> None:
    first, second = tune(quantizer), tune(quantizer)
    assert first.constants == second.constants
    for name in first.constants:
        np.testing.assert_array_equal(first.base.value(name).const, second.base.value(name).const)


def test_no_data_is_said(quantizer: Any) -> None:
    with pytest.raises(CalibrationError, match="Q0201"):
        fine_tune(quantizer.base, quantizer.graph, [], SHORT)


def test_mirror_images_of_held_out_samples_are_held_out(quantizer: Any) -> None:
    batches = [{"x": rows} for rows in images(64).split(16)]
    options = TuneOptions(mirror=True, schedule=Schedule(epochs=1, batch=16))
    found = fine_tune(quantizer.base, quantizer.graph, batches, options, progress=lambda *_: None)
    assert found.samples == 64
    assert found.stages[-1].loss < found.stages[0].loss


def test_rounding_to_the_nearest_steps_leaves_weights_in_place_afterwards(quantizer: Any) -> None:
    batches = [{"x": rows} for rows in images(64).split(16)]
    options = TuneOptions(nearest=True, layers=False, schedule=Schedule(epochs=1, batch=16))
    found = fine_tune(quantizer.base, quantizer.graph, batches, options, progress=lambda *_: None)
    assert all(name.endswith("bias") or "bias" in name for name in found.constants)
