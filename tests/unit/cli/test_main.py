"""The shell: help, errors as coded messages, exit codes, and no traceback for a user's mistake."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from quantforge.cli import command_line, main
from quantforge.cli.main import VERBS
from quantforge.diagnostics import InputError


def verb_that(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Make `quantforge explain` do `action` instead."""
    monkeypatch.setattr("quantforge.cli.explain.explain", click.Command("explain", callback=action))


def test_without_a_verb_it_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    for verb, (_, _, summary) in VERBS.items():
        assert f"{verb} " in out and summary in out


def test_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in command_line.list_commands(click.Context(command_line)):
        assert main([verb, "--help"]) == 0
        assert f"quantforge {verb}" in capsys.readouterr().out


def test_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("quantforge 0.")


def test_an_unknown_verb_is_a_coded_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quantise"]) == 2
    assert capsys.readouterr().err == (
        "Q0002 The command line cannot be read\n"
        "  where     quantforge\n"
        "  found     the verb 'quantise'\n"
        f"  expected  one of {', '.join(VERBS)}\n"
        "  try       quantforge quantize --help\n"
        "  more      quantforge explain Q0002\n"
    )


def test_an_unknown_option_is_a_coded_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--yaml"]) == 2
    err = capsys.readouterr().err
    assert "Q0002" in err and "--yaml" in err and "try       quantforge doctor --help" in err


def test_an_error_is_printed_whole_and_literally(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = "a/very/long/path/" * 10 + "model[bold].onnx"

    def fail() -> None:
        raise InputError("Q0101", where, "[1, 2]", "an ONNX model", "check the path")

    verb_that(monkeypatch, fail)
    assert main(["explain"]) == 2
    err = capsys.readouterr().err
    assert f"  where     {where}\n" in err and "  found     [1, 2]\n" in err


def test_an_interrupt_exits_as_shells_expect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    verb_that(monkeypatch, interrupt)
    assert main(["explain"]) == 130
    assert "Q0003 Interrupted" in capsys.readouterr().err


def test_a_verb_may_answer_no(monkeypatch: pytest.MonkeyPatch) -> None:
    verb_that(monkeypatch, lambda: 1)
    assert main(["explain"]) == 1


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "quantforge", "explain", "Q9999"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("Q0001 ") and "Traceback" not in run.stderr
