from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

import pytorch_nndct  # noqa: E402
import pytorch_qat  # noqa: E402
from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from pytorch_nndct.nn import DeQuantStub, QuantStub  # noqa: E402
from pytorch_nndct.nn.modules import functional  # noqa: E402
from pytorch_nndct.qat import QatProcessor  # noqa: E402
from quantforge.diagnostics import InputError  # noqa: E402
from tests.unit.frontends.torch.training.networks import images, small, steps  # noqa: E402


@pytest.fixture(scope="module")
def trained() -> tuple[QatProcessor, Any]:
    processor = QatProcessor(small(), images(1), weight_bits=4, layer_bits={"fc": 8})
    module = processor.trainable_model()
    steps(module, 20)
    return processor, module.eval()


def test_both_packages_have_it() -> None:
    assert pytorch_nndct.QatProcessor is pytorch_qat.QatProcessor is QatProcessor


def test_the_deployable_module_is_the_trained_one_and_so_are_its_files(
    trained: tuple[QatProcessor, Any], tmp_path: Path
) -> None:
    processor, module = trained
    want = module(images()).detach()
    deployable = processor.to_deployable(module, tmp_path)
    assert torch.equal(deployable(images()), want)
    info = json.loads((tmp_path / "quant_info.json").read_text("utf-8"))
    bits = {key.partition("::")[2]: entry[0][0] for key, entry in info["param"].items()}
    assert bits["conv1.weight"] == 4 and bits["fc.weight"] == 8 and bits["conv2.bias"] == 8
    assert {entry[0][0] for entry in info["output"].values()} == {8}
    again = QatProcessor(small(), images(1), weight_bits=4, layer_bits={"fc": 8})
    assert torch.equal(again.deployable_model(tmp_path, used_for_xmodel=True)(images()), want)


