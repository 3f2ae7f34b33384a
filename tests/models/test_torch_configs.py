"""ResNet-20 by the example configurations: accuracy, noise, and an ONNX model that answers alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from tests.models.test_torch_door import CALIBRATION, CPU, TEST, answers, images, model  # noqa: E402, F401
from tests.unit.frontends.onnx.text_models import DATA  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "examples" / "torch"
# top-1 in percent (float has 90 here) and SQNR in dB, least and most; share of answers that the ONNX model shares
EXPECTED = {
    "int": ((86, 94), (11, 22), 0.97),
    "bfloat16": ((88, 92), (40, 52), 0.99),
    "mix_precision": ((88, 92), (40, 52), 0.99),
    "pt_quant": ((86, 94), (19, 32), 0.97),
}

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there"),
]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_example_configurations(name: str, model: Any, tmp_path: Path) -> None:  # noqa: F811
    file = EXAMPLES / f"{name}_config.json"
    (x, labels), example = images("test", TEST), torch.zeros(1, 3, 32, 32)
    options = {"output_dir": tmp_path, "device": CPU, "quant_config_file": file}
    with torch.no_grad():
        quantizer = torch_quantizer("calib", model, example, **options)
        for batch in torch.from_numpy(images("train", CALIBRATION)[0]).split(32):
            quantizer.quant_model(batch)
        quantizer.export_quant_config()
        tested = torch_quantizer("test", model, example, **options)
        exact = answers(lambda rows: model(torch.from_numpy(rows)), x)
        found = answers(lambda rows: tested.quant_model(torch.from_numpy(rows)), x)
    top1, sqnr, agreement = EXPECTED[name]
    assert top1[0] <= 100 * (found.argmax(1) == labels).mean() <= top1[1]
    assert sqnr[0] <= 10 * np.log10(np.square(exact).sum() / np.square(exact - found).sum()) <= sqnr[1]
    tested.export_onnx_model(tmp_path, dynamic_batch=True)
    session = ort.InferenceSession(str(tmp_path / "ResNet20_int.onnx"), providers=["CPUExecutionProvider"])
    same = answers(lambda rows: session.run(None, {"x": rows})[0], x).argmax(1) == found.argmax(1)
    assert same.mean() >= agreement
