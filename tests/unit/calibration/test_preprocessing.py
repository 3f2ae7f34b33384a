"""Settings for images: what is accepted, and errors that name the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantforge.calibration.preprocessing import Preprocessing, load_preprocessing, preprocessing_of
from quantforge.diagnostics import InputError


def message(fields: dict[str, object]) -> str:
    with pytest.raises(InputError) as caught:
        preprocessing_of(fields, "pre.toml")
    return str(caught.value)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pre.toml"
    path.write_text(
        'resize = 256\ncrop = [224, 200]\nscale = 0.004\nmean = [0.4, 0.5, 0.6]\nstd = 0.2\ncolor = "BGR"\n'
        'layout = "NHWC"\ninterpolation = "bicubic"\n'
    )
    assert load_preprocessing(path) == Preprocessing(
        resize=256,
        crop=(224, 200),
        scale=0.004,
        mean=(0.4, 0.5, 0.6),
        std=0.2,
        color="BGR",
        layout="NHWC",
        interpolation="bicubic",
    )


def test_fields_that_are_none_count_as_absent() -> None:
    assert preprocessing_of({"resize": None, "scale": None}) == Preprocessing()


def test_an_unknown_key_names_the_nearest() -> None:
    assert message({"colour": "RGB"}) == (
        "Q0211 pre.toml: found key 'colour'; expected one of resize, crop, scale, mean, std, color, layout, "
        "interpolation; try: color"
    )
    assert "try: one of resize" in message({"zzz": 1})


@pytest.mark.parametrize(
    "fields",
    [
        {"resize": 0},
        {"resize": "big"},
        {"crop": [1, 2, 3]},
        {"scale": "x"},
        {"mean": "x"},
        {"std": [0.0, 1.0, 1.0], "scale": 1.0},
        {"color": "CMYK"},
        {"layout": "CHWN"},
        {"interpolation": "best"},
    ],
)
def test_a_wrong_value_names_its_key_and_an_example(fields: dict[str, object]) -> None:
    key, value = next(iter(fields.items()))
    assert (
        message(fields).startswith(f"Q0211 pre.toml: found {key} = {value!r}; expected {key} = ")
        or key == "std"
    )
    assert f"try: {key} = " in message(fields)


def test_the_number_of_channels() -> None:
    assert "found mean = [1.0, 2.0]; expected one number, or one per channel" in message({"mean": [1.0, 2.0]})


def test_mean_of_scaled_pixels_without_scale() -> None:
    assert message({"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}) == (
        "Q0211 pre.toml: found mean and std up to 1 without scale, for pixels from 0 to 255; "
        "expected scale beside them; "
        "try: scale = 0.00392157 (1/255); scale = 1 if they are meant for pixels up to 255"
    )
    assert preprocessing_of({"mean": [123.7, 116.3, 103.5]}).normalizes


@pytest.mark.parametrize("content", ["resize = ", "\xff"])
def test_files_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pre.toml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"Q0211 .*expected a TOML file with resize"):
        load_preprocessing(path)
    with pytest.raises(InputError, match=r"Q0211 .*No such file"):
        load_preprocessing(tmp_path / "none.toml")
