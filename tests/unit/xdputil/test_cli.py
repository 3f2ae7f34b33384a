"""The shell of `xdputil`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from xdputil.cli import VERBS, main


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert "Usage: xdputil" in capsys.readouterr().out


def test_mistakes_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 2
    assert main(["xmodel"]) == 2
    assert main(["xmodel", "missing.xmodel", "-l"]) == 2
    assert "Q0902" in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "xdputil", "query"], capture_output=True, text=True, check=True
    )
    assert '"kernels"' in found.stdout
