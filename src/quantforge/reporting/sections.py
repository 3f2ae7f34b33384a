"""The sections of the HTML page, each from the report to markup; an empty text leaves a section out."""

from __future__ import annotations

from collections.abc import Mapping

from quantforge.quantization.report import (
    Cause,
    Culprit,
    OutputReport,
    QuantizationReport,
    TensorKind,
    TensorReport,
)
from quantforge.reporting import wording
from quantforge.reporting.graph_drawing import draw_graph, shorten
from quantforge.reporting.histogram_chart import draw_histogram, hairline_step
from quantforge.reporting.layer_chart import draw_errors
from quantforge.reporting.markup import element, escape, table

SHOWN_OUTPUTS = 4
CAPTION_LENGTH = 44
FAMILIES = {
    "few": "below 8 bits",
    "int8": "8 bits",
    "int16": "16 and 32 bits",
    "half": "16-bit float",
    "float": "float",
}


def headline(report: QuantizationReport) -> str:
    """The numbers one looks for first, as cards."""
    cards = [_output_card(output) for output in report.outputs[:SHOWN_OUTPUTS]]
    before, after = report.model_bytes
    ratio = f"{before / after:.2g}× smaller" if after else ""
    sizes = f"{wording.size(before)} <i>→</i> {wording.size(after)}"
    cards.append(_card("Model size", sizes, ratio, _stack(report.parameter_bytes, "parameters")))
    operations = report.operations
    if total := sum(operations.values()):
        small = sum(
            count for name, count in operations.items() if wording.family(name) not in ("float", "half")
        )
        title = f"{wording.percent(small / total)} <i>integer</i>"
        note = f"{wording.operations(total)} multiply-accumulates"
        cards.append(_card("Operations", title, note, _stack(operations, "multiply-accumulates")))
    if report.timings:
        elapsed = wording.seconds(sum(timing.seconds for timing in report.timings))
        peak = report.peak_memory_bytes
        stages = "".join(
            element("li", escape(timing.stage), element("b", wording.seconds(timing.seconds)))
            for timing in report.timings
        )
        memory = "" if peak is None else f"peak memory {wording.size(peak)}"
        cards.append(_card("Time", elapsed, memory, element("ul", stages, class_="stages")))
    return element("div", *cards, class_="cards")


def culprits(report: QuantizationReport) -> str:
    """The tensors that make most of the loss, with the remedy of each to copy."""
    if not report.culprits:
        return ""
    names = [culprit.tensor for culprit in report.culprits]
    total = sum(culprit.share for culprit in report.culprits)
    lead = element(
        "p",
        f"{wording.percent(total)} of the loss comes from {wording.counted(len(names), 'tensor')} "
        f"out of {len(report.tensors):,}. "
        "Repeat the command with ",
        element("code", "--apply report.json"),
        " to apply every remedy below, or copy single ones into a recipe.",
        class_="lead",
    )
    rows = "".join(_culprit(rank + 1, culprit) for rank, culprit in enumerate(report.culprits))
    return element("div", lead, element("ol", rows, class_="culprits"))


def errors(report: QuantizationReport) -> str:
    """The chart of the error by layer."""
    chart = draw_errors(report.layers)
    if not chart:
        return ""
    text = (
        "Columns: what a layer adds when only it is quantized. Line: what has come together at its output in the "
        "quantized model. Noise relative to signal in decibels; higher is worse, ten are a factor of ten."
    )
    line = element("li", element("i", class_="line"), "accumulated")
    legend = _legend({layer.precision for layer in report.layers}, line)
    return element("p", escape(text), class_="lead") + legend + element("div", chart, class_="scroll card")


def histograms(report: QuantizationReport) -> str:
    """Small multiples for the culprits, and a selector for every tensor."""
    charts = {tensor.name: draw_histogram(tensor) for tensor in report.tensors}
    if not any(charts.values()):
        return ""
    by_name = {tensor.name: tensor for tensor in report.tensors}
    shown = [culprit.tensor for culprit in report.culprits if charts.get(culprit.tensor)]
    multiples = element("div", *(figure(by_name[name], charts[name]) for name in shown), class_="multiples")
    groups, templates = [], []
    for kind in TensorKind:
        options = []
        for index, tensor in enumerate(report.tensors):
            if tensor.kind is kind and charts[tensor.name]:
                options.append(element("option", escape(tensor.name), value=f"chart-{index}"))
                templates.append(
                    element("template", figure(tensor, charts[tensor.name]), id=f"chart-{index}")
                )
        if options:
            groups.append(element("optgroup", *options, label=f"{kind.value}s"))
    select = element("label", "Any tensor ", element("select", *groups, id="chart-select"), class_="select")
    lead = (
        "How often each value occurs, on a logarithmic scale. The tinted band is what the format can hold, hairlines "
        "are its steps, and values in the red parts are clipped."
    )
    panel = element("div", id="chart-panel")
    return element("p", lead, class_="lead") + multiples + select + panel + "".join(templates)


def figure(tensor: TensorReport, chart: str) -> str:
    """One histogram with its caption."""
    every = hairline_step(tensor)
    facts = [
        str(tensor.spec.format),
        f"step {wording.scale(tensor.spec)}" + (f", every {every}th drawn" if every > 1 else ""),
        f"SQNR {wording.decibels(tensor.sqnr_db)}",
        f"clipped {wording.percent(tensor.saturation)}",
    ]
    caption = element(
        "figcaption",
        element("b", escape(shorten(tensor.name, CAPTION_LENGTH)), data_tip=tensor.name),
        element("span", escape(" · ".join(facts))),
    )
    return element("figure", caption, chart, class_="card")


