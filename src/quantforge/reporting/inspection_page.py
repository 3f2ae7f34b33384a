"""An inspection as an HTML page that needs nothing else."""

from __future__ import annotations

from importlib import resources

from quantforge.inspection import Inspection
from quantforge.reporting.html import POLICY
from quantforge.reporting.inspection_html import TITLE, inspection_section
from quantforge.reporting.markup import element, escape


def inspection_page(inspection: Inspection) -> str:
    """A whole page that loads nothing."""
    title = f"{inspection.model} on {inspection.target}"
    head = element(
        "head",
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="color-scheme" content="light dark">',
        element("title", f"{escape(title)}: inspection"),
        element("style", _asset("page.css")),
    )
    content = (
        element("header", element("p", "Inspection", class_="kicker"), element("h1", escape(title))),
        element("section", element("h2", TITLE), inspection_section(inspection), id="s-inspection"),
        element("script", _asset("page.js")),
    )
    return (
        "<!doctype html>\n"
        + element("html", head, element("body", element("main", *content)), lang="en")
        + "\n"
    )


def _asset(name: str) -> str:
    return resources.files("quantforge.reporting").joinpath(name).read_text("utf-8")
