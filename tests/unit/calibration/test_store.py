"""Sketches come back equal, and files that are not theirs are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantforge.calibration.runner import Calibration
from quantforge.calibration.sketch import Sketch, sketch_of
from quantforge.calibration.store import SketchKey, load_sketches, save_sketches
from quantforge.diagnostics import InputError
from quantforge.quantization.recipe import TensorRule

RNG = np.random.default_rng(37)
SKETCHES = {
    "a/b:0": sketch_of([RNG.standard_normal(1000).astype(np.float32)]),
    "specials": sketch_of([np.array([np.nan, np.inf, -np.inf, -np.inf, 2.0], np.float32), np.zeros(0)]),
    "empty": Sketch(),
    "ünï": sketch_of([np.zeros(3, np.float32)]),
}
KEY = SketchKey("abc123", "256 images of photos")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_sketches(tmp_path / "s.npz", Calibration(SKETCHES, 4, 256), KEY)
    return tmp_path / "s.npz"


def test_sketches_come_back_equal(saved: Path) -> None:
    found = load_sketches(saved, KEY)
    assert dict(found.sketches) == SKETCHES
    assert (found.batches, found.samples) == (4, 256)
    rule = TensorRule()
    assert found.spec(rule, "a/b:0") == Calibration(SKETCHES, 4, 256).spec(rule, "a/b:0")
    assert load_sketches(saved).sketches == found.sketches


def test_restored_sketches_can_be_added_to(saved: Path) -> None:
    found = load_sketches(saved).sketches["ünï"]
    found.add(np.ones(2, np.float32))
    assert found == sketch_of([np.zeros(3, np.float32), np.ones(2, np.float32)])


def test_equal_sketches_make_equal_bytes(saved: Path, tmp_path: Path) -> None:
    save_sketches(tmp_path / "again.npz", load_sketches(saved), KEY)
    assert (tmp_path / "again.npz").read_bytes() == saved.read_bytes()


def test_none_at_all(tmp_path: Path) -> None:
    save_sketches(tmp_path / "none.npz", Calibration({}, 1, 1), KEY)
    assert load_sketches(tmp_path / "none.npz").sketches == {}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (SketchKey("other", KEY.data), "found sketches of model 'abc123'; expected model 'other'"),
        (SketchKey(KEY.model, "more"), "found sketches of data '256 images of photos'; expected data 'more'"),
    ],
)
def test_sketches_of_something_else(saved: Path, key: SketchKey, text: str) -> None:
    with pytest.raises(InputError, match=f"Q0215 .*{text}; try: calibrate again"):
        load_sketches(saved, key)


def test_damage(saved: Path) -> None:
    data = saved.read_bytes()
    for broken in (b"", data[: len(data) // 2], b"text", data[:200] + bytes(50) + data[250:]):
        saved.write_bytes(broken)
        with pytest.raises(
            InputError, match=r"Q0214 .*expected a file of sketches, version 1; try: calibrate again"
        ):
            load_sketches(saved)


def test_other_contents(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros(3))
    with pytest.raises(InputError, match="Q0214"):
        load_sketches(tmp_path / "x.npz")
    with pytest.raises(InputError, match=r"Q0214 .*No such file"):
        load_sketches(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("head", lambda a: np.frombuffer(a.tobytes().replace(b'"version": 1', b'"version": 9'), np.uint8)),
        ("counts", lambda a: -a),
        ("bins", lambda a: a[:-1]),
        ("sizes", lambda a: a[:-1]),
    ],
)
def test_tables_that_do_not_fit_together(saved: Path, member: str, change: object) -> None:
    with np.load(saved) as archive:
        arrays = {name: archive[name] for name in archive}
    arrays[member] = change(arrays[member])  # type: ignore[operator]
    np.savez(saved, **arrays)
    with pytest.raises(InputError, match="Q0214"):
        load_sketches(saved)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Q0601"):
        save_sketches(tmp_path / "no" / "s.npz", Calibration(SKETCHES, 1, 1), KEY)
