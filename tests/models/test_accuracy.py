"""Accuracy of real models under the recipes, against the bounds of anchors.toml.

Each model is quantized from file to file; stock ONNX Runtime runs the file, without its integer kernels where the
recipe has power-of-two scales: there they make no difference, which a few samples confirm, but take twice as long.
Classifiers are calibrated on the first 256 images of cifar10/train and judged on all 10,000 of cifar10/test,
detectors on 32 photographs and 32 others:

    agreement = share of samples whose largest logit is the float model's,
    SQNR      = 10 log10(sum f^2 / sum (f - q)^2)  over all elements of an output, f float, q quantized.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import tomllib
from PIL import Image

import quantforge
from quantforge.graph import Array
from quantforge.quantization.recipe_file import parse_recipe
from tests.unit.frontends.onnx.text_models import DATA

ANCHORS = tomllib.loads((Path(__file__).parent / "anchors.toml").read_text("utf-8"))["anchor"]
CALIBRATION, TEST, PHOTOS, BATCH = 256, 10_000, 32, 25
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
DETECTORS: dict[str, tuple[tuple[int, int], Callable[[Array], Array]]] = {
    "ultraface_rfb_320": ((320, 240), lambda pixels: (pixels - 127) / 128),
    "fastestdet": ((352, 352), lambda pixels: pixels[:, :, ::-1] / 255),
}

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there"),
]


@dataclass(frozen=True)
class Samples:
    """What a model is calibrated on, what it is judged on, and the labels of that, where there are any."""

    calibration: Array
    test: Array
    labels: Array | None = None

    def batches(self, pixels: Array, size: int) -> Iterator[Array]:
        """Model inputs, `size` at a time; images are kept as bytes and normalized here."""
        for start in range(0, len(pixels), size):
            rows = pixels[start : start + size]
            if rows.dtype == np.uint8:
                rows = ((rows.astype(np.float32) / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
            yield np.ascontiguousarray(rows, np.float32)


@pytest.fixture(scope="session")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    def decoded(part: str, count: int) -> tuple[Array, Array]:
        path = tmp_path_factory.getbasetemp() / f"cifar10-{part}.npy"
        with np.load(DATA.parent / "cifar10" / f"{part}.npz") as archive:
            jpeg, offset, labels = archive["jpeg"], archive["offset"], archive["label"][:count]
        if not path.exists():
            files = (io.BytesIO(jpeg[offset[i] : offset[i + 1]].tobytes()) for i in range(count))
            np.save(path, np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files]))
        return np.load(path, mmap_mode="r"), labels

    return Samples(decoded("train", CALIBRATION)[0], *decoded("test", TEST))


def photographs(model: str) -> Samples:
    size, prepare = DETECTORS[model]
    files = sorted((DATA.parent / "images").glob("*.jpg"))[: 2 * PHOTOS]
    pixels = [np.asarray(Image.open(file).convert("RGB").resize(size), np.float32) for file in files]
    rows = np.stack([prepare(image).transpose(2, 0, 1) for image in pixels])
    return Samples(rows[0::2], rows[1::2])


@pytest.fixture(scope="session")
def float_outputs() -> dict[str, dict[str, Array]]:
    """What the float models answered, by model: each is asked once."""
    return {}


def opened(path: Path, integer_kernels: bool = True) -> Any:
    options = ort.SessionOptions()
    if not integer_kernels:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def answers(session: Any, batches: Iterator[Array]) -> dict[str, Array]:
    name = session.get_inputs()[0].name
    rows = [session.run(None, {name: batch}) for batch in batches]
    names = [output.name for output in session.get_outputs()]
    return {name: np.concatenate([row[i] for row in rows]) for i, name in enumerate(names)}


def sqnr_db(exact: Array, found: Array) -> float:
    reference = exact.astype(np.float64)
    return float(10 * np.log10(np.square(reference).sum() / np.square(reference - found).sum()))


def measured(
    model: str, recipe: str, samples: Samples, floats: dict[str, dict[str, Array]], out: Path
) -> Any:
    path, classifies = DATA / f"{model}.onnx", samples.labels is not None
    size, session = BATCH if classifies else 1, opened(path)
    name = session.get_inputs()[0].name
    if model not in floats:
        floats[model] = answers(session, samples.batches(samples.test, size))
    data = [{name: batch} for batch in samples.batches(samples.calibration, 32 if classifies else 1)]
    quantforge.quantize(path, data, recipe=parse_recipe(recipe), output=out)
    exact_scales = "dpu" in recipe
    session = opened(out, integer_kernels=not exact_scales)
    if exact_scales:
        few = samples.test[: size * 2]
        with_kernels = answers(opened(out), samples.batches(few, size))
        for key, values in answers(session, samples.batches(few, size)).items():
            np.testing.assert_array_equal(values, with_kernels[key])
    found = answers(session, samples.batches(samples.test, size))
    exact = floats[model]
    assert list(found) == list(exact)
    results: dict[str, Any] = {"sqnr_db": {key: sqnr_db(exact[key], found[key]) for key in exact}}
    if classifies:
        chosen, wanted = (next(iter(outputs.values())).argmax(axis=1) for outputs in (found, exact))
        results["top1"] = 100 * float((chosen == samples.labels).mean())
        results["agreement"] = 100 * float((chosen == wanted).mean())
    return results


def outside(bounds: Any, results: Any) -> list[str]:
    """Every number that is not within its bounds, and every number without any."""
    flat_bounds, flat = (
        {**{k: v for k, v in table.items() if k != "sqnr_db"}, **table["sqnr_db"]}
        for table in (bounds, results)
    )
    assert flat_bounds.keys() == flat.keys()
    return [
        f"{key} = {flat[key]:.2f}, expected {low} to {high}"
        for key, (low, high) in flat_bounds.items()
        if not low <= flat[key] <= high
    ]


@pytest.mark.parametrize("anchor", ANCHORS, ids=lambda anchor: f"{anchor['model']}: {anchor['recipe']!r}")
def test_accuracy(
    anchor: Any, request: pytest.FixtureRequest, float_outputs: dict[str, dict[str, Array]], tmp_path: Path
) -> None:
    model = anchor["model"]
    samples = photographs(model) if model in DETECTORS else request.getfixturevalue("cifar")
    results = measured(model, anchor["recipe"], samples, float_outputs, tmp_path / "q.onnx")
    bounds = {key: value for key, value in anchor.items() if key not in ("model", "recipe")}
    assert outside(bounds, results) == [], results
