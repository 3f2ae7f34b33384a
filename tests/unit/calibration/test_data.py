"""Every kind of source gives the same batches; wrong ones say what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from quantforge.calibration.data import DataSource, open_data, suggested_batch
from quantforge.calibration.preprocessing import Preprocessing
from quantforge.calibration.samples import InputInfo
from quantforge.diagnostics import CalibrationError, InputError

DATA = np.random.default_rng(29).standard_normal((10, 3, 4, 4)).astype(np.float32)
INPUT = InputInfo("x", "float32", ("batch", 3, 4, 4))
MASK = InputInfo("mask", "int64", ("batch", 2))
MASKS = np.arange(20).reshape(10, 2)


def read(source: DataSource) -> np.ndarray:
    return np.concatenate([feeds["x"] for feeds in source])


class Reader:
    """As ONNX Runtime's CalibrationDataReader."""

    def __init__(self) -> None:
        self.rewind()

    def rewind(self) -> None:
        self.items = iter([{"x": DATA[i : i + 2]} for i in range(0, 10, 2)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.items, None)


def sources(tmp_path: Path) -> dict[str, Any]:
    np.save(tmp_path / "data.npy", DATA)
    np.savez(tmp_path / "x.npz", x=DATA, labels=np.arange(10))
    np.savez_compressed(tmp_path / "anything.npz", images=DATA)
    for folder in ("each", "named"):
        (tmp_path / folder).mkdir()
    for i, sample in enumerate(DATA):
        np.save(tmp_path / "each" / f"{i}.npy", sample)
    np.save(tmp_path / "named" / "x.npy", DATA)
    return {
        "npy": tmp_path / "data.npy",
        "npz by name": str(tmp_path / "x.npz"),
        "npz of one": tmp_path / "anything.npz",
        "folder of samples": tmp_path / "each",
        "folder of inputs": tmp_path / "named",
        "dicts": [{"x": sample} for sample in DATA],
        "arrays": list(DATA),
        "one array": DATA,
        "tuples": [(sample,) for sample in DATA],
        "callable": lambda: iter(DATA),
        "reader": Reader(),
    }


FILES = ("npy", "npz by name", "npz of one", "folder of samples", "folder of inputs")
KINDS = (*FILES, "dicts", "arrays", "one array", "tuples", "callable", "reader")


@pytest.mark.parametrize("kind", KINDS)
def test_every_source_gives_the_same_samples(tmp_path: Path, kind: str) -> None:
    source = open_data(sources(tmp_path)[kind], [INPUT], batch_size=4)
    assert [len(feeds["x"]) for feeds in source] == [4, 4, 2]
    np.testing.assert_array_equal(read(source), DATA)  # a second time
    assert source.notices == ()


@pytest.mark.parametrize("kind", KINDS)
def test_limits_and_fixed_batches(tmp_path: Path, kind: str) -> None:
    fixed = InputInfo("x", "float32", (2, 3, 4, 4))
    source = open_data(sources(tmp_path)[kind], [fixed], limit=7)
    assert [len(feeds["x"]) for feeds in source] == [2, 2, 2]
    np.testing.assert_array_equal(read(source), DATA[:6])
    assert [str(notice) for notice in source.notices] == [
        "Q0220 calibration data: found 1 samples after the last whole batch; expected a multiple of 2; "
        "try: nothing to do; they were left out"
    ]


def test_sizes_that_are_known_in_advance(tmp_path: Path) -> None:
    source = open_data(sources(tmp_path)["npy"], [INPUT], batch_size=4, limit=9)
    assert (source.samples, source.batches, source.batch_size) == (9, 3, 4)
    assert open_data(iter(DATA), [INPUT]).samples is None
    assert open_data(iter(DATA), [INPUT]).batches is None
    assert open_data(DATA, [InputInfo("x", "float32", (4, 3, 4, 4))]).batches == 2


def test_without_a_batch_size_items_stay_as_they_are() -> None:
    assert [len(feeds["x"]) for feeds in open_data([DATA[:3], DATA[3]], [INPUT])] == [3, 1]


def test_two_inputs(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", x=DATA, mask=MASKS)
    (tmp_path / "two").mkdir()
    np.save(tmp_path / "two" / "x.npy", DATA)
    np.save(tmp_path / "two" / "mask.npy", MASKS)
    (tmp_path / "files").mkdir()
    for i in range(10):
        np.savez(tmp_path / "files" / f"{i}.npz", x=DATA[i], mask=MASKS[i])
    for source in (
        tmp_path / "two.npz",
        tmp_path / "two",
        tmp_path / "files",
        list(zip(DATA, MASKS, strict=True)),
    ):
        feeds = list(open_data(source, [INPUT, MASK], batch_size=5))
        np.testing.assert_array_equal(np.concatenate([f["mask"] for f in feeds]), MASKS)
        assert [len(f["x"]) for f in feeds] == [5, 5]


def test_inputs_without_a_common_batch_axis(tmp_path: Path) -> None:
    inputs = [InputInfo("x", "float32", (1, 3)), InputInfo("size", "int64", (2,))]
    np.savez(tmp_path / "d.npz", x=np.ones((4, 1, 3), np.float32), size=np.ones((4, 2), np.int64))
    feeds = list(open_data(tmp_path / "d.npz", inputs))
    assert len(feeds) == 4 and feeds[0]["x"].shape == (1, 3) and feeds[0]["size"].shape == (2,)


def test_one_sample_in_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", DATA[0])
    assert [feeds["x"].shape for feeds in open_data(tmp_path / "one.npy", [INPUT])] == [(1, 3, 4, 4)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (8, 6), (40 * i, 0, 255)).save(tmp_path / "photos" / label / f"{i}.png")
    return tmp_path / "photos"


def test_images(photos: Path) -> None:
    source = open_data(photos, [INPUT], limit=2, preprocessing=Preprocessing(scale=1 / 255), batch_size=2)
    (feeds,) = source
    assert (feeds["x"].shape, source.samples) == ((2, 3, 4, 4), 2)
    assert feeds["x"][:, 2].min() == 1.0
    assert source.description == f"2 of 6 images of {photos}"


def test_images_without_preprocessing(photos: Path) -> None:
    with pytest.raises(InputError, match=r"Q0211 .*found no scale, mean or std, and a float input"):
        open_data(photos, [INPUT])


def test_a_damaged_image_is_named(photos: Path) -> None:
    (photos / "cat" / "1.png").write_bytes(b"no image")
    source = open_data(photos, [INPUT], preprocessing=Preprocessing(scale=1.0))
    with pytest.raises(InputError, match=r"Q0213 .*1\.png: found .*expected an image that Pillow can read"):
        list(source)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda p: p / "none.npy", "No such file"),
        (lambda p: p / "none", "no such file or folder"),
        (lambda p: p, "a folder without images"),
        (lambda p: {"x": DATA}, "found dict"),
        (lambda p: 3, "found int"),
        (lambda p: b"abc", "found bytes"),
    ],
)
def test_sources_that_cannot_be_read(tmp_path: Path, make: Any, found: str) -> None:
    with pytest.raises(InputError, match=f"Q0207 .*{found}"):
        open_data(make(tmp_path), [INPUT])


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(InputError) as caught:
        open_data(tmp_path / "data.csv", [INPUT])
    assert str(caught.value) == (
        f"Q0207 {tmp_path}/data.csv: found a .csv file; "
        "expected a folder of images or arrays, a .npy or an .npz file; try: check the path"
    )


