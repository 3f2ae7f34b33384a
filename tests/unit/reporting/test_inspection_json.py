"""An inspection as JSON."""

from __future__ import annotations

import json

from quantforge.reporting.inspection_json import VERSION, inspection_json
from tests.unit.reporting.inspected import hostile, small
from tests.unit.reporting.samples import HOSTILE


def test_the_head_and_the_operators() -> None:
    inspection = small()
    found = json.loads(inspection_json(inspection))
    assert found["version"] == VERSION
    assert (found["model"], found["target"], found["fingerprint"]) == (
        "net",
        "DPUCZDX8G_ISA1_B4096",
        "0x0101000056010407",
    )
    assert found["subgraphs"] == {"USER": 1, "DPU": 1, "CPU": 2}
    assert found["dpu_share"] == inspection.dpu_share
    assert [row["name"] for row in found["operators"]] == list(inspection.devices)
    assert sorted(name for group in found["groups"] for name in group["ops"]) == sorted(inspection.devices)
    wide = next(row for row in found["operators"] if row["name"] == "wide")
    assert wide["reasons"] == [
        {
            "id": "kernel_range",
            "rule": "conv2d.kernel",
            "found": "kernel width 17",
            "limit": "1-16",
            "fix": "kernel width 16 or several convolutions one after the other",
        }
    ]
    assert "reasons" not in found["operators"][0]


def test_one_operator_per_line_and_any_name() -> None:
    text = inspection_json(small())
    assert sum(line.startswith('  {"name"') for line in text.splitlines()) == len(small().verdicts)
    assert json.loads(inspection_json(hostile()))["model"] == HOSTILE
