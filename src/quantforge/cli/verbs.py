"""A group of verbs whose modules are imported when they are used, so that `--help` starts fast."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

Verbs = Mapping[str, tuple[str, str, str]]  # verb -> (module, function, one line for --help)


class LazyVerbs(click.Group):
    """The verbs of a table."""

    def __init__(self, *arguments: Any, verbs: Verbs, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of the table."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb; None when there is no such verb."""
        if cmd_name not in self.verbs:
            return None
        module, function, _ = self.verbs[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, summary) for verb, (_, _, summary) in self.verbs.items()])
