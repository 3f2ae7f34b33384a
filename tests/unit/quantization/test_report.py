"""The data model: what it derives and what it refuses."""

from __future__ import annotations

import math

import pytest

from quantforge.diagnostics import InternalError
from quantforge.quantization.report import MAX_BINS, Cause, Culprit, Histogram, relative_noise
from tests.unit.reporting.samples import HOSTILE, large_report, small_report


@pytest.mark.parametrize("bins", [3, MAX_BINS + 1])
def test_a_histogram_that_does_not_fit_is_refused(bins: int):
    with pytest.raises(InternalError, match=rf"Q0803 histogram: found 5 edges and {bins} counts"):
        Histogram((0.0, 1.0, 2.0, 3.0, 4.0), (1,) * bins)


def test_operations_and_bytes_are_summed_by_precision_most_first():
    report = small_report()
    assert dict(report.operations) == {"int8": 1_290_000, "float32": 70_000}
    assert list(report.operations) == ["int8", "float32"]
    assert dict(report.parameter_bytes) == {"int8": 1088}


def test_float_ops_are_the_layers_with_a_reason():
    assert [layer.name for layer in small_report().float_ops] == [HOSTILE]


def test_equal_remedies_are_given_once():
    report = large_report(2)
    twice = [Culprit(name, 0.5, Cause.CHANNEL_IMBALANCE, "", "[equalize]\nsweeps = 20") for name in "ab"]
    object.__setattr__(report, "culprits", (*twice, Culprit("c", 0.1, Cause.NO_SINGLE_CAUSE, "", "")))
    assert report.remedies == "[equalize]\nsweeps = 20"


def test_a_tensor_is_found_by_name():
    report = small_report()
    tensor = report.tensor("conv1")
    assert tensor is not None and tensor.sqnr_db == 31.25
    assert report.tensor("nothing") is None


def test_relative_noise_of_the_extremes():
    assert relative_noise(None) == 0.0
    assert relative_noise(math.inf) == 0.0
    assert relative_noise(0.0) == 1.0
    assert relative_noise(-math.inf) == math.inf
