"""ResNet-20 through the torch door and its ONNX files on the images of cifar10/test: each answer is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from quantforge.frontends.torch.module import QuantizedModule  # noqa: E402
from tests.models.samples import Samples, cifar_samples  # noqa: E402
from tests.models.test_torch_door import CPU, model  # noqa: E402, F401  the fixture
from tests.unit.frontends.onnx.text_models import DATA  # noqa: E402

CALIBRATION, BATCH = 64, 50  # small batches stay in the caches
IMAGES = {"native": 10_000, "vai": 2_000}  # both were equal on all 10,000

pytestmark = [
    pytest.mark.models,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there"),
]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return cifar_samples(tmp_path_factory.mktemp("cifar10"))


@pytest.fixture(scope="module")
def tested(model: Any, samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: F811
    folder = tmp_path_factory.mktemp("quantize_result")
    example = torch.zeros(1, 3, 32, 32)
    quantizer = torch_quantizer("calib", model, example, output_dir=folder, device=CPU)
    for batch in samples.batches(samples.calibration[:CALIBRATION], 32):
        quantizer.quant_model(torch.from_numpy(batch))
    quantizer.export_quant_config()
    return torch_quantizer("test", model, example, output_dir=folder, device=CPU)


def step_of(module: QuantizedModule) -> float:
    """One step of the grid of the output."""
    spec = module.graph.value(module.graph.outputs[0]).quant
    assert spec is not None
    return spec.scale[0]


@pytest.mark.parametrize("style", IMAGES)
def test_every_image_gets_the_same_answer(tested: Any, samples: Samples, tmp_path: Path, style: str) -> None:
    tested.export_onnx_model(tmp_path, dynamic_batch=True, native_onnx=style == "native")
    session = ort.InferenceSession(str(tmp_path / "ResNet20_int.onnx"), providers=["CPUExecutionProvider"])
    images, steps, other_class, unequal = 0, 0.0, 0, 0
    for batch in samples.batches(samples.test[: IMAGES[style]], BATCH):
        found = session.run(None, {"x": batch})[0]
        with torch.no_grad():
            want = tested.quant_model(torch.from_numpy(batch)).numpy()
        images += len(batch)
        other_class += int((found.argmax(1) != want.argmax(1)).sum())
        unequal += int((found != want).any(1).sum())
        steps = max(steps, float(np.abs(found - want).max()) / step_of(tested.quant_model))
    assert (images, other_class, unequal, steps) == (IMAGES[style], 0, 0, 0.0)
