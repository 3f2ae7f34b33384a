"""How commands end: exit codes and coded messages, never a traceback."""

from __future__ import annotations

import click
import pytest

from quantforge.cli.shell import run_command
from quantforge.diagnostics import InputError


@click.command()
@click.argument("how")
def command(how: str) -> int | None:
    """End in one way or another."""
    if how == "refuse":
        raise InputError("Q0102", "net.onnx", "nothing", "a file", "check the path")
    if how == "stop":
        raise KeyboardInterrupt
    return 1 if how == "no" else None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["yes"], 0, ""),
        (["no"], 1, ""),
        (["refuse"], 2, "Q0102"),
        ([], 2, "Q0002"),
        (["yes", "--what"], 2, "Q0002"),
        (["stop"], 130, "Q0003"),
    ],
)
def test_every_end(words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(command, "example", words) == code
    assert said in capsys.readouterr().err
