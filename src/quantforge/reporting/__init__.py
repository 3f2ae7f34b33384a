"""Reports for people and programs: the terminal, JSON, and one self-contained HTML page, from the same data."""

from quantforge.reporting.comparison import comparison_text, print_comparison
from quantforge.reporting.html import to_html
from quantforge.reporting.json import from_json, to_json
from quantforge.reporting.text import print_report, to_text

__all__ = [
    "comparison_text",
    "from_json",
    "print_comparison",
    "print_report",
    "to_html",
    "to_json",
    "to_text",
]
