"""Folders of dumped tensors as a stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantforge.debugging.dump import write_dump
from quantforge.debugging.dump_stage import DumpStage
from quantforge.debugging.sources import sample_shapes
from quantforge.debugging.xmodel_stage import XmodelStage
from quantforge.diagnostics import InputError
from tests.compiled_xmodels import classifier

STAGE = XmodelStage(classifier(), "ref", "m", native=True)
SHAPES = sample_shapes(STAGE)


def test_what_was_dumped_is_read(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(-128, 128, (3, 1, 8, 8, 3)).astype(np.int8)
    for sample, image in enumerate(images):
        made = STAGE.observer.run({"image": image})
        for engine in STAGE.observer.engines:
            write_dump(tmp_path, engine.program, made, sample)
    dump = DumpStage(tmp_path, STAGE, SHAPES)
    assert dump.samples == 3 and set(dump.signals) == set(STAGE.signals)
    assert dump.signals["logits_t"].position == 1 and dump.signals["probabilities_t"].position is None
    feeds = list(dump.feeds({"image": "image_t"}))
    np.testing.assert_array_equal(feeds[2]["image"], images[2] / np.float32(64))
    dump.run({})
    second = dump.run({})
    np.testing.assert_array_equal(second["image_t"], images[1])


def test_names_of_samples_and_quantizers(tmp_path: Path) -> None:
    np.save(tmp_path / "image_t.npy", np.full((1, 8, 8, 3), 5, np.int8))
    np.arange(10, dtype=np.float32).tofile(tmp_path / "probabilities_t_1.bin")
    np.arange(10, dtype=np.int8).tofile(tmp_path / "logits_t_aquant.bin")
    dump = DumpStage(tmp_path, STAGE, SHAPES)
    assert dump.samples == 2
    first, second = dump.run({}), dump.run({})
    assert first["logits_t"].tolist() == [list(range(10))] and first["image_t"].sum() == 960
    assert set(second) == {"probabilities_t"} and second["probabilities_t"].dtype == np.float32


def test_folders_that_do_not_have_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Q1303 .*no such folder"):
        DumpStage(tmp_path / "missing", STAGE, SHAPES)
    (tmp_path / "other.bin").write_bytes(b"1")
    with pytest.raises(InputError, match=r"Q1303 .*found 1 files"):
        DumpStage(tmp_path, STAGE, SHAPES)
    np.arange(10, dtype=np.int8).tofile(tmp_path / "logits_t.bin")
    with pytest.raises(InputError, match=r"Q1303 .*no file of the input 'image_t', sample 0"):
        list(DumpStage(tmp_path, STAGE, SHAPES).feeds({"image": "image_t"}))


def test_a_file_of_another_size(tmp_path: Path) -> None:
    (tmp_path / "logits_t.bin").write_bytes(b"123")
    with pytest.raises(InputError, match=r"Q1308 .*3 bytes; expected 10 bytes of int8 or 40 of float32"):
        DumpStage(tmp_path, STAGE, SHAPES).run({})
