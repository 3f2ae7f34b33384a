"""The data options that `quantize` and `compare` share."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from quantforge.calibration.preprocessing import Preprocessing
from quantforge.cli.data_options import DataOptions, data_options
from quantforge.diagnostics import InputError

seen: list[DataOptions] = []


@click.command()
@data_options
@click.option("--other")
def verb(data: DataOptions, other: str | None) -> None:
    """Keep what was parsed."""
    seen.append(data)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(verb, arguments)


def test_only_the_path_is_needed() -> None:
    assert run("--data", "images").exit_code == 0
    assert seen.pop() == DataOptions(Path("images"))


def test_all_options() -> None:
    words = (
        "--data d.npz --samples 9 --batch 4 --preprocess p.toml --mean 0.485,0.456,.406 --std 1,2,3 "
        "--scale 0.5 --resize 240x320 --crop 224 --layout nhwc --color bgr --other x"
    )
    assert run(*words.split()).exit_code == 0
    assert seen.pop() == DataOptions(
        path=Path("d.npz"),
        samples=9,
        batch=4,
        preprocess=Path("p.toml"),
        resize=(240, 320),
        crop=224,
        scale=0.5,
        mean=(0.485, 0.456, 0.406),
        std=(1, 2, 3),
        color="BGR",
        layout="NHWC",
    )


def test_an_option_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("scale = 0.5\nmean = [1, 2, 3]\ncolor = 'BGR'\n")
    made = DataOptions(tmp_path, preprocess=path, mean=(4.0,), layout="NHWC").preprocessing()
    assert made == Preprocessing(scale=0.5, mean=(4.0,), color="BGR", layout="NHWC")


def test_without_image_options_nothing_is_set(tmp_path: Path) -> None:
    assert DataOptions(tmp_path).preprocessing() == Preprocessing()


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Q0211 image options: found std"):
        DataOptions(tmp_path, std=(0.0,)).preprocessing()


@pytest.mark.parametrize("size", ["0", "12x", "1x2x3", "wide", "-4"])
def test_a_wrong_size_is_refused(size: str) -> None:
    answer = run("--data", "d", f"--resize={size}")
    assert answer.exit_code == 2 and "is not a size such as 224 or 240x320" in answer.output


@pytest.mark.parametrize("option", ["--mean", "--std"])
def test_wrong_numbers_are_refused(option: str) -> None:
    answer = run("--data", "d", option, "a,b")
    assert answer.exit_code == 2 and "is not numbers separated by commas" in answer.output


def test_the_path_is_required() -> None:
    assert run().exit_code == 2
    assert seen == []
