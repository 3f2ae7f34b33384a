from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from pytorch_nndct.config_choice import chosen_recipe, remark_alignment  # noqa: E402
from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.recipes import dpu_recipe  # noqa: E402
from quantforge.passes.result import Note  # noqa: E402
from quantforge.quantization.align import NAME  # noqa: E402


def written(folder: Path, data: dict[str, Any]) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(data))
    return path


def test_without_a_file_the_width_sets_everything() -> None:
    assert chosen_recipe(None, None) == (dpu_recipe(), None)
    assert chosen_recipe(None, 6) == (dpu_recipe(6), None)
    with pytest.raises(InputError, match=r"Q1421.*ILLEGAL_BITWIDTH"):
        chosen_recipe(None, 77)


def test_a_file_wins_over_the_width(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, {"overall_quantize_config": {"bit_width": 4}, "onnx_opset_version": 18})
    with caplog.at_level(logging.WARNING):
        recipe, opset = chosen_recipe(path, 8)
    assert str(recipe.weights.format) == "int4" and opset == 18
    assert "Q1435" in caplog.text and "QUANTIZER_TORCH_BITWIDTH_MISMATCH" in caplog.text
    caplog.clear()
    chosen_recipe(path, 4)
    chosen_recipe(path, None)
    assert not caplog.text


def test_reserved_settings_are_remarked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        chosen_recipe(written(tmp_path, {"keep_add_layer_accuracy": True}), None)
    assert "Q1434" in caplog.text and "keep_add_layer_accuracy" in caplog.text


def test_moved_positions_are_remarked(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        remark_alignment([Note(NAME, "conv1", True, "moved"), Note("fold", "bn", True, "folded")])
    assert len(caplog.records) == 1
    assert "Q1433 conv1 (QUANTIZER_TORCH_SHIFT_CHECK): found moved" in caplog.text


class Gated(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate = torch.nn.Conv2d(2, 2, 1), torch.nn.Softplus()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.gate(self.conv(x))


@pytest.mark.parametrize(("layer", "remarked"), [("Softplus", True), ("Conv2d", False)])
def test_settings_of_layers_in_float_are_remarked(
    layer: str, remarked: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = {"layer_type": layer, "quantizable_data_type": ["weights", "bias", "activation"]}
    path = written(tmp_path, {"layer_quantize_config": [entry]})
    with caplog.at_level(logging.WARNING):
        torch_quantizer(
            "calib", Gated().eval(), torch.zeros(1, 2, 4, 4), output_dir=tmp_path, device="cpu",
            quant_config_file=path,
        )  # fmt: skip
    assert ("Q1436" in caplog.text) is remarked


def test_a_layer_that_is_not_there_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    entry = {"layer_name": "Gated::Gated/Conv2d[conv1]/ret.1", "quantizable_data_type": ["weights"]}
    path = written(tmp_path, {"layer_quantize_config": [entry]})
    with pytest.raises(InputError, match=r"Q0508 override op = 'conv1'.*try: 'conv'"):
        torch_quantizer(
            "calib", Gated().eval(), torch.zeros(1, 2, 4, 4), output_dir=tmp_path, device="cpu",
            quant_config_file=path,
        )  # fmt: skip