def test_names_and_lengths_in_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", img=DATA, labels=np.arange(10))
    with pytest.raises(InputError, match=r"Q0208 .*found arrays named 'img', 'labels'; expected 'x'"):
        open_data(tmp_path / "a.npz", [INPUT])
    np.savez(tmp_path / "b.npz", x=DATA, mask=MASKS[:4])
    with pytest.raises(InputError, match=r"Q0212 .*found 10 of 'x', 4 of 'mask'"):
        open_data(tmp_path / "b.npz", [INPUT, MASK])
    np.save(tmp_path / "c.npy", DATA)
    with pytest.raises(
        InputError, match=r"Q0208 .*found data for one input; expected data for 2: 'x', 'mask'"
    ):
        open_data(tmp_path / "c.npy", [INPUT, MASK])


def test_a_generator_is_read_once() -> None:
    source = open_data(iter(DATA), [INPUT])
    assert len(list(source)) == 10
    with pytest.raises(InputError) as caught:
        list(source)
    assert str(caught.value) == (
        "Q0218 calibration data: found a source that is used up; expected data that can be read again; "
        "try: pass a list, or a function that returns a fresh iterator; or give the reader a rewind()"
    )


def test_the_error_of_a_reader_is_its_own() -> None:
    """`calibrate` turns it into Q0202; see test_runner."""

    def reader() -> Any:
        yield DATA[0]
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(open_data(reader, [INPUT]))
    assert not issubclass(OSError, CalibrationError)


def test_suggested_batches() -> None:
    assert suggested_batch(1 << 30) == 1
    assert suggested_batch(0) == 8
