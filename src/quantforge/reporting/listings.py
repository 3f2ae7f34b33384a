"""The long tables of the HTML page: every layer, every tensor, the notes of the passes, the recipe."""

from __future__ import annotations

import math

from quantforge.quantization.report import LayerReport, QuantizationReport, TensorReport
from quantforge.reporting import wording
from quantforge.reporting.markup import element, escape, table

# Sorting keys stand in for numbers that are not there or have no end.
UNKNOWN, ENDLESS = "-1e300", "1e300"


def layers(report: QuantizationReport) -> str:
    """Every layer, sortable and filterable."""
    head = [
        *(_head(name) for name in ("layer", "kind", "precision")),
        *(
            _head(name, number=True)
            for name in ("MACs", "params before", "params after", "adds", "accumulated")
        ),
    ]
    return _filtered("layers", table(head, map(_layer, report.layers), class_="sortable", id="layers"))


def tensors(report: QuantizationReport) -> str:
    """Every tensor, sortable and filterable; a click shows its histogram."""
    head = [
        *(_head(name) for name in ("tensor", "kind", "of", "format", "scale")),
        *(_head(name, number=True) for name in ("zero", "min", "max", "clipped", "SQNR")),
        *(_head(name) for name in ("chosen by", "notes")),
    ]
    rows = (_tensor(index, tensor) for index, tensor in enumerate(report.tensors))
    return _filtered("tensors", table(head, rows, class_="sortable", id="tensors"))


def notes(report: QuantizationReport) -> str:
    """What passes did and refused, and coded notices."""
    rows = [
        element(
            "tr",
            element("td", escape(notice.code), class_="name"),
            element("td", escape(notice.where), class_="name"),
            element("td", "notice"),
            element("td", escape(f"found {notice.found}; expected {notice.expected}; try: {notice.fix}")),
        )
        for notice in report.notices
    ]
    rows += [
        element(
            "tr",
            element("td", escape(note.made_by)),
            element("td", escape(note.op), class_="name"),
            element("td", "done" if note.done else element("b", "refused")),
            element("td", escape(note.text)),
        )
        for note in report.notes
    ]
    if not rows:
        return ""
    head = [_head(name) for name in ("by", "where", "what", "in words")]
    return _filtered("notes", table(head, rows, class_="sortable", id="notes"))


def recipe(report: QuantizationReport) -> str:
    """The text of the recipe, to copy."""
    if not report.recipe_text:
        return ""
    button = element("button", "Copy", type="button", class_="copy")
    return element("div", element("pre", escape(report.recipe_text)), button, class_="remedy card")


def _layer(layer: LayerReport) -> str:
    kind = " + ".join((layer.kind, *layer.fused))
    dot = element("i", class_=f"dot {wording.family(layer.precision)}")
    return element(
        "tr",
        element("td", escape(layer.name), class_="name"),
        element("td", escape(kind)),
        element("td", dot, escape(layer.precision)),
        _number(wording.operations(layer.macs) if layer.macs else wording.NOTHING, layer.macs),
        _number(_bytes(layer.float_bytes), layer.float_bytes),
        _number(_bytes(layer.quantized_bytes), layer.quantized_bytes),
        _number(wording.decibels(layer.added_db), layer.added_db),
        _number(wording.decibels(layer.accumulated_db), layer.accumulated_db),
    )


def _tensor(index: int, tensor: TensorReport) -> str:
    spec = tensor.spec
    name = escape(tensor.name)
    if tensor.histogram is not None and tensor.histogram.total:
        name = element("button", name, type="button", class_="show", data_chart=f"chart-{index}")
    shared = f"shares its scale with {', '.join(tensor.shares_with)}" if tensor.shares_with else ""
    remarks = "; ".join(remark for remark in (*tensor.notes, shared) if remark)
    return element(
        "tr",
        element("td", name, class_="name"),
        element("td", tensor.kind.value),
        element("td", escape(tensor.producer or wording.NOTHING), class_="name"),
        element("td", escape(str(spec.format))),
        element("td", escape(wording.scale(spec)), data_sort=f"{max(spec.scale):.6g}"),
        _number(wording.zero_point(spec), spec.zero_point[0]),
        _number(wording.real(tensor.lo), tensor.lo),
        _number(wording.real(tensor.hi), tensor.hi),
        _number(wording.percent(tensor.saturation), tensor.saturation),
        _number(wording.decibels(tensor.sqnr_db), tensor.sqnr_db),
        element("td", escape(tensor.method)),
        element("td", escape(remarks), class_="remarks"),
    )


def _filtered(what: str, listing: str) -> str:
    """A table with a field above it that keeps the rows in which all its words occur."""
    field = element(
        "input", type="search", placeholder=f"filter {what}", aria_label=f"filter {what}", data_filter=what
    ).removesuffix("</input>")
    return element("div", field, element("span", class_="count"), class_="filter") + listing


def _head(text: str, number: bool = False) -> str:
    button = element("button", escape(text), type="button")
    return element("th", button, class_="number" if number else None, aria_sort="none")


def _number(text: str, value: float | None) -> str:
    if value is None or math.isnan(value):
        key = UNKNOWN
    else:
        key = ENDLESS if value == math.inf else UNKNOWN if value == -math.inf else f"{value:.6g}"
    return element("td", escape(text), class_="number", data_sort=key)


def _bytes(count: int) -> str:
    return wording.size(count) if count else wording.NOTHING
