"""Fine-tuning of a real model on few images brings it nearer to float, within the limits of the hardware."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quantforge
from quantforge.quantization.fine_tuning import FineTune
from quantforge.quantization.recipe import DPU_CNN
from tests.models.samples import Samples, answers, opened
from tests.models.test_accuracy import sqnr_db
from tests.unit.frontends.onnx.text_models import DATA

MODEL = DATA / "mobilenetv2_cifar10.onnx"
FEW, JUDGED = 64, 500

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there"),
]


def test_fine_tuning_raises_the_sqnr_of_mobilenetv2(cifar: Samples, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    session = opened(MODEL)
    name = session.get_inputs()[0].name
    judged = cifar.test[:JUDGED]
    exact = answers(session, cifar.batches(judged, 50))
    data = [{name: batch} for batch in cifar.batches(cifar.calibration[:FEW], 32)]
    found = {}
    for key, tuning in {"plain": None, "tuned": FineTune(mirror=True, epochs=0, positions=False)}.items():
        out = tmp_path / f"{key}.onnx"
        result = quantforge.quantize(MODEL, data, recipe=replace(DPU_CNN, finetune=tuning), output=out)
        given = answers(opened(out, integer_kernels=False), cifar.batches(judged, 50))
        found[key] = sqnr_db(exact["output"], given["output"])
    assert found["tuned"] > found["plain"] + 0.5
    assert _within_limits(result.graph)
    notes = [note for note in result.report.notes if note.made_by == "fine-tune"]
    assert notes[0].done and len(notes) == 1 + sum(
        op.kind.endswith(("conv2d", "product")) for op in result.graph.ops
    )


def _within_limits(graph: object) -> bool:
    """0 <= shift_cut <= 16 and shift_bias within its bounds, for every layer."""
    from quantforge.graph import Graph
    from quantforge.quantization.solve import output_value

    assert isinstance(graph, Graph)
    for op in graph.ops:
        if not op.kind.endswith(("conv2d", "product")):
            continue
        names = (op.inputs[0], op.inputs[1], op.inputs[2], output_value(graph, op))
        i, w, b, o = (-int(np.log2(graph.value(name).quant.scale[0])) for name in names)  # type: ignore[union-attr]
        cut, shift = i + w - o, i + w - b
        if not (0 <= cut <= 16 and min(0, cut - 16) <= shift <= 15):
            return False
    return True
