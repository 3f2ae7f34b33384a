"""The models of the ONNX backend test-suite: a sample of them, and how outcomes are judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.backend_suite import Case, Outcome, cases, difference, judge, outcomes_of, page
from tests.unit.frontends.onnx.text_models import model, random


def test_a_sample_of_the_suite_never_crashes() -> None:
    every = list(cases())
    assert len(every) > 2000 and len({case.name for case in every}) == len(every)
    found = outcomes_of(every[::20])
    assert [outcome for outcome in found if outcome.kind == "crashed"] == []
    assert sum(outcome.kind == "close" for outcome in found) >= 15
    assert [outcome for outcome in found if outcome.kind == "outside"] == []


@pytest.mark.parametrize(
    ("want", "got", "reason"),
    [
        (np.ones(4, np.float32), np.ones(4, np.float32), ""),
        (np.ones(4, np.float32), np.full(4, 1.04, np.float32), ""),
        (np.ones(4, np.float32), np.full(4, 1.2, np.float32), "14 dB"),
        (np.zeros(4, np.float32), np.full(4, 1.2, np.float32), "-inf dB"),
        (np.array([1, np.inf], np.float32), np.array([1, 2], np.float32), "infinities or NaN differ"),
        (np.arange(3), np.arange(3), ""),
        (np.arange(3), np.arange(3)[::-1], "int64 differs"),
        (np.ones(4, np.float32), np.ones(3, np.float32), "another shape or type"),
        ([np.ones(2)], [np.ones(2)], ""),
        ([np.ones(2)], [np.zeros(2)], "a sequence differs"),
    ],
)
def test_what_is_close(want: Any, got: Any, reason: str) -> None:
    assert difference(want, got) == reason


def test_outcomes_and_their_page() -> None:
    proto = model("agraph (float[n,4] x) => (float[n,4] y) { y = MatMul (x, w) }", w=random(4, 4))
    good = judge(Case("good", proto, {"x": random(8, 4)}), "cpu-cnn")
    alone = judge(
        Case("alone", model("agraph (float[n] x) => (float[n] y) { y = Abs (x) }"), {"x": random(4)}),
        "dpu-cnn",
    )
    bad = judge(Case("bad", None, {}), "cpu-cnn")
    assert good == Outcome("good", "cpu-cnn", "close") and alone == Outcome(
        "alone", "dpu-cnn", "refused", "Q0507"
    )
    assert bad.kind == "crashed" or bad.reason.startswith("Q")
    text = page([good, alone, Outcome("far", "cpu-cnn", "outside", "3 dB")], 3)
    assert "| cpu-cnn | 1 | 1 | 0 | 0 |" in text and "| Q0507 | 1 | 0 | alone |" in text
    assert "| far | cpu-cnn | 3 dB |" in text and "## Crashed" not in text
