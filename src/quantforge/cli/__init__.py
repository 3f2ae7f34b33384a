"""The `quantforge` command: one file per verb."""

from quantforge.cli.main import command_line, main

__all__ = ["command_line", "main"]