def graph(report: QuantizationReport) -> str:
    """The drawing of the graph, coloured by precision."""
    if not report.layers:
        return ""
    badge = element("li", element("i", "1", class_="badge"), "culprit, by rank") if report.culprits else ""
    legend = _legend({layer.precision for layer in report.layers}, badge)
    return legend + element(
        "div", draw_graph(report.layers, _ranks(report)), class_="scroll card graphbox", tabindex="0"
    )


def float_ops(report: QuantizationReport) -> str:
    """What stayed float, and why."""
    kept = report.float_ops
    if not kept:
        return element("p", "Nothing: every operator of the graph was quantized.", class_="lead")
    rows = (
        element(
            "tr",
            element("td", escape(layer.name), class_="name"),
            element("td", escape(layer.kind)),
            element("td", wording.operations(layer.macs) if layer.macs else wording.NOTHING, class_="number"),
            element("td", escape(layer.float_reason or "")),
            element("td", element("code", escape(layer.float_code or ""))),
        )
        for layer in kept
    )
    lead = element(
        "p", element("code", "quantforge explain CODE"), " prints the long form of a reason.", class_="lead"
    )
    head = (_th("operator"), _th("kind"), _th("MACs", "number"), _th("why"), _th("code"))
    return lead + table(head, rows)


def _output_card(output: OutputReport) -> str:
    facts = []
    if output.agreement is not None:
        facts.append(f"same answer as float {wording.percent(output.agreement)}")
    if output.samples:
        facts.append(wording.counted(output.samples, "sample"))
    if output.float_accuracy is None or output.quantized_accuracy is None:
        return _card(f"Output {output.name}", wording.decibels(output.sqnr_db), "SQNR", "<br>".join(facts))
    accuracy = (
        f"{wording.percent(output.float_accuracy)} <i>→</i> {wording.percent(output.quantized_accuracy)}"
    )
    change = 100.0 * (output.quantized_accuracy - output.float_accuracy)
    note = f"{change:+.2f} points, SQNR {wording.decibels(output.sqnr_db)}"
    return _card(f"Accuracy of {output.name}", accuracy, note, "<br>".join(facts))


def _card(title: str, value: str, note: str, more: str = "") -> str:
    return element(
        "div",
        element("h3", escape(title)),
        element("p", value, class_="value"),
        element("p", escape(note), class_="note"),
        element("div", more, class_="more") if more else "",
        class_="card",
    )


def _stack(amounts: Mapping[str, int], what: str) -> str:
    """A bar divided by precision, with its legend."""
    total = sum(amounts.values())
    if not total:
        return ""
    parts, items = [], []
    for name, amount in amounts.items():
        share = amount / total
        kind = wording.family(name)
        hint = f"{name}\n{wording.percent(share)} of {what}"
        parts.append(element("span", class_=f"part {kind}", style=f"flex:{share:.4f}", data_tip=hint))
        items.append(
            element("li", element("i", class_=f"dot {kind}"), f"{escape(name)} {wording.percent(share)}")
        )
    return element("div", *parts, class_="stack") + element("ul", *items, class_="key")


def _culprit(rank: int, culprit: Culprit) -> str:
    remedy = element("p", "No single line of a recipe removes it.", class_="note")
    if culprit.remedy:
        remedy = element(
            "div",
            element("pre", escape(culprit.remedy)),
            element("button", "Copy", type="button", class_="copy"),
            class_="remedy",
        )
    body = element(
        "div",
        element("b", escape(culprit.tensor), class_="name"),
        element(
            "span",
            escape(wording.CAUSES[culprit.cause]),
            class_="chip plain" if culprit.cause is Cause.NO_SINGLE_CAUSE else "chip",
        ),
        element("p", escape(_sentence(culprit.why))),
        element(
            "div",
            element("span", style=f"width:{100.0 * min(culprit.share, 1.0):.1f}%"),
            class_="share",
            data_tip=f"{wording.percent(culprit.share)} of the loss",
        ),
        class_="body",
    )
    share = element(
        "div", element("b", wording.percent(culprit.share)), element("span", "of the loss"), class_="rank"
    )
    return element("li", share, body, remedy, class_="card", value=str(rank))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _ranks(report: QuantizationReport) -> dict[str, int]:
    """The rank of the worst culprit by the layer that makes it."""
    layer_of = {op: layer.name for layer in report.layers for op in (layer.name, *layer.ops)}
    ranks: dict[str, int] = {}
    for rank, culprit in enumerate(report.culprits, start=1):
        tensor = report.tensor(culprit.tensor)
        if tensor is not None and tensor.producer in layer_of:
            ranks.setdefault(layer_of[tensor.producer], rank)
    return ranks


def _legend(precisions: set[str], more: str = "") -> str:
    names: dict[str, list[str]] = {}
    for precision in sorted(precisions):
        names.setdefault(wording.family(precision), []).append(precision)
    items = (
        element("li", element("i", class_=f"dot {kind}"), escape(", ".join(names[kind])))
        for kind in FAMILIES
        if kind in names
    )
    return element("ul", *items, more, class_="key")


def _th(text: str, kind: str | None = None) -> str:
    return element("th", escape(text), class_=kind)
