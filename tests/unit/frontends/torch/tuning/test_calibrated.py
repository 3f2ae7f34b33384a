from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.run import TorchExecutor  # noqa: E402
from quantforge.frontends.torch.tuning.calibrated import CalibrationTuner, parts_of, tune_options  # noqa: E402
from quantforge.graph import Graph  # noqa: E402
from quantforge.quantization.fine_tuning import FineTune, TuneMethod, TuneTask  # noqa: E402
from quantforge.quantization.flow import quantize_graph  # noqa: E402
from quantforge.quantization.recipe import DPU_CNN  # noqa: E402
from tests.networks import Net  # noqa: E402
from tests.unit.quantization.test_fine_tuning import network, source  # noqa: E402

OPTIONS = FineTune(samples=10, epochs=1, batch=4)


def test_options_reach_the_engine() -> None:
    given = FineTune(TuneMethod.ADAROUND, 9, True, True, False, False, 7, 5, 0.1, 0.2, 3, 12)
    found = tune_options(given)
    assert (found.nearest, found.mirror, found.positions, found.layers, found.seed) == (
        True,
        True,
        False,
        False,
        3,
    )
    assert found.budget.memory_bytes == 12 << 20
    schedule = found.schedule
    assert (schedule.epochs, schedule.batch, schedule.weight_rate, schedule.bias_rate) == (7, 5, 0.1, 0.2)


def test_no_more_samples_than_asked_for_are_kept() -> None:
    with CalibrationTuner(OPTIONS, network()) as tuner:
        rows = np.ones((6, 3, 6, 6), np.float32)
        assert tuner.keep({"x": rows})
        assert not tuner.keep({"x": rows})
        assert tuner._samples.count == 10


def test_from_calibration_to_notes() -> None:
    recipe = replace(DPU_CNN, finetune=OPTIONS)
    with CalibrationTuner(OPTIONS, network()) as tuner:
        found = quantize_graph(network(), TorchExecutor(), source(), recipe, tuner=tuner)
    notes = [note for note in found.notes if note.made_by == "fine-tune"]
    assert "dB before" in notes[0].text and "held-out samples of 10" in notes[0].text
    assert {note.op for note in notes[1:]} == {"c1", "c2"}


def with_opaque(at_start: bool) -> Graph:
    net = Net()
    source = net.add("opaque", "odd", ("x",), type="Elsewhere") if at_start else "x"
    y = net.conv("c2", net.add("relu", "r", (net.conv("c1", source, 4),)), 2)
    return net.done(y if at_start else net.add("opaque", "odd", (y,), type="Elsewhere"))


def task(graph: Graph) -> TuneTask:
    return TuneTask(graph, graph, (), lambda graph: graph)


def test_the_part_in_front_of_unknown_operators() -> None:
    graph = with_opaque(at_start=False)
    for part in parts_of(graph, task(graph)):
        assert part.outputs == ("c2.out",)


def test_nothing_to_tune() -> None:
    with pytest.raises(InputError, match=r"Q0522.*odd"):
        parts_of(with_opaque(at_start=True), task(with_opaque(at_start=True)))


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(InputError, match="Q0523"):
        CalibrationTuner(replace(OPTIONS, device="cuda:63"), network())
    with pytest.raises(InputError, match="Q0523"):
        CalibrationTuner(replace(OPTIONS, device="abacus"), network())
