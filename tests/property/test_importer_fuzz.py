"""Broken model files: an error with a code, or a model that is quantized; never another exception, never a hang."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import HealthCheck, given, settings

from quantforge import quantize
from quantforge.diagnostics import InternalError, QuantforgeError
from quantforge.frontends.onnx import import_model
from tests.property.mutations import mutated
from tests.unit.frontends.onnx.bodied_models import with_branches
from tests.unit.frontends.onnx.text_models import model, random

SMALL = """agraph (float[n,3,8,8] x) => (float[n,4] y) {
    [c1] c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w1, b1)
    [n1] n = BatchNormalization (c, g, b, m, v)
    [r1] r = Relu (n)
    [s1] p, q = Split <axis = 1> (r)
    [c2] j = Concat <axis = 1> (q, p)
    [m1] k = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (j)
    [a1] a = Add (k, k)
    [f1] f = Flatten (a)
    [z1] z = Reshape (f, shape)
    [g1] y = Gemm <transB = 1> (z, w2)
}"""
ONES = {name: np.ones(4, np.float32) for name in ("g", "b", "m", "v")}
FLOAT = model(
    SMALL, opset=13, w1=random(4, 3, 3, 3), b1=random(4), w2=random(4, 64), shape=np.array([-1, 64]), **ONES
)
DATA = [{"x": random(1, 3, 8, 8, seed=seed)} for seed in range(2)]
SOURCES = tuple(
    proto.SerializeToString()
    for proto in (FLOAT, quantize(FLOAT, DATA, recipe="cpu-cnn").model, with_branches())
)
LONGEST_S = 10.0
# The same files in every run: a run that fails by chance tells nobody what they broke.
SETTINGS = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings(SETTINGS, max_examples=250)
@given(mutated(SOURCES))
def test_reading_a_broken_file(data: bytes) -> None:
    start = time.perf_counter()
    try:
        import_model(data)
    except QuantforgeError as error:
        assert not isinstance(error, InternalError), error
    assert time.perf_counter() - start < LONGEST_S


@settings(SETTINGS, max_examples=60)
@given(mutated(SOURCES))
def test_quantizing_a_broken_file(data: bytes) -> None:
    start = time.perf_counter()
    try:
        quantize(data, DATA, recipe="dpu-cnn", threads=1)
    except QuantforgeError as error:
        assert not isinstance(error, InternalError), error
    assert time.perf_counter() - start < LONGEST_S
