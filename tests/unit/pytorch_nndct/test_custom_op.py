"""The examples of the user guide, from the decorator to the files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from pytorch_nndct.custom_op import with_custom_types  # noqa: E402
from pytorch_nndct.utils import register_custom_op  # noqa: E402
from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.quantization.recipe import DPU_CNN  # noqa: E402
from quantforge.xmodel.read import read_xmodel  # noqa: E402

CPU = torch.device("cpu")


@register_custom_op(op_type="MyOp", attrs_list=["scale_1", "scale_2"])
def custom_op(ctx: Any, x: torch.Tensor, y: torch.Tensor, scale_1: float, scale_2: float) -> torch.Tensor:
    return scale_1 * x + scale_2 * y


@register_custom_op("PPScatterV2", attrs_list=["ny", "nx", "nchannels"])
def PPScatterV2(ctx, voxel_features, coords, ny, nx, nchannels):  # type: ignore[no-untyped-def]  # noqa: N802
    batch_size = voxel_features.shape[0]
    batch_canvas = []
    for b_idx in range(batch_size):
        canvas = torch.zeros(nchannels, nx * ny, dtype=voxel_features.dtype, device=voxel_features.device)
        batch_mask = coords[b_idx, :, 0] > -1
        this_coords = coords[b_idx, batch_mask, :]
        indices = this_coords[:, 2] * nx + this_coords[:, 3]
        indices = indices.type(torch.long)
        voxels = voxel_features[b_idx, :, batch_mask, 0]
        canvas[:, indices] = voxels
        batch_canvas.append(canvas)
    batch_canvas = torch.stack(batch_canvas, 0)
    return batch_canvas.view(batch_size, nchannels, ny, nx)


class MyModule(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (torch.nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))

    def forward(self, x: Any, y: Any) -> Any:
        x = custom_op(self.first(x), y, scale_1=2.0, scale_2=1.0)
        return self.second(custom_op(x, y, 0.5, scale_2=-1.0))


class Pillars(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = torch.nn.Conv2d(4, 8, 1), torch.nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, voxels: Any, coords: Any) -> Any:
        return self.head(PPScatterV2(torch.relu(self.features(voxels)), coords, 6, 5, 8))


def both(seed: int = 0) -> tuple[Any, Any]:
    torch.manual_seed(seed)
    return torch.randn(3, 3, 6, 6), torch.randn(3, 3, 6, 6)


def quantized(module: Any, args: tuple[Any, ...], folder: Path, **options: Any) -> Any:
    quantizer = torch_quantizer("calib", module, args, output_dir=folder, device=CPU, **options)
    quantizer.quant_model(*args)
    quantizer.export_quant_config()
    one = tuple(item[:1] for item in args)
    return torch_quantizer("test", module, one, output_dir=folder, device=CPU, **options)


def test_the_function_is_called_without_its_context_and_gradients_pass() -> None:
    x = torch.ones(2, requires_grad=True)
    custom_op(x, x, 2.0, scale_2=1.0).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [3, 3]
    assert custom_op.__name__ == "custom_op"


def test_the_operator_is_float_by_default_and_onnx_runtime_computes_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module, args = MyModule().eval(), both()
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        quantizer = quantized(module, args, tmp_path)
    assert "Q1460 module 'MyModule' (QUANTIZER_TORCH_FLOAT_OP): found MyOp (2)" in caplog.text
    quantizer.export_onnx_model(tmp_path, dynamic_batch=True)
    model = onnx.load(tmp_path / "MyModule_int.onnx")
    calls = [node for node in model.graph.node if node.domain == "quantforge.custom"]
    assert [node.op_type for node in calls] == ["MyOp", "MyOp_1"]
    assert {a.name: a.f for a in calls[0].attribute} == {"scale_1": 2.0, "scale_2": 1.0}
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {name.name: item.numpy() for name, item in zip(session.get_inputs(), args, strict=True)}
    with torch.no_grad():
        want = quantizer.quant_model(*args).numpy()
    np.testing.assert_allclose(session.run(None, feeds)[0], want, atol=np.diff(np.unique(want)).min())


def test_types_that_are_to_be_quantized_store_inputs_and_outputs(tmp_path: Path) -> None:
    quantizer = quantized(MyModule().eval(), both(), tmp_path, custom_quant_ops=["MyOp"])
    info = (tmp_path / "quant_info.json").read_text("utf-8")
    assert '"MyModule::MyOp_3"' in info and '"MyModule::MyOp_4"' in info
    plain = quantized(MyModule().eval(), both(), tmp_path / "plain")
    text = (tmp_path / "plain" / "quant_info.json").read_text("utf-8")
    assert (
        '"MyModule::MyOp_4"' in text and '"MyModule::MyOp_3"' not in text
    )  # the convolution reads the second
    assert not torch.equal(quantizer.quant_model(*both()), plain.quant_model(*both()))
    with pytest.raises(InputError, match=r"Q1421 custom_quant_ops"):
        with_custom_types(DPU_CNN, "MyOp")
    assert with_custom_types(DPU_CNN, None) is DPU_CNN


def test_the_xmodel_has_an_operator_of_the_type_with_its_attributes(tmp_path: Path) -> None:
    quantizer = quantized(MyModule().eval(), both(), tmp_path)
    quantizer.export_xmodel(tmp_path)
    model = read_xmodel(tmp_path / "MyModule_int.xmodel")
    found = [op for op in model.ops.values() if op.kind == "MyOp"]
    assert len(found) == 2 and len(found[0].args["input"]) == 2
    attrs = {name: attr.value for name, attr in found[0].attrs.items() if name != "origin"}
    assert attrs == {"scale_1": 2.0, "scale_2": 1.0, "shape": (1, 3, 6, 6), "data_type": "FLOAT32"}


def test_a_function_that_looks_at_data_is_captured_and_stays_a_bare_node_in_onnx(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    module = Pillars().eval()
    args = (torch.randn(2, 4, 12, 1), torch.randint(0, 5, (2, 12, 4)))
    quantizer = quantized(module, args, tmp_path)
    with torch.no_grad():
        want, found = module(*args), quantizer.quant_model(*args)
    assert found.shape == (2, 2, 6, 5)
    assert float(((found - want) ** 2).sum() / (want**2).sum()) < 10 ** (-20 / 10)
    quantizer.export_xmodel(tmp_path)
    model = read_xmodel(tmp_path / "Pillars_int.xmodel")
    scatter = next(op for op in model.ops.values() if op.kind == "PPScatterV2")
    assert [scatter.attrs[name].value for name in ("ny", "nx", "nchannels")] == [6, 5, 8]
    quantizer.export_onnx_model(tmp_path)
    assert "Q1459 operator 'PPScatterV2'" in caplog.text
    nodes = onnx.load(tmp_path / "Pillars_int.onnx").graph.node
    assert [n.op_type for n in nodes if n.domain == "quantforge.custom"] == ["PPScatterV2"]


def test_an_operator_of_xir_is_written_as_one(tmp_path: Path) -> None:
    @register_custom_op("elu", attrs_list=["alpha"], mapping_to_xir=True)
    def my_elu(ctx: Any, x: Any, alpha: float) -> Any:
        return torch.where(x > 0, x, alpha * torch.expm1(x))

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 1)

        def forward(self, x: Any) -> Any:
            return my_elu(self.conv(x), 0.5)

    quantizer = quantized(Net().eval(), both()[:1], tmp_path)
    quantizer.export_xmodel(tmp_path)
    elu = next(op for op in read_xmodel(tmp_path / "Net_int.xmodel").ops.values() if op.kind == "elu")
    assert elu.tensor.shape == (1, 6, 6, 4) and elu.attrs["alpha"].value == 0.5


def test_types_are_taken_once_and_not_from_the_standard() -> None:
    with pytest.raises(InputError, match=r"Q1455 .*OP_REGIST.*MyOp"):
        register_custom_op("MyOp")(lambda ctx, x: x)
    for name in ("conv2d", "eltwise-add"):
        with pytest.raises(InputError, match=r"Q1455 .*a type that exists"):
            register_custom_op(name)
    with pytest.raises(InputError, match=r"Q1455 .*XIR does not define"):
        register_custom_op("NoSuchType", mapping_to_xir=True)


def test_a_function_has_its_context_first_and_the_attributes_it_names() -> None:
    with pytest.raises(InputError, match=r"Q1458 .*parameters \(x\)"):
        register_custom_op("Wrong")(lambda x: x)
    with pytest.raises(InputError, match=r"Q1458 .*no parameter 'scale'"):
        register_custom_op("Wrong", attrs_list=["scale"])(lambda ctx, x: x)
