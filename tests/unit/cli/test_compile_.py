from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from quantforge.cli.main import main
from quantforge.frontends.quantize import quantize
from quantforge.xmodel.read import read_xmodel
from quantforge.xmodel.write import write_xmodel
from tests.flat_xmodels import B4096, Net, text


@pytest.fixture
def onnx_model(tmp_path: Path) -> Path:
    """A quantized convolution with a batch that has no number."""
    weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 4, 8, 8])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    samples = [{"x": np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)}]
    found = quantize(model, samples, recipe="dpu-cnn")
    path = tmp_path / "quantized.onnx"
    path.write_bytes(found.model if isinstance(found.model, bytes) else found.model.SerializeToString())
    return path


def test_a_quantized_onnx_model(onnx_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "images.toml"
    settings.write_text("crop = 8\nscale = 0.00392157\n")
    out = tmp_path / "out"
    words = ["compile", str(onnx_model), "-a", "ZCU102", "-o", str(out), "--preprocess", str(settings)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert f"Target architecture: {B4096}" in printed and "md5sum" in printed
    model = read_xmodel(out / "quantized.xmodel")
    assert '"crop":8' in model.attrs["quantforge_preprocessing"].value
    assert model.attrs["quantforge_vectors"].value
    assert main(["run", str(out / "quantized.xmodel"), "--selftest"]) == 0


def test_a_file_as_output_and_an_input_shape(onnx_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.xmodel"
    options = '{"input_shape": "2,3,8,8"}'
    words = [
        "compile",
        str(onnx_model),
        "--target",
        B4096,
        "-o",
        str(out),
        "--options",
        options,
        "--vectors",
        "0",
    ]
    assert main(words) == 0
    model = read_xmodel(out)
    assert model.ops["x"].tensor.shape == (2, 8, 8, 3) and "quantforge_vectors" not in model.attrs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.xmodel", "quantized.onnx"]


def test_what_cannot_run_here_has_no_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = Net()
    x = net.fix(net.conv("conv", net.data("x", (1, 5, 5, 3), 4), 3), 3)
    from quantforge.xmodel.model import Attr

    attrs = {"shape": Attr("int32_vec", (1, 5, 5, 3)), "data_type": text("FLOAT32")}
    net.op("mine", "NobodyKnows", [x], (1, 5, 5, 3), attrs)
    path = write_xmodel(net.done(), tmp_path / "flat.xmodel")
    assert main(["compile", str(path), "-a", B4096, "-o", str(tmp_path / "o.xmodel")]) == 0
    assert "no test vectors are kept" in capsys.readouterr().err


def test_nothing_is_left_behind_by_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = Net()
    net.op("y", "relu", [net.data("x", (1, 4))], (1, 4))
    path = write_xmodel(net.done(), tmp_path / "float.xmodel")
    assert main(["compile", str(path), "-a", B4096, "-o", str(tmp_path / "o.xmodel")]) == 2
    assert "Q1101" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["float.xmodel"]
