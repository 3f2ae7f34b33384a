from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import UnsupportedError
from quantforge.runtime import engine as fast
from quantforge.runtime.engine import (
    LOWERINGS,
    FastEngine,
    batchable,
    from_bytes,
    signed_weights_are_exact,
    to_bytes,
)
from quantforge.runtime.program import program_of
from quantforge.runtime.reference import KERNELS, ReferenceEngine
from quantforge.xmodel.model import Attr, DataType
from tests.compiled_xmodels import ModelBuilder, classifier, dpu_part, single

X = np.random.default_rng(0).integers(-128, 128, (5, 8, 8, 3)).astype(np.int8)


@pytest.mark.parametrize("mode", ["DPU_ROUND", "PY3_ROUND", "STD_ROUND"])
@pytest.mark.parametrize("signed", [True, False])
def test_a_network_equals_the_reference(mode: str, signed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With signed weights and with unsigned ones, as on a processor without VNNI."""
    monkeypatch.setattr(fast, "signed_weights_are_exact", lambda: signed)
    model = classifier(round_mode=mode)
    program = program_of(model, dpu_part(model))
    expected = ReferenceEngine(program).run_all({"image": X})
    found = FastEngine(program, 1, observe=True).run_all({"image": X})
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_both_engines_know_the_same_operators() -> None:
    assert set(LOWERINGS) == set(KERNELS)


def test_the_probe_answers() -> None:
    assert signed_weights_are_exact() in (True, False)


def test_bytes_and_back() -> None:
    integers = np.arange(-128, 128, dtype=np.int8)
    assert to_bytes(integers, 128).tolist() == list(range(256))
    np.testing.assert_array_equal(from_bytes(to_bytes(integers, 128), 128), integers)
    unsigned = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(from_bytes(to_bytes(unsigned, 0), 0), unsigned)


def test_unsigned_tensors() -> None:
    b = ModelBuilder()
    data = b.data((1, 4, 4, 2), 0, name="image", signed=False)
    x = b.op("upload", [data], (1, 4, 4, 2), 0, signed=False)
    weights = b.const(np.array([[[[1, -2]]], [[[3, 1]]]], np.int8), 3)
    y = b.op("conv2d-fix", {"input": [x], "weights": [weights]}, (1, 4, 4, 2), 1, signed=False, kernel=(1, 1))
    b.op("download", [y], (1, 4, 4, 2), 1, signed=False, name="out")
    model = b.finish()
    program = program_of(model, dpu_part(model))
    feeds = {"image": np.random.default_rng(0).integers(0, 256, (2, 4, 4, 2)).astype(np.uint8)}
    expected, found = ReferenceEngine(program).run(feeds), FastEngine(program, 1).run(feeds)
    assert found["out"].dtype == np.uint8
    np.testing.assert_array_equal(found["out"], expected["out"])


def test_operators_along_the_batch_run_sample_by_sample() -> None:
    x = np.random.default_rng(0).integers(-128, 128, (3, 4)).astype(np.int8)
    model = single("reduction_max-fix", [x[:1]], [2], (4,), 2, axis=(0,), keep_dims=False)
    program = program_of(model, dpu_part(model))
    assert not batchable(program)
    assert FastEngine(program, 1).run({"data0": x})["out"].tolist() == x.reshape(-1).tolist()
    other = classifier()
    assert batchable(program_of(other, dpu_part(other)))


def test_wide_integers_are_left_to_the_reference() -> None:
    model = single("reshape-fix", [np.zeros((1, 4), np.int8)], [3], (1, 4), 3)
    for op in model.ops.values():
        op.tensor.dtype = DataType("XINT", 16)
        op.tensor.attrs["bit_width"] = Attr("int32", 16)
    program = program_of(model, dpu_part(model))
    with pytest.raises(UnsupportedError, match=r"Q1202 .*16 bits"):
        FastEngine(program, 1)
    wide = {"data0": np.array([[1, 2, 3, 30000]], np.int16)}
    assert ReferenceEngine(program).run(wide)["out"].tolist() == [[1, 2, 3, 30000]]


def test_unknown_operators_are_refused() -> None:
    model = single("sorting-fix", [np.zeros((1, 4), np.int8)], [3], (1, 4), 3)
    with pytest.raises(UnsupportedError, match=r"Q1202 result.*'sorting-fix'"):
        FastEngine(program_of(model, dpu_part(model)), 1)
