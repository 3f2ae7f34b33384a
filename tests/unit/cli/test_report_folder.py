"""``--report FOLDER``: made before the work, gone again when the work fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantforge.cli.report_folder import report_folder
from quantforge.diagnostics import InputError


def test_a_new_folder_stays_when_something_was_written(tmp_path: Path) -> None:
    with report_folder(tmp_path / "a" / "b") as folder:
        (folder / "report.html").write_text("page")
    assert (tmp_path / "a" / "b" / "report.html").exists()


def test_a_new_folder_goes_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), report_folder(tmp_path / "a" / "b"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), report_folder(tmp_path):
        raise KeyboardInterrupt
    assert tmp_path.exists()


def test_a_file_in_the_way_is_a_coded_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    expected = r"Q0601 .*file: found .*exists.*; try: choose another folder for --report"
    with pytest.raises(InputError, match=expected), report_folder(tmp_path / "file"):
        pytest.fail("it began")
