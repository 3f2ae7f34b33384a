"""ResNet-20 and MobileNetV2 from torch to a DPU: every integer of the deployed model is the quantizer's."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import Inspector, torch_quantizer  # noqa: E402
from quantforge.debugging.sources import compare_sources  # noqa: E402
from quantforge.debugging.xmodel_stage import XmodelStage  # noqa: E402
from quantforge.deployment import deploy  # noqa: E402
from quantforge.xmodel.read import read_xmodel  # noqa: E402
from tests.models.samples import cifar_samples  # noqa: E402
from tests.unit.frontends.onnx.text_models import DATA  # noqa: E402

TARGET, CPU = "KV260", torch.device("cpu")
CALIBRATION, TEST = 32, 10
MODELS = {"resnet20_cifar10": ("ResNet20", 290_000), "mobilenetv2_cifar10": ("MobileNetV2", 590_000)}

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there"),
]


@pytest.fixture(scope="module", params=sorted(MODELS))
def deployed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """The quantizer, what it was tested on, its answers, the folder, the name and the least number of elements."""
    folder = tmp_path_factory.mktemp(request.param)
    spec = importlib.util.spec_from_file_location(request.param, DATA / f"{request.param}.py")
    assert spec is not None and spec.loader is not None
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    module = code.load(DATA / f"{request.param}.pth")
    samples = cifar_samples(folder)
    calibration, x = (
        torch.from_numpy(np.concatenate(list(samples.batches(rows, 32))))
        for rows in (samples.calibration[:CALIBRATION], samples.test[:TEST])
    )
    given = {"output_dir": str(folder), "device": CPU, "target": TARGET}
    with torch.no_grad():
        quantizer = torch_quantizer("calib", module, x[:1], **given)
        for batch in calibration.split(32):
            quantizer.quant_model(batch)
        quantizer.export_quant_config()
        tested = torch_quantizer("test", module, x[:1], **given)
        answers = tested.quant_model(x).numpy()
    tested.export_xmodel(folder, deploy_check=True)
    name, least = MODELS[request.param]
    deploy(folder / f"{name}_int.xmodel", TARGET, folder / "net.xmodel")
    return module, x.numpy(), answers, folder, name, least


def test_the_deployed_model_answers_as_the_quantized_module(deployed: tuple[Any, ...]) -> None:
    _, x, answers, folder, _, _ = deployed
    model = read_xmodel(folder / "net.xmodel")
    for engine, count in (("run", TEST), ("ref", 2)):
        stage = XmodelStage(model, engine, engine)
        (info,), (output,) = stage.inputs, tuple(model.attrs["return_ops"].value)
        for image, answer in zip(x[:count], answers, strict=False):
            found = stage.observer.run(stage.arguments.feeds({info.name: image[None]}))[output]
            np.testing.assert_array_equal(found.reshape(answer.shape), answer)


def test_every_tensor_is_the_quantizers(deployed: tuple[Any, ...]) -> None:
    folder, name, least = deployed[3:]
    for stage in (f"{name}_int.xmodel", "net.xmodel", "net.xmodel@ref"):
        found = compare_sources(str(folder / stage), str(folder / "deploy_check_data_int" / name))
        assert found.equal and not found.unmatched
        assert sum(tensor.elements for tensor in found.tensors) > least


def test_the_inspector_sees_all_of_it_on_the_dpu(deployed: tuple[Any, ...], tmp_path: Path) -> None:
    found = Inspector(TARGET).inspect(deployed[0], torch.zeros(1, 3, 32, 32), CPU, tmp_path, verbose_level=0)
    assert not found.on_cpu and found.dpu_share == 1.0
    compiled = read_xmodel(deployed[3] / "net.xmodel")
    assert [child.get("device") for child in compiled.root.children].count("DPU") == 1
