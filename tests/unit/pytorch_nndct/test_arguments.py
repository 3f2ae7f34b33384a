from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.arguments import available_device, batch_of, beside, loaded_module  # noqa: E402
from quantforge.diagnostics import InputError  # noqa: E402


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
