"""ResNet-20 with 4-bit weights trained for some seconds: the loss falls, and what is deployed is what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch.nn import functional  # noqa: E402

from pytorch_nndct import QatProcessor  # noqa: E402
from tests.models.test_torch_door import images, model  # noqa: E402, F401  the fixture `model`
from tests.unit.frontends.onnx.text_models import DATA  # noqa: E402

BATCH, STEPS, TEST = 32, 20, 300
LARGEST_SHARE = 0.8  # of the first loss that is left

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there"),
]


def losses_of(module: Any, teacher: Any, batches: list[Any]) -> list[float]:
    """Distances from the float model's logits while training."""
    groups = [
        {"params": module.quantizer_parameters(), "lr": 1e-2},
        {"params": module.non_quantizer_parameters(), "lr": 3e-4},
    ]
    optimizer = torch.optim.Adam(groups)
    module.train()
    module.freeze_bn_stats()
    found = []
    for x in batches:
        with torch.no_grad():
            wanted = teacher(x)
        loss = functional.mse_loss(module(x), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def test_training(model: Any, tmp_path: Path) -> None:  # noqa: F811
    learned, _ = images("train", BATCH * STEPS)
    x, labels = images("test", TEST)
    processor = QatProcessor(model, torch.zeros(1, 3, 32, 32), weight_bits=4)
    module = processor.trainable_model()
    found = losses_of(module, model, list(torch.from_numpy(learned).split(BATCH)))
    assert np.mean(found[-5:]) < LARGEST_SHARE * np.mean(found[:5]), found
    module.eval()
    deployable = processor.to_deployable(module, tmp_path)
    with torch.no_grad():
        trained = module(torch.from_numpy(x))
        assert torch.equal(deployable(torch.from_numpy(x)), trained)
    assert (trained.argmax(1).numpy() == labels).mean() > 0.8
    processor.export_onnx_model(tmp_path, dynamic_batch=True)
    session = ort.InferenceSession(str(tmp_path / "ResNet20_int.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], trained.numpy())
