"""Mean and mean square of a tensor per channel, over batches: what bias correction and equalization need.

Sums are taken in float64 in a fixed order (four partial sums per run of neighbours), so equal batches give equal
results on every machine. Batches are added in the order they come; unlike sketches, sums of floats depend on it in
their last bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quantforge.diagnostics import InternalError
from quantforge.graph import Array
from quantforge.numerics.compiled import compiled

Floats = NDArray[np.float64]


class ChannelMoments:
    """Running sums of x and x^2 along `axis` of a tensor.

    >>> moments = ChannelMoments(axis=1)
    >>> moments.add(np.array([[1.0, 2.0], [3.0, 2.0]], np.float32))
    >>> moments.mean.tolist(), moments.mean_square.tolist()
    ([2.0, 2.0], [5.0, 4.0])

    Attributes:
        axis: The channel axis.
        count: Number of values per channel.
    """

    def __init__(self, axis: int = 1) -> None:
        self.axis = axis
        self.count = 0
        self._sums: Floats | None = None

    @property
    def mean(self) -> Floats:
        """Mean per channel, float64 [channels]; no channels before the first batch."""
        return np.zeros(0) if self._sums is None else self._sums[0] / max(self.count, 1)

    @property
    def mean_square(self) -> Floats:
        """Mean of the squares per channel, float64 [channels]."""
        return np.zeros(0) if self._sums is None else self._sums[1] / max(self.count, 1)

    def add(self, values: Array) -> None:
        """Add one batch; all batches have equally many channels.

        Raises:
            InternalError: Q0219 when the axis does not exist or the number of channels changes.
        """
        array = np.ascontiguousarray(values, np.float32)
        if not -array.ndim <= self.axis < array.ndim:
            self._refuse(f"a tensor of {array.ndim} axes")
        axis = self.axis % array.ndim
        channels = array.shape[axis]
        if self._sums is None:
            self._sums = np.zeros((2, channels))
        if self._sums.shape[1] != channels:
            self._refuse(f"{channels} channels after {self._sums.shape[1]}")
        outer = int(np.prod(array.shape[:axis]))
        add_moments(array.reshape(outer, channels, -1 if array.size else 0), self._sums)
        self.count += array.size // max(channels, 1)

    def _refuse(self, found: str) -> None:
        expected = f"the same channels along axis {self.axis} in every batch"
        raise InternalError("Q0219", "channel moments", found, expected, "report this bug")


def moments_reference(values: NDArray[np.float32]) -> Floats:
    """Sums of x and of x^2 per channel of [outer, channels, inner], in NumPy: `add_moments` to rounding errors."""
    wide = values.astype(np.float64)
    return np.stack([wide.sum(axis=(0, 2)), (wide * wide).sum(axis=(0, 2))])


@compiled("float32[3] const", "float64[2]")
def add_moments(values: NDArray[np.float32], sums: Floats) -> None:
    """Add sums of x and of x^2 of `values` [outer, channels, inner] to `sums` [2, channels]."""
    outer, channels, inner = values.shape
    for n in range(outer):
        for c in range(channels):
            s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
            q0, q1, q2, q3 = 0.0, 0.0, 0.0, 0.0
            for k in range(inner // 4):
                a, b = np.float64(values[n, c, 4 * k]), np.float64(values[n, c, 4 * k + 1])
                d, e = np.float64(values[n, c, 4 * k + 2]), np.float64(values[n, c, 4 * k + 3])
                s0, s1, s2, s3 = s0 + a, s1 + b, s2 + d, s3 + e
                q0, q1, q2, q3 = q0 + a * a, q1 + b * b, q2 + d * d, q3 + e * e
            for k in range(inner - inner % 4, inner):
                a = np.float64(values[n, c, k])
                s0 += a
                q0 += a * a
            sums[0, c] += (s0 + s1) + (s2 + s3)
            sums[1, c] += (q0 + q1) + (q2 + q3)
