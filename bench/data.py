"""The images as float32 .npy files, made once in the cache folder."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.jobs import ROOT

SHARED = ROOT.parent / "shared" / "data"
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)

ImageArray = NDArray[np.float32]  # [3, height, width]


def cifar10(part: str, count: int | None, cache: Path) -> Path:
    """The first `count` images of CIFAR-10's `part` ("train" or "test"), all without a count, normalized, NCHW."""
    with np.load(SHARED / "cifar10" / f"{part}.npz") as archive:
        offset = archive["offset"]
        count = len(offset) - 1 if count is None else count
        path = cache / f"cifar10-{part}-{count}.npy"
        if path.exists():
            return path
        jpeg = archive["jpeg"]
    files = (io.BytesIO(jpeg[offset[i] : offset[i + 1]].tobytes()) for i in range(count))
    return write_images(path, (count, 3, 32, 32), (_normalized(Image.open(file)) for file in files))


def cifar10_labels(part: str, cache: Path) -> Path:
    path = cache / f"cifar10-{part}-labels.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with np.load(SHARED / "cifar10" / f"{part}.npz") as archive:
            np.save(path, archive["label"])
    return path


def photographs(
    name: str, size: tuple[int, int], prepare: Callable[[ImageArray], ImageArray], part: str, cache: Path
) -> Path:
    """The photographs at `size` (height, width); "calibration" is every second one, "test" the others.

    `prepare` gets RGB, 0..255, CHW.
    """
    path = cache / f"photographs-{name}-{part}.npy"
    if path.exists():
        return path
    files = sorted((SHARED / "images").glob("*.jpg"))[["calibration", "test"].index(part) :: 2]
    height, width = size
    images = (
        prepare(
            np.asarray(Image.open(file).convert("RGB").resize((width, height)), np.float32).transpose(2, 0, 1)
        )
        for file in files
    )
    return write_images(path, (len(files), 3, height, width), images)


def synthetic(shape: tuple[int, int, int], count: int, seed: int, cache: Path) -> Path:
    """Images with the spread and the smoothness of normalized photographs: noise on three grids, seeded."""
    path = cache / f"synthetic-{'x'.join(map(str, shape))}-{count}-{seed}.npy"
    return path if path.exists() else write_images(path, (count, *shape), _noise(shape, count, seed))


def write_images(path: Path, shape: tuple[int, ...], images: Iterable[ImageArray]) -> Path:
    """Write `images` one after the other; the file appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        written = 0
        for image in images:
            if image.shape != shape[1:]:
                raise ValueError(f"{path.name}: image of shape {image.shape}, expected {shape[1:]}")
            file.write(np.ascontiguousarray(image, "<f4").tobytes())
            written += 1
    if written != shape[0]:
        raise ValueError(f"{path.name}: {written} images, expected {shape[0]}")
    return partial.replace(path)


def _normalized(image: Image.Image) -> ImageArray:
    pixels = np.asarray(image.convert("RGB"), np.float32) / 255
    return ((pixels - _MEAN) / _STD).transpose(2, 0, 1)


def _noise(shape: tuple[int, int, int], count: int, seed: int) -> Iterator[ImageArray]:
    channels, height, width = shape
    random = np.random.default_rng(seed)
    for _ in range(count):
        image = random.normal(0, 0.15, shape).astype(np.float32)
        for step in (4, 32):
            grid = (channels, -(-height // step), -(-width // step))
            coarse = random.normal(0, 0.7, grid).astype(np.float32)
            image += coarse.repeat(step, axis=1).repeat(step, axis=2)[:, :height, :width]
        yield image.clip(-2.1, 2.6)
