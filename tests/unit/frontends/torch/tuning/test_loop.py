from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import CalibrationError  # noqa: E402
from quantforge.frontends.torch.tuning import Schedule, TuneOptions  # noqa: E402
from tests.unit.frontends.torch.tuning.nets import CPU, mixed, shared  # noqa: E402

SHORT = TuneOptions(layers=False, schedule=Schedule(epochs=0))


def test_the_loop_is_run_once_and_its_samples_kept() -> None:
    quantizer, inputs = shared()
    module = quantizer.observed_module()
    calls = []

    def run() -> None:
        calls.append(1)
        with torch.no_grad():
            module(inputs)

    found = quantizer.tune(module, run, SHORT, CPU)
    assert (len(calls), found.samples) == (1, 32)


def test_a_loop_that_does_not_call_the_module_is_said() -> None:
    quantizer = mixed()
    with pytest.raises(CalibrationError, match="Q0201 fast_finetune"):
        quantizer.tune(quantizer.observed_module(), lambda: None, SHORT, CPU)
