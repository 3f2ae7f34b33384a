"""An inspection as JSON text.

{"version": 1, "model": "net", "target": "DPUCZDX8G_ISA1_B4096", "fingerprint": "0x0101000056010407",
 "subgraphs": {"USER": 1, "DPU": 1}, "macs": 40551424, "dpu_macs": 40551424, "dpu_share": 1.0,
 "groups": [{"device": "USER", "ops": ["x"]}, ...],
 "operators": [{"name": "conv", "kind": "conv2d", "shape": [1, 32, 32, 16], "device": "DPU", ...}, ...]}
"""

from __future__ import annotations

import json
from typing import Any

from quantforge.inspection import Inspection, Verdict

VERSION = 1


def inspection_json(inspection: Inspection) -> str:
    """The inspection as JSON, one operator per line."""
    head: dict[str, Any] = {
        "version": VERSION,
        "model": inspection.model,
        "target": inspection.target,
        "fingerprint": inspection.fingerprint,
        "compiled": inspection.compiled,
        "subgraphs": inspection.subgraphs,
        "macs": inspection.macs,
        "dpu_macs": inspection.dpu_macs,
        "dpu_share": inspection.dpu_share,
    }
    members = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    groups = [{"device": group.device, "ops": list(group.ops)} for group in inspection.groups]
    members.append(f'"groups": {_lines(groups)}')
    members.append(f'"operators": {_lines([_operator(inspection, v) for v in inspection.verdicts])}')
    return "{" + ",\n ".join(members) + "}\n"


def _lines(rows: list[dict[str, Any]]) -> str:
    return "[" + "".join(f"\n  {json.dumps(row)}," for row in rows).removesuffix(",") + "]"


def _operator(inspection: Inspection, verdict: Verdict) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": verdict.name,
        "kind": verdict.kind,
        "inputs": list(inspection.sources[verdict.name]),
        "shape": list(verdict.shape),
        "device": verdict.device,
        "macs": verdict.macs,
        "fused_into": verdict.fused_into,
        "origin": verdict.origin,
        "notes": list(verdict.notes),
        "reasons": [
            {"id": r.id, "rule": r.rule, "found": r.found, "limit": r.limit, "fix": r.fix}
            for r in verdict.reasons
        ],
    }
    return {key: value for key, value in row.items() if value not in (None, [])}