def test_exports_compute_the_same(trained: tuple[QatProcessor, Any], tmp_path: Path) -> None:
    processor, module = trained
    want = processor.convert_to_deployable(module, tmp_path)(images()).detach().numpy()
    processor.export_onnx_model(tmp_path, dynamic_batch=True, check_model=True)
    session = ort.InferenceSession(str(tmp_path / "Small_int.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"x": images().numpy()})[0], want)
    processor.export_torch_script(tmp_path)
    script = torch.jit.load(str(tmp_path / "Small_int.pt"))
    np.testing.assert_array_equal(script(images()[:1]).numpy(), want[:1])


def test_an_xmodel_of_eight_bits(tmp_path: Path) -> None:
    processor = QatProcessor(small(), (images(1),))
    module = processor.quant_model()
    assert processor.quant_model() is module
    steps(module, 3)
    deployable = processor.to_deployable(module, tmp_path)
    deployable(images(1))
    processor.export_xmodel(tmp_path, deploy_check=True)
    assert (tmp_path / "Small_int.xmodel").stat().st_size > 1000
    assert (tmp_path / "deploy_check_data_int" / "Small").is_dir()


def test_training_begins_at_a_calibration(tmp_path: Path) -> None:
    quantizer = torch_quantizer("calib", small(), images(1), output_dir=tmp_path, device=torch.device("cpu"))
    with torch.no_grad():
        quantizer.quant_model(images())
    quantizer.export_quant_config()
    tested = torch_quantizer("test", small(), images(1), output_dir=tmp_path, device=torch.device("cpu"))
    module = QatProcessor(small(), images(1)).trainable_model(calib_dir=tmp_path, allow_reused_module=True)
    assert not module.warming_up
    with torch.no_grad():
        found, want = module.eval()(images()), tested.quant_model(images())
    assert (found - want).abs().max() < 0.05 * want.abs().max()


def test_training_begins_at_fine_tuned_weights(tmp_path: Path) -> None:
    quantizer = torch_quantizer("calib", small(), images(1), output_dir=tmp_path, bitwidth=4)
    quantizer.fast_finetune(lambda model: model(images()), (quantizer.quant_model,))
    want = quantizer.quant_model(images())
    quantizer.export_quant_config()
    processor = QatProcessor(small(), images(1), 4)
    module = processor.trainable_model(calib_dir=tmp_path).eval()
    found = module(images())
    assert (found - want).abs().max() <= 0.01 * want.abs().max()
    calibrated = QatProcessor(small(), images(1), 4).trainable_model().eval()(images())
    assert (calibrated - want).abs().max() > 0.05 * want.abs().max()
    (tmp_path / "param.pth").unlink()
    with pytest.raises(InputError, match="Q1442"):
        processor.trainable_model(calib_dir=tmp_path)


def test_wrapped_modules_are_unwrapped(trained: tuple[QatProcessor, Any], tmp_path: Path) -> None:
    processor, module = trained
    for wrapped in (nn.DataParallel(module), torch.compile(module, backend="eager")):
        assert torch.equal(processor.to_deployable(wrapped, tmp_path)(images()), module(images()))


def test_mixed_widths() -> None:
    module = QatProcessor(small(), images(1), bitwidth=4, mix_bit=True).trainable_model()
    steps(module, 2)
    bits = {name: part.bits for name, part in module.named_modules() if hasattr(part, "bits")}
    assert bits["conv1.weight_quantizer"] == bits["conv2.input.output_quantizer"] == 4
    assert bits["act.output_quantizer"] == bits["conv1.bias_quantizer"] == 8


def test_what_is_missing_or_wrong_is_said(tmp_path: Path) -> None:
    processor = QatProcessor(small(), images(1))
    for call, code in (
        (lambda: processor.export_xmodel(tmp_path), "Q1410"),
        (lambda: processor.to_deployable(small(), tmp_path), "Q1449"),
        (lambda: processor.trainable_model(calib_dir=tmp_path), "Q1413"),
        (lambda: processor.deployable_model(tmp_path), "Q1413"),
        (lambda: QatProcessor(small(), images(1), bitwidth=1), "Q1421"),
        (lambda: QatProcessor(small(), images(1), layer_bits={"nothing": 4}), "Q0508"),
    ):
        with pytest.raises(InputError, match=code):
            call()


class Loud(nn.Module):
    """Dropout by a function, and an operator that only the reference implementation computes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(self.conv(x), 0.2, self.training)


def test_notices(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from quantforge.frontends.torch.training import structure

    monkeypatch.setattr(structure, "has_gradient", lambda op: op.kind != "conv2d")
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        processor = QatProcessor(Loud(), images(1), device="cpu")
        module = processor.trainable_model()
        module(images())
        module.quantizer("conv.weight").begin_at(30)
        processor.to_deployable(module, tmp_path)
    for code in ("Q1446", "Q1447", "Q1448", "Q1450"):
        assert any(code in record.getMessage() for record in caplog.records), code


class Guided(nn.Module):
    """Written as the user guide asks: functions as modules, one module per call, stubs around what is quantized."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.relu1, self.relu2 = nn.ReLU(inplace=True), nn.ReLU(inplace=True)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.skip_add, self.pool, self.fc = functional.Add(), nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(8, 4)
        self.quant_stub, self.dequant_stub = QuantStub(), DeQuantStub()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = self.relu1(self.bn1(self.conv1(self.quant_stub(x))))
        x = self.relu2(self.skip_add(self.bn2(self.conv2(identity)), identity))
        return self.fc(torch.flatten(self.dequant_stub(self.pool(x)), 1))


def test_a_model_written_as_the_user_guide_asks(tmp_path: Path) -> None:
    processor = pytorch_qat.QatProcessor(Guided(), images(1), bitwidth=8)
    module = processor.trainable_model()
    optimizer = torch.optim.Adam(module.parameters(), 1e-2, weight_decay=1e-4)
    module.train()
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(images()), torch.arange(16) % 4).backward()
        optimizer.step()
    names = {name for name, _ in module.named_parameters()}
    assert "conv2.weight_quantizer.log_threshold" in names
    assert not any(name.startswith("fc.") and "threshold" in name for name in names)  # behind the DeQuantStub
    deployable = processor.to_deployable(module, tmp_path)
    assert torch.equal(deployable.cpu()(images()), module.eval()(images()))
    processor.export_xmodel(tmp_path)
