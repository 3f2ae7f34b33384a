"""The whole climb on a real network: files, a recipe that makes the same model, and going on after an interrupt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import quantforge
from quantforge.diagnostics import InputError
from quantforge.frontends import climber
from quantforge.frontends.climb import climb, not_met, recipe_path
from quantforge.frontends.onnx.import_ import import_model
from quantforge.quantization.ladder import STEPS
from quantforge.quantization.ladder_report import RungReport
from tests.unit.frontends.digits import DATA, MODEL, labels


@pytest.fixture(autouse=True)
def without_fine_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        climber, "STEPS", tuple(step for step in STEPS if step.name not in ("positions", "refine", "round"))
    )


@pytest.mark.slow
def test_the_recipe_makes_the_same_model(tmp_path: Path) -> None:
    output = tmp_path / "wide.onnx"
    found = climb(MODEL, DATA, min_sqnr=34.0, output=output)
    assert found.met and found.ladder.chosen.startswith("16-bit")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "wide.ladder",
        "wide.onnx",
        "wide.recipe.toml",
    ]
    assert [path.name for path in (tmp_path / "wide.ladder").iterdir()] == ["state.json"]
    again = quantforge.quantize(MODEL, DATA, recipe=recipe_path(output), output=tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == output.read_bytes()
    assert again.report.recipe_text == found.result.report.recipe_text
    assert found.result.report.ladder == found.ladder


@pytest.mark.slow
def test_an_interrupted_climb_goes_on(tmp_path: Path) -> None:
    output, seen = tmp_path / "m.onnx", []

    def interrupt(rung: RungReport) -> None:
        seen.append(rung.name)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        climb(MODEL, DATA, min_sqnr=30.0, output=output, listener=interrupt)
    assert (
        not output.exists()
        and len(json.loads((tmp_path / "m.ladder" / "state.json").read_text())["rungs"]) == 3
    )
    found = climb(MODEL, DATA, min_sqnr=30.0, output=output)
    assert [rung.resumed for rung in found.ladder.rungs][:4] == [True, True, True, False]
    whole = climb(MODEL, DATA, min_sqnr=30.0)
    assert [(r.name, r.figures) for r in whole.ladder.rungs] == [
        (r.name, r.figures) for r in found.ladder.rungs
    ]


def test_points_against_labels() -> None:
    found = climb(import_model(MODEL), DATA, max_drop=10.0, labels=labels(), recipe="cpu-cnn", target="cpu")
    assert found.met and found.ladder.rungs[0].figures is not None
    assert found.ladder.rungs[0].figures.float_accuracy == 1.0
    assert found.ladder.goal == "at most 10 points of top-1 lost"


@pytest.mark.slow
def test_a_goal_out_of_reach_leaves_the_nearest() -> None:
    found = climb(MODEL, np.load(DATA)[:16], min_sqnr=200.0, recipe="cpu-cnn")
    assert not found.met and "Q0528" in {notice.code for notice in found.result.report.notices}
    best = max(rung.figures.sqnr_db for rung in found.ladder.rungs if rung.figures is not None)
    chosen = next(rung for rung in found.ladder.rungs if rung.name == found.ladder.chosen)
    assert chosen.figures is not None and chosen.figures.sqnr_db == best
    assert not_met(found.ladder).found.startswith(found.ladder.chosen)


def test_mistakes_come_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Q0526"):
        climb(MODEL, DATA)
    with pytest.raises(InputError, match="Q0601"):
        climb(MODEL, DATA, min_sqnr=20.0, output=tmp_path / "no" / "m.onnx")
    (tmp_path / "m.ladder").write_text("a file")
    with pytest.raises(InputError, match="Q0601"):
        climb(MODEL, DATA, min_sqnr=20.0, output=tmp_path / "m.onnx")
    with pytest.raises(InputError, match="Q0525"):
        climb(MODEL, np.load(DATA)[:3], min_sqnr=20.0)
    with pytest.raises(InputError, match="Q0218"):
        climb(MODEL, iter(np.load(DATA)), min_sqnr=20.0)


def test_the_public_names() -> None:
    assert quantforge.climb is climb


@pytest.mark.slow
def test_a_ray_cluster_finds_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    from quantforge.distribution.ray_ import RayPool

    outputs = [tmp_path / "local.onnx", tmp_path / "ray.onnx"]
    alone = climb(MODEL, DATA, min_sqnr=28.0, output=outputs[0])
    pool = RayPool(workers=2)
    try:
        together = climb(MODEL, DATA, min_sqnr=28.0, output=outputs[1], pool=pool)
    finally:
        pool.close()
    assert [(r.name, r.figures) for r in together.ladder.rungs] == [
        (r.name, r.figures) for r in alone.ladder.rungs
    ]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
