"""Finished rungs are found again by model, data and recipe; a damaged file says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from quantforge.diagnostics import InputError
from quantforge.frontends.ladder_state import LadderState
from quantforge.frontends.rungs import Outcome
from quantforge.quantization.goal import Figures
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN
from quantforge.quantization.sensitivity import Layer

OUTCOME = Outcome(Figures(64, 25.5, 0.95), 1.25)
LAYERS = ((Layer("c", "conv2d", ("c", "r"), "y"), 0.25),)


def test_what_was_kept_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = LadderState.opened(path, "model and data")
    state.keep(DPU_CNN, OUTCOME)
    state.keep_ranking(DPU_CNN, LAYERS)
    again = LadderState.opened(path, "model and data")
    assert (again.outcome(DPU_CNN), again.ranking(DPU_CNN)) == (OUTCOME, LAYERS)
    assert again.outcome(CPU_CNN) is None and again.outcome(replace(DPU_CNN, hold_out=4)) is None
    other = LadderState.opened(path, "other data")
    assert other.outcome(DPU_CNN) is None and other.ranking(DPU_CNN) is None


def test_without_a_file_it_lasts_as_long_as_the_run() -> None:
    state = LadderState.opened(None, "key")
    state.keep(DPU_CNN, OUTCOME)
    assert state.outcome(DPU_CNN) == OUTCOME


@pytest.mark.parametrize("text", ["", "[]", '{"version": 7, "rungs": {}, "rankings": {}}', '{"version": 1}'])
def test_a_damaged_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(InputError, match="Q0527"):
        LadderState.opened(tmp_path / "state.json", "key")


def test_a_damaged_entry() -> None:
    state = LadderState(None, "key")
    state.keep(DPU_CNN, OUTCOME)
    state.rungs = {key: {"figures": {}} for key in state.rungs}
    state.rankings = {key: [["c"]] for key in state.rungs}
    with pytest.raises(InputError, match="Q0527"):
        state.outcome(DPU_CNN)
    with pytest.raises(InputError, match="Q0527"):
        state.ranking(DPU_CNN)
