from __future__ import annotations

import sys

import click
from click.testing import CliRunner

from quantforge.cli.verbs import LazyVerbs

group = LazyVerbs(
    "group",
    verbs={
        "explain": ("quantforge.cli.explain", "explain", "Say more."),
        "no": ("absent_module", "no", "Never."),
    },
)


def test_verbs_are_listed_without_being_imported() -> None:
    found = CliRunner().invoke(group, ["--help"])
    assert "Say more." in found.output and "Never." in found.output
    assert "absent_module" not in sys.modules


def test_a_verb_is_imported_when_it_is_used() -> None:
    with click.Context(group) as context:
        command = group.get_command(context, "explain")
        assert command is not None and command.name == "explain"
        assert group.get_command(context, "unknown") is None
