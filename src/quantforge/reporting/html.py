"""The report as one HTML page that needs nothing else: style, script and drawings are inside, no network is used.

The content security policy of the page forbids loading anything. Drawings are made here, in Python; the script only
adds tooltips, sorting, filtering, copying and the histogram selector, and the page reads well without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from quantforge.inspection import Inspection
from quantforge.quantization.report import QuantizationReport
from quantforge.reporting import listings, sections, wording
from quantforge.reporting.inspection_html import TITLE, inspection_section
from quantforge.reporting.markup import element, escape

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
HASH_LENGTH = 12


def to_html(report: QuantizationReport, inspections: Sequence[Inspection] = ()) -> str:
    """The whole page as text; `inspections` say where the quantized model runs, one section each."""
    parts = {
        "culprits": ("Where the loss comes from", sections.culprits(report)),
        "error": ("Error by layer", sections.errors(report)),
        "histograms": ("Values and grids", sections.histograms(report)),
        "graph": ("The graph by precision", sections.graph(report)),
        "float": ("What stayed float", sections.float_ops(report)),
        "layers": ("Layers", listings.layers(report)),
        "tensors": ("Tensors", listings.tensors(report)),
        "notes": ("What the passes did", listings.notes(report)),
        "recipe": ("Recipe", listings.recipe(report)),
    }
    for number, inspection in enumerate(inspections):
        parts[f"devices-{number}"] = (f"{TITLE}: {inspection.target}", inspection_section(inspection))
    shown = {key: part for key, part in parts.items() if part[1]}
    links = (element("a", escape(title), href=f"#s-{key}") for key, (title, _) in shown.items())
    body = [
        element("header", _title(report), sections.headline(report)),
        element("nav", *links, aria_label="sections"),
        *(_section(key, title, content) for key, (title, content) in shown.items()),
        element("footer", f"quantforge {escape(report.tool_version)}"),
        element("script", _asset("page.js")),
    ]
    return (
        "<!doctype html>\n"
        + element("html", _head(report), element("body", element("main", *body)), lang="en")
        + "\n"
    )


def _head(report: QuantizationReport) -> str:
    return element(
        "head",
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="color-scheme" content="light dark">',
        element("title", f"{escape(report.model)}: quantization report"),
        element("style", _asset("page.css")),
    )


def _title(report: QuantizationReport) -> str:
    data = report.data
    facts = [f"recipe {report.recipe}"]
    if report.target:
        facts.append(f"target {report.target}")
    facts += [
        f"calibrated with {wording.calibration(data)}",
        f"model {report.model_hash[:HASH_LENGTH]}",
        f"quantforge {report.tool_version}",
    ]
    return (
        element("p", "Quantization report", class_="kicker")
        + element("h1", escape(report.model))
        + element("p", *(element("span", escape(fact)) for fact in facts), class_="facts")
    )


def _section(key: str, title: str, content: str) -> str:
    return element("section", element("h2", escape(title)), content, id=f"s-{key}")


def _asset(name: str) -> str:
    return resources.files("quantforge.reporting").joinpath(name).read_text("utf-8")
