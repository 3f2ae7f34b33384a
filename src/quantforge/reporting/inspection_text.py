"""An inspection as plain text: `inspection_summary` for the terminal, `inspection_text` with every operator.

The file has the parts that the inspector of Vitis AI writes (user guide UG1414, chapter 3): what the fields mean, the
target, the operators on the CPU, and one block per operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from quantforge.inspection import Inspection, Verdict
from quantforge.reporting import wording
from quantforge.reporting.inspection_wording import FIELDS, counts, headline, share


def inspection_summary(inspection: Inspection) -> str:
    """The headline and a table of the operators on the CPU, equal reasons together."""
    rows = [
        ("model", inspection.model),
        ("target", f"{inspection.target} ({inspection.fingerprint})"),
        ("subgraphs", counts(inspection)),
        ("on the DPU", share(inspection)),
        ("operators", headline(inspection)),
    ]
    if inspection.compiled:
        rows.append(("note", "the model is compiled; the devices are those it says"))
    lines = [f"{label:<12}{text}" for label, text in rows]
    if inspection.on_cpu:
        lines += ["", *_cpu_table(inspection.on_cpu)]
    return "\n".join(lines) + "\n"


def inspection_text(inspection: Inspection) -> str:
    """The whole report, as written to `inspect_<target>.txt`."""
    parts = ["Fields", *(f"  {name:<12}{meaning}" for name, meaning in FIELDS), ""]
    parts += [inspection_summary(inspection).rstrip("\n"), "", "Operators", ""]
    for verdict in inspection.verdicts:
        parts += [*_block(inspection, verdict), ""]
    return "\n".join(parts)


def _cpu_table(verdicts: Iterable[Verdict]) -> list[str]:
    """Operators on the CPU, one per line, those of one kind with the same reasons under one heading."""
    groups: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[Verdict]] = {}
    for verdict in verdicts:
        texts = tuple(f"{reason.id}: {reason}" for reason in verdict.reasons)
        fixes = tuple(reason.fix for reason in verdict.reasons)
        groups.setdefault((verdict.kind, texts, fixes), []).append(verdict)
    lines = ["On the CPU"]
    for (kind, texts, fixes), members in groups.items():
        lines.append(f"  {kind}" + (f" ({len(members)} times)" if len(members) > 1 else ""))
        for text, fix in zip(texts, fixes, strict=True):
            lines += [f"    {text}", f"    try: {fix}"]
        lines += [f"      {_place(verdict)}" for verdict in members]
    return lines


def _place(verdict: Verdict) -> str:
    macs = f", {wording.operations(verdict.macs)} MACs" if verdict.macs else ""
    return f"{verdict.name} {_sizes(verdict.shape)}{macs}"


def _block(inspection: Inspection, verdict: Verdict) -> list[str]:
    rows = [
        ("name", verdict.name),
        ("type", verdict.kind),
        ("inputs", ", ".join(inspection.sources[verdict.name]) or "-"),
        ("shape", _sizes(verdict.shape)),
        ("device", verdict.device),
    ]
    rows += [("fused into", verdict.fused_into)] if verdict.fused_into else []
    rows += [("MACs", f"{verdict.macs:,}")] if verdict.macs else []
    for reason in verdict.reasons:
        rows += [("constraint", str(reason)), ("rule", f"{reason.rule} ({reason.id})"), ("try", reason.fix)]
    rows += [("note", note) for note in verdict.notes]
    rows += [("origin", verdict.origin)] if verdict.origin and verdict.origin != verdict.name else []
    return [f"  {label:<12}{text}" for label, text in rows]


def _sizes(shape: Sequence[int]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"
