"""The data options that `quantize` and `compare` share."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from quantforge.cli.data_options import DataOptions, data_options

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
    assert seen.pop() == DataOptions(Path("images"), None, 32, None, None, None, None, None, None, None)


def test_all_options() -> None:
    words = (
        "--data d.npz --samples 9 --batch 4 --preprocess p.toml --mean 0.485,0.456,.406 --std 1,2,3 "
        "--scale 0.5 --resize 320x240 --layout nhwc --color bgr --other x"
    )
    assert run(*words.split()).exit_code == 0
    assert seen.pop() == DataOptions(
        Path("d.npz"), 9, 4, Path("p.toml"), (0.485, 0.456, 0.406), (1, 2, 3), 0.5, (240, 320), "NHWC", "BGR"
    )


def test_one_number_is_a_square() -> None:
    run("--data", "d", "--resize", "224")
    assert seen.pop().resize == (224, 224)


@pytest.mark.parametrize("size", ["0", "12x", "1x2x3", "wide", "-4"])
def test_a_wrong_size_is_refused(size: str) -> None:
    answer = run("--data", "d", f"--resize={size}")
    assert answer.exit_code == 2 and "is not a size such as 224 or 320x240" in answer.output


@pytest.mark.parametrize("option", ["--mean", "--std"])
def test_wrong_numbers_are_refused(option: str) -> None:
    answer = run("--data", "d", option, "a,b")
    assert answer.exit_code == 2 and "is not numbers separated by commas" in answer.output


def test_the_path_is_required() -> None:
    assert run().exit_code == 2
    assert seen == []
