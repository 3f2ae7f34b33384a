from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import dump_xmodel  # noqa: E402
from pytorch_nndct.deploy_check import FOLDER  # noqa: E402
from quantforge.debugging.sources import compare_sources  # noqa: E402
from quantforge.deployment import deploy  # noqa: E402
from quantforge.diagnostics import InputError  # noqa: E402
from tests.unit.pytorch_nndct.deploy_nets import TARGET, Mixed, images, made, quantized  # noqa: E402


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("deploy_check")
    tested = quantized(made(Mixed), folder)
    with pytest.raises(InputError, match=r"Q1466 quant_model \(QUANTIZER_TORCH_NO_FORWARD\)"):
        tested.export_xmodel(folder, deploy_check=True)
    with torch.no_grad():
        tested.quant_model(images()[3:])
    tested.export_torch_script(folder)  # traces the module on zeros, which is no forward pass of the user
    tested.export_onnx_model(folder)
    dump_xmodel(str(folder), deploy_check=True)
    deploy(folder / "Mixed_int.xmodel", TARGET, folder / "net.xmodel")
    return tested, folder


def test_the_first_sample_of_the_last_batch_is_written(exported: tuple[Any, Path]) -> None:
    tested, folder = exported
    place = folder / FOLDER / "Mixed"
    with torch.no_grad():
        answer = tested.quant_model(images()[3:]).numpy()
    np.testing.assert_array_equal(np.fromfile(place / "softmax.bin", np.float32), answer[0])
    x = np.fromfile(place / "x.bin", np.float32).reshape(8, 8, 3)
    assert np.abs(x - images()[3].numpy().transpose(1, 2, 0)).max() < 1 / 32
    assert "[1, 8, 8, 3]: x" in (place / "shape.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    "stage", ["Mixed_int.xmodel", "Mixed_int.xmodel@ref", "net.xmodel", "net.xmodel@ref", "Mixed_int.onnx"]
)
def test_every_stage_computes_these_tensors(exported: tuple[Any, Path], stage: str) -> None:
    folder = exported[1]
    found = compare_sources(str(folder / stage), str(folder / FOLDER / "Mixed"))
    assert found.equal and len(found.tensors) >= 9
    assert sum(tensor.integers for tensor in found.tensors) >= 5


def test_a_changed_weight_is_found(exported: tuple[Any, Path], tmp_path: Path) -> None:
    from dataclasses import replace

    from quantforge.xmodel.model import Attr
    from quantforge.xmodel.read import read_xmodel
    from quantforge.xmodel.write import write_xmodel

    folder = exported[1]
    model = read_xmodel(folder / "Mixed_int.xmodel")
    const = model.ops["conv2.weight"]
    data = np.frombuffer(const.get("data"), np.float32).copy()
    data[:9] += 0.5
    model.ops["conv2.weight"] = replace(const, attrs={**const.attrs, "data": Attr("bytes", data.tobytes())})
    write_xmodel(model, tmp_path / "net.xmodel")
    found = compare_sources(str(tmp_path / "net.xmodel"), str(folder / FOLDER / "Mixed"))
    assert found.culprit is not None and found.culprit.name in ("conv2", "relu_1")
