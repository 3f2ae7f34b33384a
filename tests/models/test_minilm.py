"""A sentence encoder in eight and in sixteen bits: its embeddings keep their directions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quantforge
from bench import minilm
from bench.evaluate import mean_cosine
from bench.jobs import ROOT
from quantforge.frontends.onnx import import_model
from quantforge.graph import Array
from quantforge.numerics.formats import UINT16
from quantforge.passes.units.find import find_units
from quantforge.quantization.recipe import CPU_TRANSFORMER, Recipe, Smoothing
from tests.unit.frontends.onnx.text_models import run

pytestmark = pytest.mark.models
JUDGED, CALIBRATION, BATCH = 24, 16, 8
A16W8 = replace(
    CPU_TRANSFORMER,
    name="a16w8",
    activations=replace(CPU_TRANSFORMER.activations, format=UINT16),
    smooth=Smoothing(),
)


@pytest.fixture(scope="module")
def encoder() -> Path:
    try:
        return minilm.encoder(ROOT / "out" / "bench" / "cache")
    except minilm.Absent as reason:
        pytest.skip(str(reason))


def embeddings(model: object) -> Array:
    tokens = minilm.tokens(minilm.judged_sentences(JUDGED))
    batches = (tokens[start : start + BATCH] for start in range(0, len(tokens), BATCH))
    return np.concatenate([run(model, {"input_ids": batch})[0] for batch in batches])


@pytest.fixture(scope="module")
def exact(encoder: Path) -> Array:
    return embeddings(encoder)


def test_the_file_computes_what_the_module_does(encoder: Path, exact: Array) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tokens = torch.from_numpy(minilm.tokens(minilm.judged_sentences(JUDGED))[:BATCH])
    with torch.no_grad():
        expected = minilm.module(minilm.folder())(tokens).numpy()
    np.testing.assert_allclose(exact[:BATCH], expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(exact, axis=1), 1.0, rtol=1e-5)


def test_all_its_functions_are_recognised(encoder: Path) -> None:
    units = find_units(import_model(encoder)).found
    count = {name: sum(unit.made_by == name for unit in units) for name in {unit.made_by for unit in units}}
    assert count == {"group-bias": 36, "group-gelu": 6, "group-attention": 6}


@pytest.mark.parametrize(
    ("recipe", "least"),
    [(CPU_TRANSFORMER, 0.995), (A16W8, 0.999)],
    ids=["cpu-transformer", "a16w8"],
)
def test_embeddings_keep_their_directions(encoder: Path, exact: Array, recipe: Recipe, least: float) -> None:
    tokens = minilm.tokens(minilm.calibration_sentences(CALIBRATION))
    result = quantforge.quantize(str(encoder), tokens, recipe=recipe, batch_size=BATCH, threads=2)
    assert mean_cosine(exact, embeddings(result.model)) > least
