"""``quantforge doctor``."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from quantforge.cli import doctor as doctor_module
from quantforge.cli import main
from quantforge.cli.doctor import Check, State


def test_this_machine_can_quantize(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["onnx"] == {"name": "onnx", "state": "ok", "detail": metadata.version("onnx"), "fix": ""}
    assert "CPUExecutionProvider" in checks["ONNX Runtime providers"]["detail"]
    assert {"python", "cores", "memory", "compiled-loop cache", "browser"} <= set(checks)


def test_the_table_names_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert all(check.name in out for check in doctor_module.examine())


def test_an_old_package_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "1.2.9")
    assert doctor_module.check_package("onnx", "1.16", None) == Check(
        "onnx", State.BROKEN, "1.2.9, older than 1.16", 'python -m pip install "onnx>=1.16"'
    )


def test_a_missing_extra_is_only_absent() -> None:
    assert doctor_module.check_package("no-such-package", "0", "torch") == Check(
        "no-such-package", State.ABSENT, "not installed", 'python -m pip install "quantforge[torch]"'
    )


def test_something_broken_answers_no(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_module, "examine", lambda: [Check("onnx", State.BROKEN, "gone", "install it")])
    assert main(["doctor"]) == 1
    assert "try: install it" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert doctor_module.check_numba_cache().state is State.OK
    monkeypatch.setattr("os.access", lambda path, mode: False)
    found = doctor_module.check_numba_cache()
    assert found.state is State.BROKEN and "NUMBA_CACHE_DIR" in found.fix


def test_no_browser_is_only_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert doctor_module.check_browser().state is State.ABSENT


@pytest.mark.parametrize(("text", "numbers"), [("2.13.0+cpu", (2, 13, 0)), ("1.27rc1", (1, 27)), ("0", (0,))])
def test_versions_are_compared_as_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert doctor_module.version_tuple(text) == numbers
