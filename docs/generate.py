"""Write the pages of docs/ that are made from data: ``python docs/generate.py``; ``--check`` only compares.

- `codes.md` from `src/quantforge/codes.toml`;
- `cli.md` from the command line's own help.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from quantforge.cli import command_line
from quantforge.diagnostics import explanations

DOCS = Path(__file__).parent
WARNING = "<!-- Made by `make docs`. Edit the source, not this page. -->"


def codes_page() -> str:
    """Every diagnostic code with its long form."""
    sections = [
        f"## {explanation.code}: {explanation.title}\n\n{explanation.text}\n"
        for explanation in explanations().values()
    ]
    intro = (
        "Every error and notice carries one of these codes; `quantforge explain CODE` prints the same text.\n"
    )
    return "\n".join([WARNING, "", "# Diagnostic codes", "", intro, *sections])


def verbs(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """The verbs of the command line, in order."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            yield name, command


def cli_page() -> str:
    """The help of every verb."""
    sections = []
    for name, command in verbs(command_line):
        context = click.Context(
            command, info_name=f"quantforge {name}", terminal_width=100, max_content_width=100
        )
        sections.append(f"## {name}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join([WARNING, "", "# The command line", "", *sections])


PAGES = {"codes.md": codes_page, "cli.md": cli_page}


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` say which of them are stale."""
    stale = []
    for name, make in PAGES.items():
        path, text = DOCS / name, make()
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(text, "utf-8")
    if stale and "--check" in arguments:
        print(f"stale: {', '.join(stale)}; run `make docs` and commit the result", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
