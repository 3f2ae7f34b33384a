from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from pytorch_nndct.arguments import (  # noqa: E402
    as_float32,
    available_device,
    batch_of,
    beside,
    loaded_module,
)
from quantforge.diagnostics import InputError  # noqa: E402
from tests.unit.pytorch_nndct.residual import CPU, images  # noqa: E402


def test_the_processor_is_always_there() -> None:
    assert available_device("cpu") == torch.device("cpu")


def test_parameters_go_into_a_copy(module: Any, tmp_path: Path) -> None:
    state = {name: torch.zeros_like(tensor) for name, tensor in module.state_dict().items()}
    torch.save(state, tmp_path / "zeros.pth")
    loaded = loaded_module(torch.nn.DataParallel(module), tmp_path / "zeros.pth")
    assert all(not tensor.any() for tensor in loaded.state_dict().values())
    assert any(tensor.any() for tensor in module.state_dict().values())
    with pytest.raises(InputError, match="Q1421 state_dict_file"):
        loaded_module(module, tmp_path / "nothing.pth")


def test_examples_and_their_batch(module: Any) -> None:
    args, kwargs = beside(module, torch.zeros(3, 2), None)
    assert args.shape == (3, 2)
    assert kwargs == {}
    assert batch_of(args, None) == 3
    assert batch_of((1, {"x": torch.zeros(5, 1)}), None) == 5
    assert batch_of(None, None) is None
    with pytest.raises(InputError, match="Q1421 input_args"):
        beside(module, None, None)


def test_data_parallel_comes_off_with_a_notice(module: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        assert loaded_module(torch.nn.DataParallel(module), None) is module
    assert "Q1464 module (QUANTIZER_TORCH_DATA_PARALLEL)" in caplog.text
    caplog.clear()
    assert loaded_module(module, None) is module and not caplog.records


def test_halves_are_quantized_in_float32(
    module: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    half, x = loaded_module(module, None).__class__().bfloat16().eval(), images()[0].bfloat16()
    assert as_float32(module, x, {}) == (module, x, {})
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        quantizer = torch_quantizer("calib", half, x, output_dir=tmp_path, device=CPU)
    assert "Q1463 module Residual: found parameters in bfloat16" in caplog.text
    with torch.no_grad():
        found, want = quantizer.quant_model(x), half(x)
    assert found.dtype is torch.float32 and half.head.weight.dtype is torch.bfloat16
    torch.testing.assert_close(found, want.float(), atol=0.05, rtol=0.05)
