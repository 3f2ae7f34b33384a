"""The options that name calibration or test data, shared by the verbs that read some."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from quantforge.calibration.preprocessing import Preprocessing
    from quantforge.debugging.sources import DataChoice

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


def parse_size(
    context: click.Context, option: click.Parameter, value: str | None
) -> int | tuple[int, int] | None:
    """One number as it is, ``240x320`` as (height, width), in pixels."""
    if value is None:
        return None
    parts = value.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        expected = "is not a size such as 224 or 240x320 (height x width)"
        raise click.BadParameter(f"{value!r} {expected}", context, option)
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


@dataclass(frozen=True)
class DataOptions:
    """Where samples come from and how images become tensors. What is None is left to the data or its file."""

    path: Path | None
    samples: int | None = None
    batch: int | None = None
    preprocess: Path | None = None
    resize: int | tuple[int, int] | None = None
    crop: int | tuple[int, int] | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    color: str | None = None
    layout: str | None = None

    @property
    def describes_images(self) -> bool:
        """Whether anything says how images become tensors."""
        return any(getattr(self, name) is not None for name in ("preprocess", *IMAGE_FIELDS))

    def choice(self) -> DataChoice | None:
        """The data for stages; image settings that are not given are left to the model. None without --data."""
        from quantforge.debugging.sources import DataChoice

        if self.path is None:
            return None
        settings = self.preprocessing() if self.describes_images else None
        return DataChoice(str(self.path), self.samples, self.batch, settings)

    def preprocessing(self) -> Preprocessing:
        """The settings of the file of --preprocess with the single options laid over them.

        Raises:
            InputError: Q0211 when a setting is wrong.
        """
        from quantforge.calibration.preprocessing import load_preprocessing, preprocessing_of

        fields = {} if self.preprocess is None else load_preprocessing(self.preprocess).model_dump()
        given = {name: getattr(self, name) for name in IMAGE_FIELDS}
        fields.update({name: value for name, value in given.items() if value is not None})
        return preprocessing_of(fields, "image options" if self.preprocess is None else str(self.preprocess))


IMAGE_FIELDS = ("resize", "crop", "scale", "mean", "std", "color", "layout")
DATA_HELP = "Folder of images, or .npy or .npz file with one array per input of the model."
OPTIONS = (
    click.option("--samples", type=click.IntRange(min=1), help="Use at most N samples."),
    click.option("--batch", type=click.IntRange(min=1), help="Samples per run; chosen by size if not given."),
    click.option(
        "--preprocess",
        type=click.Path(path_type=Path),
        help="TOML file with the image settings below; an option given here wins.",
    ),
    click.option(
        "--resize",
        callback=parse_size,
        metavar="SIZE",
        help="Images: make the shorter side N pixels long, or HEIGHTxWIDTH.",
    ),
    click.option(
        "--crop",
        callback=parse_size,
        metavar="SIZE",
        help="Images: cut N x N or HEIGHTxWIDTH from the middle.",
    ),
    click.option(
        "--scale", type=float, help="Images: multiply pixels (0 to 255) by this, such as 0.00392157."
    ),
    click.option(
        "--mean",
        callback=parse_numbers,
        metavar="NUMBERS",
        help="Images: subtract after --scale, per channel: 0.485,0.456,0.406.",
    ),
    click.option(
        "--std",
        callback=parse_numbers,
        metavar="NUMBERS",
        help="Images: divide by after --mean, per channel.",
    ),
    click.option(
        "--color",
        type=click.Choice(["RGB", "BGR", "gray"], case_sensitive=False),
        help="Images: the channels of the input.",
    ),
    click.option(
        "--layout",
        type=click.Choice(["NCHW", "NHWC"], case_sensitive=False),
        help="Images: the order of the input's axes.",
    ),
)


def data_options(verb: Command) -> Command:
    """Give a verb the options of `DataOptions`; it receives them as one argument, `data`."""
    return _with_options(verb, True)


def optional_data_options(verb: Command) -> Command:
    """As `data_options`, for a verb that can do without --data."""
    return _with_options(verb, False)


def _with_options(verb: Command, required: bool) -> Command:
    @functools.wraps(verb)
    def with_data(**given: Any) -> Any:
        names = [field.name for field in dataclasses.fields(DataOptions)]
        return verb(data=DataOptions(**{name: given.pop(name) for name in names}), **given)

    wrapped: Any = with_data
    data = click.option("--data", "path", type=click.Path(path_type=Path), required=required, help=DATA_HELP)
    for option in reversed((data, *OPTIONS)):
        wrapped = option(wrapped)
    return cast("Command", wrapped)
