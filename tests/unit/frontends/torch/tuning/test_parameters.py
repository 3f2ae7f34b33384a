from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.tuning.parameters import (  # noqa: E402
    is_fine_tuned,
    load_parameters,
    save_parameters,
    with_parameters,
)
from tests.unit.frontends.torch.tuning.nets import mixed  # noqa: E402

TUNED = '{"fast_finetuned": true}'


def test_parameters_come_back_as_they_were_and_plain_torch_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "param.pth"
    save_parameters({"w": np.arange(6, dtype=np.float32).reshape(2, 3)}, path)
    assert torch.load(path, weights_only=True)["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    np.testing.assert_array_equal(load_parameters(path, TUNED)["w"], [[0, 1, 2], [3, 4, 5]])


def test_missing_parameters_and_plain_calibrations_are_said(tmp_path: Path) -> None:
    assert not is_fine_tuned("{}")
    with pytest.raises(InputError, match=r"Q1442.*no file"):
        load_parameters(tmp_path / "param.pth", TUNED)
    with pytest.raises(InputError, match=r"Q1442.*without fine-tuning"):
        load_parameters(tmp_path / "param.pth", "{}")


def test_parameters_of_another_model_are_refused() -> None:
    graph = mixed().base
    name = next(value.name for value in graph.values if value.is_const and value.name == "linear.weight")
    changed = with_parameters(graph, {name: np.zeros((5, 6), np.float32)}, "param.pth")
    assert not np.asarray(changed.value(name).const).any()
    assert np.asarray(graph.value(name).const).any()
    for wrong in ({name: np.zeros((1, 6), np.float32)}, {"nothing": np.zeros(1, np.float32)}):
        with pytest.raises(InputError, match="Q1442"):
            with_parameters(graph, wrong, "param.pth")
