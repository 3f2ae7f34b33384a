from __future__ import annotations

import json
import math

from quantforge.diagnostics import Diagnostic
from quantforge.quantization.compare import Comparison, ValueComparison
from quantforge.quantization.report import DataReport, OutputReport
from quantforge.reporting import comparison_text, to_json

VALUES = (
    ValueComparison("x", "x_DequantizeLinear_Output", math.inf, 0.0, 1.0),
    ValueComparison("stem", "stem", 7.5, 3.25, 0.91, rescaled_db=33.0),
    ValueComparison("mask", "mask", 20.0, 0.5, 0.99, not_finite=1234, reshaped=2),
    ValueComparison("dead", "dead", None, 0.0, None),
    ValueComparison("y", "y", 18.25, 0.75, 0.9995),
)
FOUND = Comparison(
    "float.onnx",
    "int8.onnx",
    DataReport("rows.npy", 100, 4),
    VALUES,
    (OutputReport("y", 18.25, 100, 0.98, 0.9, 0.89),),
    first_drop="mask",
    notices=(Diagnostic("Q0118", "output 'k'", "one", "both", "rename it"),),
)


def test_the_summary_and_the_worst_values_first() -> None:
    text = comparison_text(FOUND)
    assert "float       float.onnx" in text and "100 samples in 4 batches of rows.npy" in text
    assert "y: SQNR 18.2 dB, same answer 98 %, accuracy 90 % → 89 %, 100 samples" in text
    assert "first drop  mask, 20.0 dB" in text and "Q0118 output 'k'" in text
    rows = text.split("largest error")[1]
    names = [
        line.split()[0]
        for line in rows.splitlines()
        if line and line.split()[0] in ("mask", "stem", "x", "dead")
    ]
    assert names == ["mask", "stem", "x", "dead"]
    assert "1,234 numbers not finite" in " ".join(rows.split()) and "equalized, raw 7.5 dB" in " ".join(
        rows.split()
    )


def test_full_keeps_the_order_and_shows_outputs() -> None:
    rows = comparison_text(FOUND, full=True).split("largest error")[1]
    assert rows.index("x ") < rows.index("stem") < rows.index("mask") < rows.index("dead") < rows.rindex("y ")


def test_without_a_drop_or_inner_values() -> None:
    text = comparison_text(Comparison("f", "q", DataReport("d", 1, 1), VALUES[-1:], FOUND.outputs))
    assert "none: the error grows evenly" in text and "values that" not in text


def test_json_has_text_for_what_it_cannot_count() -> None:
    found = json.loads(to_json(FOUND))
    assert found["version"] == 1 and found["first_drop"] == "mask"
    assert found["values"][0]["sqnr_db"] == "inf" and found["values"][3]["sqnr_db"] is None
    assert found["outputs"] == [
        {
            "name": "y",
            "sqnr_db": 18.25,
            "samples": 100,
            "agreement": 0.98,
            "float_accuracy": 0.9,
            "quantized_accuracy": 0.89,
        }
    ]
