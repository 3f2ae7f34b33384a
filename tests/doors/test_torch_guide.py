"""The scripts of the user guide UG1414 (PyTorch version), as they are written there, on a small network.

Sources: Adding vai_q_pytorch APIs to Float Scripts; Running Quantization and Getting the Result; Module Partial
Quantization; Register Custom Operation.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from tests.doors.guide_resnet import resnet  # noqa: E402

QUANTIZE = """
import torch
from pytorch_nndct.apis import torch_quantizer, dump_xmodel

input = torch.randn([batch_size, 3, 32, 32])
quantizer = torch_quantizer(quant_mode, model, (input), device=device)
quant_model = quantizer.quant_model

acc1_gen, acc5_gen, loss_gen = evaluate(quant_model, val_loader, loss_fn)

if quant_mode == 'calib':
    quantizer.export_quant_config()
if deploy:
    quantizer.export_torch_script()
    quantizer.export_onnx_model()
    quantizer.export_xmodel(deploy_check=False)
"""
HARDWARE_AWARE = """
from pytorch_nndct.apis import torch_quantizer
quantizer = torch_quantizer(quant_mode=quant_mode,
                            module=model,
                            input_args=(input),
                            device=device,
                            quant_config_file=config_file,
                            target=target)
quant_model = quantizer.quant_model
evaluate(quant_model, val_loader, loss_fn)
if quant_mode == 'calib':
    quantizer.export_quant_config()
"""


def loader(count: int = 3, batch: int = 8) -> list[tuple[Any, Any]]:
    source = torch.Generator().manual_seed(1)
    return [
        (torch.randn(batch, 3, 32, 32, generator=source), torch.randint(0, 10, (batch,), generator=source))
        for _ in range(count)
    ]


def evaluate(model: Any, val_loader: Any, loss_fn: Any) -> tuple[float, float, float]:
    """The evaluation function of the guide's example, without its meters."""
    model.eval()
    model = model.to(torch.device("cpu"))
    top1 = top5 = loss = total = 0.0
    for images, labels in val_loader:
        outputs = model(images)
        loss += float(loss_fn(outputs, labels))
        order = outputs.topk(5, 1)[1].eq(labels.view(-1, 1))
        top1, top5 = top1 + float(order[:, :1].sum()), top5 + float(order.sum())
        total += labels.size(0)
    return 100 * top1 / total, 100 * top5 / total, loss / len(val_loader)


def run(script: str, **names: Any) -> dict[str, Any]:
    space = {
        "model": resnet(),
        "evaluate": torch.no_grad()(evaluate),
        "val_loader": loader(),
        "loss_fn": torch.nn.CrossEntropyLoss(),
        "batch_size": 8,
        "device": torch.device("cpu"),
        "deploy": False,
        "input": torch.randn([8, 3, 32, 32]),
        **names,
    }
    exec(compile(script, "guide", "exec"), space)
    return space


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """calib, test and deploy, one after the other, in a folder of their own."""
    folder = tmp_path_factory.mktemp("guide")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(QUANTIZE, quant_mode="calib")
        tested = run(QUANTIZE, quant_mode="test")
        run(QUANTIZE, quant_mode="test", deploy=True, batch_size=1, val_loader=loader(1, 1))
        yield folder / "quantize_result", tested


def test_the_files_of_the_guide_are_there(results: Any) -> None:
    folder, _ = results
    names = {path.name for path in folder.iterdir()}
    wanted = {"ResNet.py", "quant_info.json", "bias_corr.pth"}
    assert wanted | {"ResNet_int.xmodel", "ResNet_int.onnx", "ResNet_int.pt"} <= names


def test_the_quantized_model_is_close_to_float(results: Any) -> None:
    _, tested = results
    images = loader()[0][0]
    with torch.no_grad():
        want, found = resnet()(images), tested["quant_model"](images)
    noise = float(((found - want) ** 2).sum() / (want**2).sum())
    assert 0 < noise < 10 ** (-15 / 10)


def test_onnx_answers_as_the_quantized_model(results: Any) -> None:
    folder, tested = results
    images = loader()[0][0][:1]
    session = ort.InferenceSession(str(folder / "ResNet_int.onnx"), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        want = tested["quant_model"](images).numpy()
    found = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
    np.testing.assert_allclose(found, want, atol=np.diff(np.unique(want)).min())


def test_torch_script_loads_in_a_process_that_imports_the_package_first(results: Any) -> None:
    folder, tested = results
    images = loader()[0][0][:1]
    torch.save(images, folder / "images.pth")
    script = (
        "import pytorch_nndct, torch; "
        f"m = torch.jit.load({str(folder / 'ResNet_int.pt')!r}); "
        f"x = torch.load({str(folder / 'images.pth')!r}); "
        f"torch.save(m(x), {str(folder / 'found.pth')!r})"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=300)
    with torch.no_grad():
        assert torch.equal(torch.load(folder / "found.pth"), tested["quant_model"](images))


def test_dump_xmodel_writes_where_it_is_told(results: Any, tmp_path: Path) -> None:
    folder, _ = results
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        names = run(QUANTIZE, quant_mode="test", batch_size=1, val_loader=loader(1, 1))
        names["dump_xmodel"](output_dir=str(tmp_path), deploy_check=True)
    assert (tmp_path / "ResNet_int.xmodel").is_file()
    assert list(tmp_path.glob("deploy_check_data_int/ResNet/*_fix.bin"))


def test_hardware_aware_quantization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = {"config_file": None, "target": "DPUCZDX8G_ISA1_B4096"}
    run(HARDWARE_AWARE, quant_mode="calib", **named)
    run(HARDWARE_AWARE, quant_mode="test", **named)
    assert (tmp_path / "quantize_result" / "quant_info.json").is_file()
