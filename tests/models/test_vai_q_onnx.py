"""The guide's configuration for CNNs on an NPU, with and without equalization, on real models."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import vai_q_onnx
from quantforge.graph import Array
from tests.unit.frontends.onnx.text_models import DATA, run

CIFAR = DATA.parent / "cifar10"
SAMPLES = 512
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
NPU: dict[str, Any] = {
    "quant_format": vai_q_onnx.QuantFormat.QDQ,
    "calibrate_method": vai_q_onnx.PowerOfTwoMethod.MinMSE,
    "activation_type": vai_q_onnx.QuantType.QUInt8,
    "weight_type": vai_q_onnx.QuantType.QInt8,
    "enable_dpu": True,
    "extra_options": {"ActivationSymmetric": True},
}
CLE = {
    "include_cle": True,
    "extra_options": {
        "ActivationSymmetric": True,
        "ReplaceClip6Relu": True,
        "CLESteps": 1,
        "CLEScaleAppendBias": True,
    },
}

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not CIFAR.exists(), reason="../shared/data is not there"),
]


def images(split: str, count: int) -> Array:
    """Normalized images [count, 3, 32, 32]."""
    with np.load(CIFAR / f"{split}.npz") as file:
        data, offset = file["jpeg"], file["offset"]
    pixels = [Image.open(io.BytesIO(data[offset[i] : offset[i + 1]].tobytes())) for i in range(count)]
    rows = (np.stack([np.asarray(image) for image in pixels]) / 255.0 - MEAN) / STD
    return np.ascontiguousarray(rows.transpose(0, 3, 1, 2), np.float32)


class Reader(vai_q_onnx.CalibrationDataReader):
    def __init__(self, name: str) -> None:
        rows = images("train", 128)
        self.batches = iter([{name: rows[start : start + 32]} for start in range(0, len(rows), 32)])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.batches, None)


@pytest.mark.parametrize(
    ("model", "arguments", "agreement", "sqnr_db"),
    [
        # bounds on 512 test images, a little below what was measured on 2026-11-21
        ("resnet20_cifar10", NPU, 0.96, 23.5),
        ("mobilenetv2_rescaled", NPU | CLE, 0.85, 14.5),
    ],
)
def test_accuracy(model: str, arguments: Any, agreement: float, sqnr_db: float, tmp_path: Path) -> None:
    path = DATA / f"{model}.onnx"
    name = onnx.load(path).graph.input[0].name
    vai_q_onnx.quantize_static(path, tmp_path / "q.onnx", Reader(name), print_summary=False, **arguments)
    x = images("test", SAMPLES)
    want, got = run(path, {name: x})[0], run(tmp_path / "q.onnx", {name: x})[0]
    assert (want.argmax(1) == got.argmax(1)).mean() >= agreement
    assert 10 * np.log10((want**2).sum() / ((want - got) ** 2).sum()) >= sqnr_db
