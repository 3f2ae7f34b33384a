"""Configuration files through the torch door: the exported ONNX model computes what the quantized module computes.

The network's sums are exact in float32 (small integers times powers of two), so that no order of adding can change
a bit, and what remains is what the exporter says about each tensor. ONNX Runtime's integer kernels are switched off:
they multiply by a rounded ratio of scales instead of dividing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from quantforge.ops.interpreter import Interpreter  # noqa: E402

CPU = torch.device("cpu")
FLOAT = {
    "method": "maxmin",
    "round_mode": "half_even",
    "scale_type": "float",
    "calib_statistic_method": "max",
}
PLAIN = {"target_device": "CPU", "include_cle": False, "include_bias_corr": False}


def cpu(overall: dict[str, Any], **tensors: dict[str, Any]) -> dict[str, Any]:
    return {**PLAIN, "overall_quantize_config": overall, "tensor_quantize_config": tensors}


CONFIGS: dict[str, dict[str, Any]] = {
    "int8 per channel": cpu(FLOAT, weights={"per_channel": True}),
    "asymmetric uint8": cpu(FLOAT, activation={"symmetry": False, "signed": False}, input={"symmetry": False}),
    "asymmetric weights per channel": cpu(FLOAT, weights={"symmetry": False, "per_channel": True}),
    "unsigned symmetric": cpu(FLOAT, activation={"signed": False}),
    "half up": cpu({**FLOAT, "round_mode": "half_up"}, activation={"round_mode": "half_down"}),
    "std round": cpu({**FLOAT, "round_mode": "std_round"}, weights={"per_channel": True}),
    "int4 weights": cpu(FLOAT, weights={"bit_width": 4}),
    "int4 everything, narrow": cpu({**FLOAT, "bit_width": 4, "narrow_range": True}),
    "16 bit activations": cpu(FLOAT, activation={"bit_width": 16}, input={"bit_width": 16}, bias={"bit_width": 16}),
    "12 bit activations": cpu(FLOAT, activation={"bit_width": 12}),
    "32 bit biases": cpu(FLOAT, bias={"bit_width": 32}),
    "bfloat16": cpu({"datatype": "bfloat16"}),
    "bfloat16 inputs too": cpu({"datatype": "bfloat16"}, input={"datatype": "bfloat16"}),
    "float16": cpu({"datatype": "float16"}),
    "mixed": cpu({"datatype": "bfloat16"}, bias={"datatype": "float16"}),
    "int8 weights, bfloat16 values": cpu({**FLOAT, "datatype": "bfloat16"}, weights={"datatype": "int"}),
    "float32 biases": cpu(FLOAT, bias={"datatype": "float32"}),
    "weights only": {**cpu({"bit_width": 4}), "quantizable_data_type": ["weights", "bias"]},
    "dpu": {
        "target_device": "DPU", "include_cle": False, "include_bias_corr": False,
        "overall_quantize_config": {"bit_width": 8},
    },
    "dpu maxmin narrow": {
        "target_device": "DPU", "include_cle": False, "include_bias_corr": False,
        "overall_quantize_config": {"method": "maxmin", "narrow_range": True},
    },
}  # fmt: skip


class Exact(nn.Module):
    """A convolution of small numbers, relu, a gate that no integer kernel has, and pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for tensor, scale in ((self.conv.weight, 2.0**-6), (self.conv.bias, 0.25)):
                steps = torch.randint(-127, 128, tensor.shape, generator=generator)
                steps.view(steps.shape[0], -1)[:, 0] = 127
                tensor.copy_(steps * scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.max_pool2d(nn.functional.relu(self.conv(x)), 2)


def images() -> torch.Tensor:
    steps = torch.randint(-127, 128, (4, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    steps[0, 0, 0, 0] = 127
    return steps * 0.125


def quantized(module: nn.Module, x: torch.Tensor, config: dict[str, Any], folder: Path) -> Any:
    """A quantizer in test mode, by the files that one in calib mode wrote."""
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    with torch.no_grad():
        first = torch_quantizer("calib", module, x[:1], output_dir=folder, device=CPU, quant_config_file=file)
        for batch in x.split(2):
            first.quant_model(batch)
        first.export_quant_config()
        found = torch_quantizer("test", module, x[:1], output_dir=folder, device=CPU, quant_config_file=file)
        want = first._quantizer.quantized_module()(
            x
        )  # the graph in memory and the one from the files are one
        torch.testing.assert_close(found.quant_model(x), want, rtol=0, atol=0)
    return found


def onnx_answer(path: Path, x: torch.Tensor) -> Any:
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]


@pytest.mark.parametrize("name", CONFIGS)
def test_onnx_equals_the_quantized_module(name: str, tmp_path: Path) -> None:
    module, x = Exact().eval(), images()
    quantizer = quantized(module, x, CONFIGS[name], tmp_path)
    with torch.no_grad():
        want, exact = quantizer.quant_model(x).numpy(), module(x).numpy()
    quantizer.export_onnx_model(tmp_path, dynamic_batch=True)
    np.testing.assert_array_equal(onnx_answer(tmp_path / "Exact_int.onnx", x), want)
    session = Interpreter("float").session(quantizer._quantizer.graph, quantizer._quantizer.graph.outputs)
    (reference,) = session.run({"x": x.numpy()}).values()
    np.testing.assert_array_equal(reference, want)
    noise = np.square(want - exact).sum() / np.square(exact).sum()
    assert 0 < noise < 10 ** (-12 / 10), 10 * np.log10(noise)


def test_a_width_that_onnx_does_not_have_is_a_function_in_the_model(tmp_path: Path) -> None:
    config = cpu(FLOAT, activation={"bit_width": 20})
    x = images()
    quantizer = quantized(Exact().eval(), x, config, tmp_path)
    with torch.no_grad():
        want = quantizer.quant_model(x).numpy()
    quantizer.export_onnx_model(tmp_path, dynamic_batch=True)
    found = onnx_answer(tmp_path / "Exact_int.onnx", x)
    np.testing.assert_allclose(found, want, atol=np.abs(want).max() * 2.0**-18, rtol=0)  # a step or two


class Deep(nn.Module):
    """Layers one behind the other, an add, a product, a mean and a softmax."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm, self.last = nn.BatchNorm2d(8), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(x))
        y = torch.relu(self.norm(self.second(y)) + y) * torch.sigmoid(y)
        return torch.softmax(self.last(y.mean((2, 3))), 1)


@pytest.mark.parametrize("name", ["int_config", "bfloat16_config", "mix_precision_config", "pt_quant_config"])
def test_the_example_configurations_serve_a_whole_network(name: str, tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "examples" / "torch" / f"{name}.json"
    config = json.loads(path.read_text("utf-8"))
    for layer in config.get("layer_quantize_config", ()):
        layer["layer_name"] = layer["layer_name"] and "Deep::Deep/Conv2d[first]/input.2"
    torch.manual_seed(5)
    module, x = Deep().eval(), torch.randn(16, 3, 8, 8)
    quantizer = quantized(module, x, config, tmp_path)
    quantizer.export_onnx_model(tmp_path, dynamic_batch=True)
    with torch.no_grad():
        want, exact = quantizer.quant_model(x).numpy(), module(x).numpy()
    # sums are added in another order, so that now and then a number rounds to the neighbouring step
    np.testing.assert_allclose(onnx_answer(tmp_path / "Deep_int.onnx", x), want, rtol=0, atol=0.02)
    np.testing.assert_allclose(want, exact, rtol=0, atol=0.05)
