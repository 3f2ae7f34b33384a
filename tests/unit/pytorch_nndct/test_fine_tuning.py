from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from quantforge.diagnostics import InputError  # noqa: E402
from tests.unit.pytorch_nndct.residual import CPU, answers, images  # noqa: E402


def evaluate(model: Any, batches: list[Any]) -> None:
    for batch in batches:
        model(batch)


def made(mode: str, module: Any, folder: Path) -> Any:
    return torch_quantizer(mode, module, images()[0][:1], output_dir=folder, bitwidth=4, device=CPU)


@pytest.fixture(scope="module")
def tuned(module: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a calibration with fast fine-tuning, in the steps of the user guide."""
    folder = tmp_path_factory.mktemp("tuned")
    quantizer = made("calib", module, folder)
    quantizer.fast_finetune(evaluate, (quantizer.quant_model, images(8)))
    evaluate(quantizer.quant_model, images(8))
    quantizer.export_quant_config()
    return folder


def noise(module: Any, found: Any) -> float:
    with torch.no_grad():
        want = module(images()[0]).numpy()
    return float(np.square(found - want).sum() / np.square(want).sum())


def test_tuned_parameters_come_back_in_test_mode_and_are_no_worse(
    module: Any, tuned: Path, tmp_path: Path
) -> None:
    assert json.loads((tuned / "quant_info.json").read_text("utf-8"))["fast_finetuned"] is True
    tested = made("test", module, tuned)
    tested.load_ft_param()
    plain = made("calib", module, tmp_path)
    evaluate(plain.quant_model, images(8))
    plain.export_quant_config()
    before = noise(module, answers(made("test", module, tmp_path)))
    assert noise(module, answers(tested)) <= before * 1.05


def test_running_without_the_tuned_parameters_is_said(
    module: Any, tuned: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tested = made("test", module, tuned)
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        answers(tested)
    assert "Q1443" in caplog.text


def test_calls_in_the_other_mode_do_nothing_but_say_so(
    module: Any, tuned: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        made("test", module, tuned).fast_finetune(evaluate, ())
        made("calib", module, tuned).load_ft_param()
    assert caplog.text.count("Q1441") == 2
    assert "QUANTIZER_TORCH_FINETUNE_IGNORED" in caplog.text


def test_parameters_that_are_missing_are_said(module: Any, tuned: Path, folder: Path, tmp_path: Path) -> None:
    untuned = torch_quantizer("test", module, images()[0][:1], output_dir=folder, device=CPU)
    with pytest.raises(InputError, match=r"Q1442.*without fine-tuning"):
        untuned.load_ft_param()
    for name in ("quant_info.json", "bias_corr.pth"):
        if (tuned / name).exists():
            (tmp_path / name).write_bytes((tuned / name).read_bytes())
    with pytest.raises(InputError, match=r"Q1442.*param\.pth"):
        made("test", module, tmp_path).load_ft_param()
