"""Words and lines that the reports of an inspection share."""

from __future__ import annotations

from collections.abc import Iterator

from quantforge.inspection import Inspection, Verdict
from quantforge.reporting import wording

FIELDS = (
    ("target", "the DPU the model was looked at for, and its fingerprint"),
    ("device", "USER: given by the caller; DPU; CPU"),
    ("constraint", "why an operator is not on the DPU: what was found, and what is supported"),
    ("try", "the nearest change that would help"),
    ("rule", "the rule that is broken; those of operators are in table 28 of the user guide UG1414"),
    ("fused into", "the operator that does it in the same step"),
    ("MACs", "multiplications with addition"),
)
SILENT = ("const", "const-fix")


def counts(inspection: Inspection) -> str:
    """The subgraphs by device.

    >>> counts(Inspection("m", "t", "0x0", (), (), {}))
    'none'
    """
    found = inspection.subgraphs
    return ", ".join(f"{found[name]} {name}" for name in ("USER", "DPU", "CPU") if name in found) or "none"


def share(inspection: Inspection) -> str:
    """The part of the multiplications that the DPU does."""
    if inspection.dpu_share is None:
        return "no multiplications"
    total = wording.operations(inspection.macs)
    return f"{wording.percent(inspection.dpu_share)} of {total} multiply-accumulates"


def headline(inspection: Inspection) -> str:
    """One sentence on where the operators are."""
    shown = [v for v in inspection.verdicts if v.kind not in (*SILENT, "fix", "data", "data-fix")]
    away = len(inspection.on_cpu)
    if not away:
        return f"all {wording.counted(len(shown), 'operator')} on the DPU"
    return f"{away} of {wording.counted(len(shown), 'operator')} on the CPU"


def drawn(inspection: Inspection) -> Iterator[tuple[Verdict, tuple[str, ...]]]:
    """Operators with those they read, without constants and without the roundings between them."""
    kinds = {verdict.name: verdict.kind for verdict in inspection.verdicts}
    constant = set[str]()
    for verdict in inspection.verdicts:
        sources = inspection.sources[verdict.name]
        if verdict.kind in SILENT or (verdict.kind == "fix" and set(sources) <= constant):
            constant.add(verdict.name)
    for verdict in inspection.verdicts:
        if verdict.name in constant or verdict.kind == "fix":
            continue
        read = (_behind(inspection, kinds, name) for name in inspection.sources[verdict.name])
        yield verdict, tuple(dict.fromkeys(name for name in read if name not in constant))


def _behind(inspection: Inspection, kinds: dict[str, str], name: str) -> str:
    while kinds[name] == "fix":
        name = inspection.sources[name][0]
    return name
