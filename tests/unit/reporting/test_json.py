"""Exact round trip, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.quantization.report import QuantizationReport
from quantforge.reporting.json import VERSION, from_json, to_json
from tests.unit.reporting.samples import large_report, small_report


@pytest.mark.parametrize("report", [small_report(), large_report(3)], ids=["small", "large"])
def test_round_trip_is_exact(report: QuantizationReport):
    text = to_json(report)
    assert from_json(text) == report
    assert to_json(from_json(text)) == text


def test_the_text_is_strict_json_with_a_version():
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    data = json.loads(to_json(small_report()), parse_constant=refuse)
    assert data["version"] == VERSION
    assert data["tensors"][2]["sqnr_db"] == "inf"
    assert "notes" not in data["tensors"][0]


def test_numbers_of_numpy_and_undefined_ones_are_written():
    report = small_report()
    tensor = replace(report.tensors[0], lo=np.float32(-0.5), hi=np.float64(2.0), sqnr_db=math.nan)
    found = from_json(to_json(replace(report, tensors=(tensor,)))).tensors[0]
    assert (found.lo, found.hi) == (-0.5, 2.0)
    assert found.sqnr_db is not None and math.isnan(found.sqnr_db)


def set_(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("model"), "Q0801 report: found no model; expected the field"),
        (lambda data: data.pop("version"), "Q0801 report: found no version"),
        (set_("version", to=99), "Q0802 report: found version 99; expected version 1"),
        (set_("colour", to=1), "Q0801 report: found unknown key colour; expected one of model, "),
        (set_("tensors", 1, "spec", "scales", to=1), "unknown key tensors[1].spec.scales"),
        (
            set_("tensors", 1, "kind", to="colour"),
            "found tensors[1].kind = 'colour'; expected one of activation, ",
        ),
        (set_("tensors", 1, "lo", to="low"), "found tensors[1].lo = 'low'; expected float"),
        (set_("layers", 0, "macs", to=1.5), "found layers[0].macs = 1.5; expected int"),
        (set_("layers", 0, "reads", to="conv"), "found layers[0].reads = 'conv'; expected a list"),
        (set_("layers", 0, "macs", to=True), "found layers[0].macs = True; expected int"),
        (set_("layers", 0, to=["x" * 99]), "...; expected an object (LayerReport)"),
        (set_("model_bytes", to=[1]), "found model_bytes = [1]; expected 2 items"),
        (set_("tensors", 1, "spec", "format", to="int99x"), "Q0303"),
    ],
)
def test_a_wrong_field_is_named(change: Callable[[dict[str, Any]], None], message: str):
    data = json.loads(to_json(small_report()))
    change(data)
    with pytest.raises(InputError) as caught:
        from_json(json.dumps(data))
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "not json", "[1]", "null"])
def test_other_texts_are_refused(text: str):
    with pytest.raises(InputError, match=r"Q0801 out/report\.json: found"):
        from_json(text, "out/report.json")
