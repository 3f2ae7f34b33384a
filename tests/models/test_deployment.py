"""Real models all the way down: quantized ONNX, compiled xmodel, both engines of the software DPU.

Every tensor of the compiled model equals the quantized model's integers, element by element. With the hardware's
own arithmetic (halves up, its factors for means) what differs from ONNX Runtime is counted and every element has a
reason: given the same inputs, its exact value lies on a tie, or a mean has the hardware's factor.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quantforge
from quantforge.compiler.arithmetic import as_hardware
from quantforge.compiler.compile import compilation
from quantforge.compiler.lower import lower
from quantforge.debugging.sources import DataChoice, compare_sources
from quantforge.frontends.onnx import absorb, single_node
from quantforge.frontends.onnx.import_ import import_model
from quantforge.graph import Array
from quantforge.runtime.graph_runner import GraphRunner
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import XModel
from quantforge.xmodel.read import read_xmodel
from quantforge.xmodel.write import write_xmodel
from tests.models.samples import DETECTORS, Samples, answers, opened, photographs
from tests.unit.frontends.onnx.text_models import DATA

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there"),
]

CLASSIFIERS = ("resnet20_cifar10", "mobilenetv2_cifar10")
FEW = {**dict.fromkeys(CLASSIFIERS, 4), **dict.fromkeys(DETECTORS, 1)}
TARGET = "KV260"


@pytest.fixture(scope="module", params=[*CLASSIFIERS, *DETECTORS])
def deployed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Samples, Path, Path]]:
    """Name, samples, quantized ONNX model and compiled xmodel of one model."""
    name: str = request.param
    folder = tmp_path_factory.mktemp(name)
    samples = photographs(name) if name in DETECTORS else request.getfixturevalue("cifar")
    source = opened(DATA / f"{name}.onnx").get_inputs()[0].name
    size = 1 if name in DETECTORS else 32
    data = [{source: batch} for batch in samples.batches(samples.calibration, size)]
    quantized, compiled = folder / "quantized.onnx", folder / "compiled.xmodel"
    quantforge.quantize(DATA / f"{name}.onnx", data, recipe="dpu-cnn", output=quantized)
    write_xmodel(compilation(flat(quantized), load_dpu(TARGET)).model, compiled)
    yield name, samples, quantized, compiled


def flat(quantized: Path) -> XModel:
    return lower(absorb(import_model(quantized)), node_of=single_node)


def few(name: str, samples: Samples) -> DataChoice:
    count = FEW[name]
    batches = list(samples.batches(samples.test[:count], count))
    return DataChoice([batch[i] for batch in batches for i in range(len(batch))])


@pytest.mark.parametrize("engine", ["ref", "run"])
def test_every_tensor_equals_the_quantized_models(deployed: Any, engine: str) -> None:
    name, samples, quantized, compiled = deployed
    found = compare_sources(str(quantized), f"{compiled}@{engine}", few(name, samples))
    assert found.equal, found.culprit
    assert found.samples == FEW[name]
    assert sum(tensor.integers for tensor in found.tensors) >= 30


def test_what_the_hardware_rounds_otherwise_has_a_reason(deployed: Any, tmp_path: Path) -> None:
    name, samples, quantized, _ = deployed
    path = tmp_path / "hardware.xmodel"
    write_xmodel(compilation(as_hardware(flat(quantized)), load_dpu(TARGET)).model, path)
    found = compare_sources(str(quantized), f"{path}@run", few(name, samples))
    alone = [tensor.alone for tensor in found.tensors if tensor.alone is not None]
    assert sum(one.different for one in alone) > 0
    assert found.explained, [
        tensor.name for tensor in found.tensors if tensor.alone and tensor.alone.unexplained
    ]
    engines = compare_sources(f"{path}@ref", f"{path}@run", few(name, samples))
    assert engines.equal, engines.culprit


def test_the_same_answers_on_all_images(deployed: Any) -> None:
    """Top-1 and every logit on the whole test set; the detectors' outputs on all their photographs."""
    name, samples, quantized, compiled = deployed
    size = 25 if name in CLASSIFIERS else 1
    expected = answers(opened(quantized, integer_kernels=False), samples.batches(samples.test, size))
    with GraphRunner(read_xmodel(compiled)) as runner:
        position = runner.input_tensors()[0].fix_point
        rows = [runner.run(stored(batch, position)) for batch in samples.batches(samples.test, size)]
    found = [np.concatenate([row[i] for row in rows]) for i in range(len(rows[0]))]
    for array, exact in zip(found, expected.values(), strict=True):
        if array.shape != exact.shape:
            array = array.transpose(0, 3, 1, 2)
        if name in CLASSIFIERS:
            np.testing.assert_array_equal(array, exact)
        else:
            check_detections(array, exact)
    if samples.labels is not None:
        right = [
            (one.argmax(axis=1) == samples.labels).sum() for one in (found[0], next(iter(expected.values())))
        ]
        assert right[0] == right[1]


def check_detections(found: Array, exact: Array) -> None:
    """Softmax, sigmoid and exp run in float on the CPU, in NumPy and in ONNX Runtime, whose last bits differ.

    So results may differ in their last bit, and where one is quantized again, a value on a tie by one step.
    """
    difference = np.abs(found - exact)
    far = difference > 1e-6 * np.abs(exact).max()
    assert far.mean() < 1e-5
    assert not far.any() or difference[far].max() <= 2.0**-7


def stored(batch: Array, position: int | None) -> Array:
    """Images as the DPU takes them: int8, channels last."""
    assert position is not None
    return np.clip(np.rint(np.ldexp(batch, position)), -128, 127).astype(np.int8).transpose(0, 2, 3, 1).copy()
