"""Vectors in a model and their replay."""

from __future__ import annotations

import io

import numpy as np
import pytest

from quantforge.debugging.vectors import ATTRIBUTE, load_vectors, record_vectors, selftest
from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Attr, XModel
from tests.compiled_xmodels import classifier


def with_vectors(softmax: bool = True) -> XModel:
    model = classifier(softmax=softmax)
    model.attrs[ATTRIBUTE] = Attr("bytes", record_vectors(model, samples=3))
    return model


@pytest.mark.parametrize("mode", ["run", "ref"])
@pytest.mark.parametrize("softmax", [False, True])
def test_recorded_vectors_come_out_again(mode: str, softmax: bool) -> None:
    found = selftest(with_vectors(softmax), mode)
    assert found.equal and (found.samples, found.outputs) == (3, 1)


def test_the_same_model_records_the_same_bytes() -> None:
    assert record_vectors(classifier()) == record_vectors(classifier())


def test_given_inputs_are_recorded() -> None:
    model = classifier()
    image = np.random.default_rng(5).integers(-128, 128, (2, 8, 8, 3)).astype(np.int8)
    model.attrs[ATTRIBUTE] = Attr("bytes", record_vectors(model, [image]))
    np.testing.assert_array_equal(load_vectors(model)[0][0], image)


def test_a_changed_weight_is_found() -> None:
    model = with_vectors(softmax=False)
    weights = [op for op in model.ops.values() if op.kind == "const-fix"][-2]
    data = np.frombuffer(weights.attrs["data"].value, np.int8).copy()
    data[:] = np.where(data > 100, -100, 100)
    weights.attrs["data"] = Attr("bytes", data.tobytes())
    found = selftest(model)
    assert not found.equal and found.tensor == "logits_t" and found.different > 0
    assert found.first is not None and found.first.steps != 0


def archive(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"",
        b"no archive",
        archive(input_0=np.zeros((1, 8, 8, 3), np.int8)),
        archive(input_0=np.zeros((1, 8, 8, 3), np.int8), output_0=np.zeros((1, 11), np.float32)),
    ],
)
def test_vectors_that_do_not_belong_to_the_model(raw: bytes | None) -> None:
    model = classifier()
    if raw is not None:
        model.attrs[ATTRIBUTE] = Attr("bytes", raw)
    with pytest.raises(InputError, match="Q1307"):
        selftest(model)
