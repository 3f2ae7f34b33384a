"""Images become tensors exactly as the settings say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quantforge.calibration.images import image_files, image_reader, spread
from quantforge.calibration.preprocessing import Preprocessing
from quantforge.diagnostics import InputError
from quantforge.graph import Shape

FREE: Shape = ("n", 3, None, None)
PIXELS = np.random.default_rng(31).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def read(path: Path, shape: Shape = FREE, dtype: str = "float32", **fields: object) -> np.ndarray:
    return image_reader(Preprocessing.model_validate(fields), "x", dtype, shape).read(path)


def test_pixels_are_scaled_and_normalized(photo: Path) -> None:
    found = read(photo, resize=(6, 8), scale=0.5, mean=(1.0, 2.0, 3.0), std=4.0)
    expected = (PIXELS.astype(np.float32) * np.float32(0.5) - np.array([1, 2, 3], np.float32)) / np.float32(
        4.0
    )
    np.testing.assert_array_equal(found, expected.transpose(2, 0, 1))
    assert found.dtype == np.float32 and found.flags.c_contiguous


def test_color_and_layout(photo: Path) -> None:
    bgr = read(photo, resize=(6, 8), scale=1.0, color="BGR")
    np.testing.assert_array_equal(bgr, PIXELS[:, :, ::-1].transpose(2, 0, 1))
    last = read(photo, ("n", 6, 8, 3), scale=1.0)
    np.testing.assert_array_equal(last, PIXELS)
    gray = read(photo, ("n", 1, 6, 8), scale=1.0)
    np.testing.assert_array_equal(gray[0], np.asarray(Image.fromarray(PIXELS).convert("L")))


def test_raw_pixels_for_a_uint8_input(photo: Path) -> None:
    found = read(photo, ("n", 3, 6, 8), "uint8")
    np.testing.assert_array_equal(found, PIXELS.transpose(2, 0, 1))
    assert found.dtype == np.uint8


def test_a_float16_input(photo: Path) -> None:
    assert read(photo, ("n", 3, 6, 8), "float16", scale=1.0).dtype == np.float16


def test_sizes(photo: Path) -> None:
    assert read(photo, ("n", 3, 5, 7), scale=1.0).shape == (3, 5, 7)  # that of the input
    assert read(photo, resize=3, scale=1.0).shape == (3, 3, 4)  # shorter side
    assert read(photo, ("n", 3, 3, 3), resize=4, scale=1.0).shape == (3, 3, 3)  # and the middle of it
    cropped = read(photo, crop=(2, 4), scale=1.0)
    np.testing.assert_array_equal(cropped, PIXELS[2:4, 2:6].transpose(2, 0, 1))


def test_a_crop_larger_than_the_image(photo: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(photo, crop=7, scale=1.0)
    assert str(caught.value) == (
        f"Q0213 {photo}: found 6 x 8 pixels; expected at least 7 x 7, the crop; "
        "try: resize before the crop: resize = 256"
    )


@pytest.mark.parametrize(
    ("shape", "dtype", "fields", "text"),
    [
        (("n", 10), "float32", {"scale": 1.0}, "an input of shape"),
        (None, "float32", {"scale": 1.0}, "an input of unknown shape"),
        (FREE, "float32", {"resize": 4}, "found no scale, mean or std, and a float input"),
        (FREE, "uint8", {"scale": 1.0}, "an input of uint8"),
        (FREE, "int64", {}, "an input of int64"),
        (FREE, "float32", {"scale": 1.0}, "found no resize, and an input of variable size"),
        (("n", 3, 4, 4), "float32", {"scale": 1.0, "color": "gray"}, "found 1 channels of gray; expected 3"),
        (("n", 1, 4, 4), "float32", {"mean": (100.0, 90.0, 80.0)}, "found mean of 3 numbers; expected 1"),
        (("n", 3, 4, 4), "float32", {"scale": 1.0, "crop": 5}, "found images of 5 x 5; expected 4 x 4"),
        (
            ("n", 3, 4, 4),
            "float32",
            {"scale": 1.0, "resize": (4, 6)},
            "found images of 4 x 6; expected 4 x 4",
        ),
    ],
)
def test_settings_that_do_not_fit_the_input(
    shape: Shape, dtype: str, fields: dict[str, object], text: str
) -> None:
    with pytest.raises(InputError, match=f"Q0211 preprocessing for input 'x': .*{text}"):
        image_reader(Preprocessing.model_validate(fields), "x", dtype, shape)


def test_files_are_found_below_and_in_order(tmp_path: Path) -> None:
    for name in ("b/1.JPG", "a/2.png", "a/notes.txt", "c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path)] == [
        "a/2.png",
        "b/1.JPG",
        "c.webp",
    ]


def test_spreading() -> None:
    paths = [Path(str(i)) for i in range(7)]
    assert spread(paths, None) == spread(paths, 7) == spread(paths, 99) == paths
    assert spread(paths, 2) == [Path("0"), Path("3")]
