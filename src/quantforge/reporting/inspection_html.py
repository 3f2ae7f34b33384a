"""An inspection as a section of an HTML page, such as the report of a quantization."""

from __future__ import annotations

from quantforge.inspection import Inspection, Verdict
from quantforge.reporting import wording
from quantforge.reporting.inspection_drawing import FILLS, inspection_svg
from quantforge.reporting.inspection_wording import counts, drawn, headline, share
from quantforge.reporting.markup import element, escape, table

TITLE = "Where it runs"


def inspection_section(inspection: Inspection) -> str:
    """The markup of a section: what is where, why operators are on the CPU, and the graph by device."""
    facts = [
        f"target {inspection.target}",
        headline(inspection),
        f"subgraphs: {counts(inspection)}",
        f"on the DPU: {share(inspection)}",
    ]
    lead = element("p", *(element("span", escape(fact)) for fact in facts), class_="facts")
    return lead + _cpu(inspection) + _graph(inspection)


def _cpu(inspection: Inspection) -> str:
    if not inspection.on_cpu:
        return ""
    head = (element("th", escape(name)) for name in ("operator", "kind", "MACs", "why", "try", "rule"))
    return table(head, (_row(verdict) for verdict in inspection.on_cpu), class_="sortable", id="on-cpu")


def _row(verdict: Verdict) -> str:
    why = "<br>".join(escape(str(reason)) for reason in verdict.reasons)
    fixes = "<br>".join(escape(reason.fix) for reason in verdict.reasons)
    rules = "<br>".join(element("code", escape(reason.id)) for reason in verdict.reasons)
    macs = wording.operations(verdict.macs) if verdict.macs else wording.NOTHING
    return element(
        "tr",
        element("td", escape(verdict.name), class_="name"),
        element("td", escape(verdict.kind)),
        element("td", macs, class_="number", data_sort=float(verdict.macs)),
        element("td", why, class_="remarks"),
        element("td", fixes, class_="remarks"),
        element("td", rules),
    )


def _graph(inspection: Inspection) -> str:
    if not any(True for _ in drawn(inspection)):
        return ""
    legend = element(
        "ul",
        *(
            element("li", element("i", class_="dot", style=f"background:{fill}"), device)
            for device, fill in FILLS.items()
        ),
        class_="key",
    )
    return legend + element(
        "div", inspection_svg(inspection), class_="scroll card graphbox devices", tabindex="0"
    )
