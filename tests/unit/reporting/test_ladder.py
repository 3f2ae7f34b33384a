"""The ladder and the ranking as text: what was chosen, what was left out and why, and whether the goal was met."""

from __future__ import annotations

import json
from dataclasses import replace

from rich.console import Console

from quantforge.frontends.sensitivity import Sensitivity
from quantforge.quantization.report import DataReport
from quantforge.quantization.sensitivity import Layer, LayerSensitivity
from quantforge.reporting import to_json
from quantforge.reporting.ladder import ladder_text, print_sensitivity, rung_line, sensitivity_text, verdict
from tests.unit.quantization.test_ladder_report import LADDER, RUNGS

LAYERS = tuple(
    LayerSensitivity(Layer(f"c{i}", "conv2d", (f"c{i}",), "y"), 30.0 + i, 40.0 + i, 0.04, i % 2 == 0)
    for i in range(25)
)
FOUND = Sensitivity("m.onnx", "dpu-cnn", DataReport("data", 64, 2), 32, LAYERS)


def test_the_table_of_rungs() -> None:
    text = ladder_text(LADDER)
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "judged on 64 samples" in text and "goal met by 16-bit 1" in text
    assert "20.5 dB" in lines["base"] and "95" in lines["base"]
    assert "left out of what follows" in lines["equalize"] and "torch is not installed" in lines["round"]
    assert "meets the goal" in text and "89" in lines["16-bit 1"] and "1.00" in lines["16-bit 1"]


def test_a_goal_that_is_not_met() -> None:
    failed = replace(LADDER, met=False, chosen="base")
    assert verdict(failed) == "goal NOT met (Q0528): the nearest is base"
    assert "nearest to the goal" in ladder_text(failed)


def test_one_rung_in_a_line() -> None:
    assert rung_line(RUNGS[0]) == "base: SQNR 20.5 dB, same answer 95 %, 1.5 s"
    assert rung_line(RUNGS[2]) == "round: left out, torch is not installed"
    assert "accuracy 89 %" in rung_line(RUNGS[3]) and rung_line(RUNGS[3]).endswith("from an earlier run")


def test_the_ranking() -> None:
    text = sensitivity_text(FOUND)
    assert "(20 of 25)" in text and "c19" in text and "c20" not in text
    assert "about 41" in text and "about 40" not in text
    console = Console(record=True, width=100)
    print_sensitivity(FOUND, console, full=True)
    assert "c24" in console.export_text()


def test_the_ranking_as_json() -> None:
    data = json.loads(to_json(FOUND))
    assert data["layers"][0]["layer"]["name"] == "c0" and data["layers"][1]["output_db"] == 41.0
