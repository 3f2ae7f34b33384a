"""Image files as model inputs: `Preprocessing` applied with Pillow, one image in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from quantforge.calibration.preprocessing import Preprocessing
from quantforge.diagnostics import InputError
from quantforge.graph import Array, Shape

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_MODES = {"RGB": "RGB", "BGR": "RGB", "gray": "L"}
_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
}
Size = tuple[int, int]


def image_files(folder: Path) -> list[Path]:
    """All image files in `folder` and below, in the order of their paths."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def spread(paths: Sequence[Path], limit: int | None) -> Sequence[Path]:
    """At most `limit` of `paths`, evenly spread, so that every class folder has its share.

    >>> [path.name for path in spread([Path(str(i)) for i in range(10)], 3)]
    ['0', '3', '6']
    """
    if limit is None or limit >= len(paths):
        return paths
    return [paths[i * len(paths) // limit] for i in range(limit)]


@dataclass(frozen=True)
class ImageReader:
    """Turns image files into arrays for one input; made by `image_reader`, which fills in what was left open.

    `size` is (height, width) of the result, or None to keep that of the image.
    """

    preprocessing: Preprocessing
    dtype: np.dtype[np.generic]
    color: str
    channels_first: bool
    size: Size | None

    def read(self, path: Path) -> Array:
        """One image as [channels, height, width] or [height, width, channels].

        Raises:
            InputError: Q0213 when the file is no image, or smaller than the crop.
        """
        try:
            with Image.open(path) as image:
                pixels = self._resized(image.convert(_MODES[self.color]), path)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            fix = "remove or replace the file"
            raise InputError("Q0213", str(path), str(error), "an image that Pillow can read", fix) from error
        array = np.asarray(pixels)
        array = array[:, :, None] if array.ndim == 2 else array
        if self.color == "BGR":
            array = array[:, :, ::-1]
        if self.dtype.kind == "f":
            array = self._normalized(array)
        return np.ascontiguousarray(array.transpose(2, 0, 1) if self.channels_first else array)

    def _resized(self, image: Image.Image, path: Path) -> Image.Image:
        resize, crop = self.preprocessing.resize, self.preprocessing.crop
        if resize is None and crop is None:
            resize = self.size
        if isinstance(resize, int) and crop is None:
            crop = self.size
        if isinstance(resize, int):
            width, height = image.size
            short = min(width, height)
            resize = (height * resize // short, width * resize // short)
        if resize is not None and resize != (image.height, image.width):
            image = image.resize((resize[1], resize[0]), _FILTERS[self.preprocessing.interpolation])
        return image if crop is None else _cropped(image, _pair(crop), path)

    def _normalized(self, array: Array) -> Array:
        made = array.astype(np.float32)
        options = self.preprocessing
        if options.scale is not None:
            made *= np.float32(options.scale)
        if options.mean is not None:
            made -= np.asarray(options.mean, np.float32)
        if options.std is not None:
            made /= np.asarray(options.std, np.float32)
        return made.astype(self.dtype, copy=False)


def image_reader(preprocessing: Preprocessing, name: str, dtype: str, shape: Shape | None) -> ImageReader:
    """The reader for an input of this name, dtype and shape [batch, ...].

    Layout and color follow from the shape when they are not given.

    Raises:
        InputError: Q0211 when the options do not fit the input, or leave open how pixels become numbers.
    """
    where = f"preprocessing for input {name!r}"
    dims = shape[1:] if shape is not None and len(shape) == 4 else None
    if dims is None:
        found = "an input of unknown shape" if shape is None else f"an input of shape {list(shape)}"
        raise InputError(
            "Q0211", where, found, "an input [batch, 3 axes] for images", "give the data as .npy"
        )
    kind = np.dtype(dtype)
    if kind.kind == "f" and not preprocessing.normalizes:
        raise InputError(
            "Q0211",
            where,
            "no scale, mean or std, and a float input",
            "how pixels from 0 to 255 become numbers",
            "scale = 0.00392157 (1/255), with the mean and std of training; scale = 1 for raw pixels",
        )
    if kind.kind != "f" and (preprocessing.normalizes or kind != np.uint8):
        fix = "drop scale, mean and std" if kind == np.uint8 else "give the data as .npy"
        raise InputError("Q0211", where, f"an input of {dtype}", "float, or uint8 for raw pixels", fix)
    first = (
        preprocessing.layout == "NCHW"
        if preprocessing.layout
        else not (dims[2] in (1, 3) and dims[0] not in (1, 3))
    )
    channels, height, width = dims if first else (dims[2], dims[0], dims[1])
    color = preprocessing.color or ("gray" if channels == 1 else "RGB")
    made = ImageReader(preprocessing, kind, color, first, _size(height, width))
    _check_fit(made, channels, where)
    return made


def _check_fit(reader: ImageReader, channels: object, where: str) -> None:
    count = 1 if reader.color == "gray" else 3
    if isinstance(channels, int) and channels != count:
        expected = f"{channels} channels, as the input has"
        raise InputError(
            "Q0211", where, f"{count} channels of {reader.color}", expected, "correct color or layout"
        )
    options = reader.preprocessing
    for key, value in (("mean", options.mean), ("std", options.std)):
        if isinstance(value, tuple) and len(value) not in (1, count):
            raise InputError(
                "Q0211",
                where,
                f"{key} of {len(value)} numbers",
                f"{count}, one per channel",
                f"correct {key}",
            )
    fixed = options.crop if options.crop is not None else options.resize
    if fixed is None and reader.size is None:
        found = "no resize, and an input of variable size"
        raise InputError("Q0211", where, found, "a size for the images", "resize = [height, width]")
    made = (
        _pair(fixed) if fixed is not None and (options.crop is not None or isinstance(fixed, tuple)) else None
    )
    if made is not None and reader.size is not None and made != reader.size:
        expected = f"{reader.size[0]} x {reader.size[1]}, as the input has"
        raise InputError(
            "Q0211", where, f"images of {made[0]} x {made[1]}", expected, "correct resize or crop"
        )


def _size(height: object, width: object) -> Size | None:
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _pair(size: int | Size) -> Size:
    return (size, size) if isinstance(size, int) else size


def _cropped(image: Image.Image, size: Size, path: Path) -> Image.Image:
    height, width = size
    if image.height < height or image.width < width:
        found, expected = f"{image.height} x {image.width} pixels", f"at least {height} x {width}, the crop"
        raise InputError("Q0213", str(path), found, expected, "resize before the crop: resize = 256")
    top, left = round((image.height - height) / 2), round((image.width - width) / 2)
    return image.crop((left, top, left + width, top + height))
