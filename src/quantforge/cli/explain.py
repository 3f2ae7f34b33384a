"""``quantforge explain CODE``: the long form of a diagnostic code."""

from __future__ import annotations

import textwrap

import click

from quantforge import diagnostics

WIDTH = 88


@click.command(short_help="Explain a diagnostic code.")
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Print the long form of CODE, such as Q0101; without a code, list them all."""
    if code is None:
        for known in diagnostics.explanations().values():
            click.echo(f"{known.code}  {known.title}")
        return
    found = diagnostics.explain(code)
    click.echo(f"{found.code}: {found.title}\n\n{textwrap.fill(' '.join(found.text.split()), WIDTH)}")
