"""Channel means and mean squares."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.calibration.moments import ChannelMoments, add_moments, moments_reference
from quantforge.diagnostics import InternalError

RNG = np.random.default_rng(17)


@pytest.mark.parametrize("shape", [(2, 3, 1), (1, 5, 7), (4, 2, 64), (3, 4, 0), (0, 2, 3)])
def test_the_kernel_equals_its_twin(shape: tuple[int, ...]) -> None:
    values = RNG.standard_normal(shape).astype(np.float32)
    sums = np.zeros((2, shape[1]))
    add_moments(values, sums)
    # the same float64 sums in another order: at most one rounding per addition
    np.testing.assert_allclose(sums, moments_reference(values), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_moments_over_batches(axis: int) -> None:
    batches = [RNG.standard_normal((4, 6, 5)).astype(np.float32) for _ in range(3)]
    moments = ChannelMoments(axis)
    for batch in batches:
        moments.add(batch)
    whole = np.concatenate(
        [np.moveaxis(b.astype(float), axis, 0).reshape(b.shape[axis], -1) for b in batches], axis=1
    )
    np.testing.assert_allclose(moments.mean, whole.mean(axis=1), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(moments.mean_square, (whole**2).mean(axis=1), rtol=1e-12)
    assert moments.count == whole.shape[1]


def test_before_the_first_batch_there_are_no_channels() -> None:
    assert ChannelMoments().mean.size == ChannelMoments().mean_square.size == 0


def test_channels_may_not_change() -> None:
    moments = ChannelMoments(1)
    moments.add(np.zeros((1, 3, 2), np.float32))
    with pytest.raises(InternalError, match=r"Q0219 channel moments: found 4 channels after 3"):
        moments.add(np.zeros((1, 4, 2), np.float32))
    with pytest.raises(InternalError, match=r"Q0219 .*found a tensor of 1 axes"):
        ChannelMoments(1).add(np.zeros(3, np.float32))
