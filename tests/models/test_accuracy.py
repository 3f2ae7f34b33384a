"""Accuracy of real models under the recipes, against the bounds of anchors.toml.

Each model is quantized from file to file; stock ONNX Runtime runs the file, without its integer kernels where the
recipe has power-of-two scales: there they make no difference, which a few samples confirm, but take twice as long.
Classifiers are calibrated on the first 256 images of cifar10/train and judged on all 10,000 of cifar10/test,
detectors on 32 photographs and 32 others:

    agreement = share of samples whose largest logit is the float model's,
    SQNR      = 10 log10(sum f^2 / sum (f - q)^2)  over all elements of an output, f float, q quantized.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomllib

import quantforge
from quantforge.graph import Array
from quantforge.quantization.recipe_file import parse_recipe
from tests.models.samples import DETECTORS, Samples, answers, opened, photographs
from tests.unit.frontends.onnx.text_models import DATA

ANCHORS = tomllib.loads((Path(__file__).parent / "anchors.toml").read_text("utf-8"))["anchor"]
BATCH = 25

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there"),
]


@pytest.fixture(scope="session")
def float_outputs() -> dict[str, dict[str, Array]]:
    """What the float models answered, by model: each is asked once."""
    return {}


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
