"""How the command line prints a diagnostic."""

from __future__ import annotations

from quantforge.diagnostics import Diagnostic, explanations


def show_diagnostic(diagnostic: Diagnostic) -> None:
    """Print one diagnostic on standard error: its title, then where, found, expected and what to try."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    known = explanations().get(diagnostic.code)
    title = Text(diagnostic.code, style="bold red")
    if known is not None:
        title.append(f" {known.title}", style="bold")
    console.print(title, soft_wrap=True)
    rows = {
        "where": diagnostic.where,
        "found": diagnostic.found,
        "expected": diagnostic.expected,
        "try": diagnostic.fix,
        "more": f"quantforge explain {diagnostic.code}",
    }
    for label, value in rows.items():
        console.print(Text(f"  {label:<9} ", style="dim").append(value, style="default"), soft_wrap=True)
