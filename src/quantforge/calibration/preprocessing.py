"""How image files become model inputs, as data: a small TOML file, options of the command line, or keyword arguments.

pixels (0 to 255) -> resize -> centre crop -> color order -> (pixel * scale - mean) / std -> layout

resize = 256                      # shorter side in pixels; or [height, width]
crop = 224                        # or [height, width]
scale = 0.00392157                # 1/255
mean = [0.485, 0.456, 0.406]      # per channel, after scale
std = [0.229, 0.224, 0.225]
color = "RGB"                     # RGB, BGR or gray
layout = "NCHW"                   # NCHW or NHWC
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quantforge.diagnostics import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Pixels = Annotated[int, Field(gt=0)]
Nonzero = Annotated[float, Field(gt=0)]


class Preprocessing(BaseModel):
    """What is done to every image. What is None follows from the model's input.

    Attributes:
        resize: Shorter side, or (height, width); by default the size of the input, unless `crop` is given.
        crop: Side of the square, or (height, width), cut out of the middle; by default, behind a resize of the
            shorter side, the size of the input.
        scale: Factor of the pixel values 0 to 255.
        mean: Subtracted after scaling, one number or one per channel.
        std: Divided by after subtraction, one number or one per channel.
        color: Order of the channels in the tensor.
        layout: Order of its axes.
        interpolation: How pixels are resampled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resize: Pixels | tuple[Pixels, Pixels] | None = None
    crop: Pixels | tuple[Pixels, Pixels] | None = None
    scale: float | None = None
    mean: tuple[float, ...] | float | None = None
    std: tuple[Nonzero, ...] | Nonzero | None = None
    color: Literal["RGB", "BGR", "gray"] | None = None
    layout: Literal["NCHW", "NHWC"] | None = None
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] = "bilinear"

    @property
    def normalizes(self) -> bool:
        """Whether pixel values are changed at all, which a float input needs to be told."""
        return (self.scale, self.mean, self.std) != (None, None, None)


def preprocessing_of(fields: dict[str, Any], where: str = "preprocessing") -> Preprocessing:
    """Check fields and make them a `Preprocessing`; those that are None count as absent.

    >>> preprocessing_of({"crop": 224, "scale": 1.0}).crop
    224

    Raises:
        InputError: Q0211 naming the key, what it may be, and the nearest key when it is unknown.
    """
    given = {key: value for key, value in fields.items() if value is not None}
    try:
        made = Preprocessing.model_validate(given)
    except ValidationError as error:
        raise _refusal(error, where) from error
    for key in ("mean", "std"):
        if isinstance(getattr(made, key), tuple) and len(getattr(made, key)) not in (1, 3, 4):
            found = f"{key} = {list(getattr(made, key))}"
            raise InputError(
                "Q0211", where, found, "one number, or one per channel", f"{key} = [0.5, 0.5, 0.5]"
            )
    _check_units(made, where)
    return made


def load_preprocessing(path: str | Path) -> Preprocessing:
    """Read a TOML file of these fields.

    Raises:
        InputError: Q0211 when it cannot be read or a field is wrong.
    """
    try:
        fields = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        expected = "a TOML file with resize, crop, scale, mean, std, color and layout"
        raise InputError("Q0211", str(path), str(error), expected, "check the path and the quotes") from error
    return preprocessing_of(fields, str(path))


def _check_units(made: Preprocessing, where: str) -> None:
    """A mean or deviation within 0..1 belongs to scaled pixels: without `scale` it is almost surely a slip."""
    numbers = [
        abs(number)
        for value in (made.mean, made.std)
        if value is not None
        for number in (value if isinstance(value, tuple) else (value,))
    ]
    if made.scale is None and numbers and max(numbers) <= 1.0:
        raise InputError(
            "Q0211",
            where,
            "mean and std up to 1 without scale, for pixels from 0 to 255",
            "scale beside them",
            "scale = 0.00392157 (1/255); scale = 1 if they are meant for pixels up to 255",
        )


def _refusal(error: ValidationError, where: str) -> InputError:
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    known = list(Preprocessing.model_fields)
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known, n=1)
        fix = f"{near[0]}" if near else f"one of {', '.join(known)}"
        return InputError("Q0211", where, f"key {key!r}", f"one of {', '.join(known)}", fix)
    examples = {
        "resize": "resize = 256 or [height, width]",
        "crop": "crop = 224 or [height, width]",
        "scale": "scale = 0.00392157",
        "mean": "mean = [0.485, 0.456, 0.406]",
        "std": "std = [0.229, 0.224, 0.225]",
        "color": 'color = "RGB", "BGR" or "gray"',
        "layout": 'layout = "NCHW" or "NHWC"',
        "interpolation": 'interpolation = "bilinear", "bicubic", "nearest" or "lanczos"',
    }
    return InputError("Q0211", where, f"{key} = {first['input']!r}", examples[key], examples[key])
