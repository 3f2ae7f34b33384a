"""A compiled model over data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quantforge.debugging.model_run import run_model
from quantforge.debugging.onnx_stage import OnnxStage
from quantforge.debugging.sources import DataChoice
from quantforge.debugging.stage import real
from quantforge.diagnostics import InputError
from quantforge.xmodel.read import read_xmodel
from tests.compiled_digits import DATA, compiled, quantized, samples


@pytest.mark.parametrize("engine", ["run", "ref"])
def test_outputs_are_those_of_the_quantized_model(engine: str) -> None:
    found = run_model(read_xmodel(compiled("PY3_ROUND")), DataChoice(str(DATA), samples=20), engine, top=3)
    stage = OnnxStage(quantized())
    position = stage.signals["logits"].position
    rows = np.concatenate([real(stage.run(feeds)["logits"], position) for feeds in samples(20)])
    (output,) = found.outputs
    assert (found.engine, found.samples, output.shape) == (engine, 20, (10,))
    assert (output.low, output.high) == (rows.min(), rows.max()) and output.mean == pytest.approx(rows.mean())
    assert len(output.classes) == 10  # of the first samples only
    for row, classes in zip(rows, output.classes, strict=False):
        assert len(classes) == 3 and classes[0].index == row.argmax() and classes[0].score == row.max()


def test_images_become_inputs_as_the_model_says(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    folder = tmp_path / "dump"
    run_model(read_xmodel(compiled("PY3_ROUND")), DataChoice(str(tmp_path)), "run", folder)
    given = np.fromfile(next(folder.rglob("0.image_fix.bin")), np.int8)
    wanted = np.rint(pixels.astype(np.float32) * np.float32(0.00392157) * 64).reshape(-1)
    np.testing.assert_array_equal(given, wanted)


def test_data_is_needed() -> None:
    with pytest.raises(InputError, match="Q1309"):
        run_model(read_xmodel(compiled("PY3_ROUND")), None)
