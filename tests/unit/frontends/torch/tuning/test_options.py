from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.tuning.options import LayerResult, Stage


def test_a_layer_is_kept_only_when_it_is_better() -> None:
    assert LayerResult("conv", 0.2, 0.1).kept
    assert not LayerResult("conv", 0.1, 0.1).kept


def test_a_loss_as_decibels() -> None:
    assert Stage("start", 0.001).sqnr_db == pytest.approx(30)
    assert Stage("start", 0.0).sqnr_db == pytest.approx(300)
