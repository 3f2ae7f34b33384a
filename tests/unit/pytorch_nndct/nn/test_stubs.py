"""The example of the user guide: two parts of three are quantized."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import pytorch_nndct  # noqa: E402
from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from pytorch_nndct.nn import DeQuantStub, QuantStub  # noqa: E402

CPU = torch.device("cpu")


def block(channels: int, width: int) -> Any:
    conv = torch.nn.Conv2d(channels, width, 3, padding=1)
    return torch.nn.Sequential(conv, torch.nn.BatchNorm2d(width), torch.nn.ReLU())


class WholeModule(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.subm0 = block(3, 4)
        self.subm1 = block(4, 4)
        self.subm2 = block(4, 2)
        self.quant = QuantStub()
        self.dequant = DeQuantStub()

    def forward(self, input: Any) -> Any:
        input = self.quant(input)
        output0 = self.subm0(input)
        output0 = self.dequant(output0)

        output1 = self.subm1(output0)

        output1 = self.quant(output1)
        output2 = self.subm2(output1)
        return self.dequant(output2)


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Any, Path]:
    torch.manual_seed(0)
    module, x, folder = WholeModule().eval(), torch.randn(4, 3, 8, 8), tmp_path_factory.mktemp("result")
    quantizer = torch_quantizer("calib", module, (x), output_dir=folder, device=CPU)
    quantizer.quant_model(x)
    quantizer.export_quant_config()
    return torch_quantizer("test", module, (x[:1]), output_dir=folder, device=CPU), module, x, folder


def test_the_part_between_the_pairs_stays_float(tested: Any) -> None:
    quantizer, _, _, folder = tested
    info = (folder / "quant_info.json").read_text("utf-8")
    assert '"WholeModule::subm0.0.weight"' in info and '"WholeModule::subm2.0.weight"' in info
    assert "subm1.0.weight" not in info
    state = quantizer.quant_model.state_dict()
    assert all(not name.startswith(("quant.", "dequant.")) for name in state)


def test_what_it_computes_is_close_to_float_and_not_equal(tested: Any) -> None:
    quantizer, module, x, _ = tested
    with torch.no_grad():
        want, found = module(x), quantizer.quant_model(x)
    noise = float(((found - want) ** 2).sum() / (want**2).sum())
    assert 0 < noise < 10 ** (-25 / 10)


def test_the_exports_keep_the_scope(tested: Any, tmp_path: Path) -> None:
    quantizer, _, x, _ = tested
    quantizer.export_onnx_model(tmp_path, dynamic_batch=True)
    quantizer.export_xmodel(tmp_path)
    session = ort.InferenceSession(str(tmp_path / "WholeModule_int.onnx"), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        want = quantizer.quant_model(x).numpy()
    step = np.diff(np.unique(want)).min()
    np.testing.assert_allclose(
        session.run(None, {session.get_inputs()[0].name: x.numpy()})[0], want, atol=step
    )
    assert (tmp_path / "WholeModule_int.xmodel").stat().st_size > 1000


def test_stubs_take_nests_and_work_in_training() -> None:
    quant, dequant = QuantStub(), DeQuantStub()
    x = torch.ones(2, requires_grad=True)
    first, rest = dequant(quant((x, [x * 2, None])))
    (first + rest[0]).sum().backward()
    assert rest[1] is None and x.grad is not None and x.grad.tolist() == [3, 3]


def test_the_names_of_the_guide() -> None:
    import pytorch_nndct.nn as nndct_nn
    from pytorch_nndct import nn as again

    assert nndct_nn is again is pytorch_nndct.nn and nndct_nn.QuantStub is QuantStub


def test_training_keeps_to_the_same_part() -> None:
    from pytorch_nndct import QatProcessor

    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 8)
    trained = QatProcessor(WholeModule(), x).trainable_model()
    trained(x).sum().backward()
    weights = {name.split(".")[0] for name, _ in trained.named_parameters() if "weight_quantizer" in name}
    assert weights == {"subm0", "subm2"}
