"""The options that name calibration or test data, shared by the verbs that read some."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def parse_numbers(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    """Numbers separated by commas, such as ``0.485,0.456,0.406``."""
    if value is None:
        return None
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError as error:
        expected = "is not numbers separated by commas, such as 0.485,0.456,0.406"
        raise click.BadParameter(f"{value!r} {expected}", context, option) from error


def parse_size(context: click.Context, option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """(height, width) in pixels of ``320x240`` (width x height) or ``224`` (a square)."""
    if value is None:
        return None
    parts = value.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        expected = "is not a size such as 224 or 320x240 (width x height)"
        raise click.BadParameter(f"{value!r} {expected}", context, option)
    return int(parts[-1]), int(parts[0])


@dataclass(frozen=True)
class DataOptions:
    """Where samples come from and how images become tensors. What is None is left to the data or its file."""

    path: Path
    samples: int | None
    batch: int
    preprocess: Path | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    scale: float | None
    resize: tuple[int, int] | None
    layout: str | None
    color: str | None


OPTIONS = (
    click.option(
        "--data",
        "path",
        type=click.Path(path_type=Path),
        required=True,
        help="Folder of images, or a .npy or .npz file (one array per model input).",
    ),
    click.option("--samples", type=click.IntRange(min=1), help="Use the first N samples only."),
    click.option(
        "--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Samples per run."
    ),
    click.option(
        "--preprocess",
        type=click.Path(path_type=Path),
        help="TOML file with the image settings below; an option given here wins.",
    ),
    click.option(
        "--mean",
        callback=parse_numbers,
        metavar="NUMBERS",
        help="Subtract, per channel, after --scale: 0.485,0.456,0.406.",
    ),
    click.option(
        "--std", callback=parse_numbers, metavar="NUMBERS", help="Divide by, per channel, after --mean."
    ),
    click.option("--scale", type=float, help="Multiply pixels (0 to 255) by this first, such as 0.00392157."),
    click.option(
        "--resize",
        callback=parse_size,
        metavar="SIZE",
        help="Resize images to WIDTHxHEIGHT, or N for a square.",
    ),
    click.option(
        "--layout", type=click.Choice(["NCHW", "NHWC"], case_sensitive=False), help="Order of axes."
    ),
    click.option(
        "--color", type=click.Choice(["RGB", "BGR", "gray"], case_sensitive=False), help="Channels."
    ),
)


def data_options(verb: Command) -> Command:
    """Give a verb the options of `DataOptions`; it receives them as one argument, `data`."""

    @functools.wraps(verb)
    def with_data(**given: Any) -> Any:
        names = [field.name for field in dataclasses.fields(DataOptions)]
        return verb(data=DataOptions(**{name: given.pop(name) for name in names}), **given)

    wrapped: Any = with_data
    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return cast("Command", wrapped)
