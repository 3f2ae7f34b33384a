"""Float ranges [lo, hi] from the segments of a sketch: min-max, percentile, mean square error.

A percentile differs from that of the values themselves by at most one bin, |x| / 128. Entropy has a module of its
own. The mean square error is minimised over clipped ranges: with a step s and the grid that spans [a, b],

    minimise over a in [lo, 0], b in [0, hi]:   sum over values of (s * clamp(round(x / s)) - x)^2.

The least is often flat: much narrower ranges err as little. What they clip are the largest values, whose errors are
alike in sign and come again at other samples, so `slack` takes the widest range that errs at most so much more.

Reference: percentile as ONNX Runtime's `PercentileCalibrater`.
"""

from __future__ import annotations

import numpy as np

from quantforge.calibration.errors import DIRECTED, first_within, nearest_squared_error, squared_error
from quantforge.calibration.segments import Segments, quantile
from quantforge.calibration.sketch import Extent
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.positions import affine_parameters
from quantforge.numerics.rounding import Rounding

# Candidate ends as a share of the extreme one, widest first: six octaves down in quarters, then 32nds of one around
# the best.
_COARSE = np.exp2(-np.arange(25) / 4.0)
_FINE = np.exp2(np.arange(7, -8, -1) / 32.0)
_SWEEPS = 2  # of the two ends of an asymmetric range


def min_max_range(segments: Segments) -> Extent:
    """The extremes."""
    return Extent(float(segments.lo[0]), float(segments.hi.max())) if segments.lo.size else Extent(0.0, 0.0)


def percentile_range(segments: Segments, percentile: float, symmetric: bool) -> Extent:
    """The range that holds `percentile` percent of the values, cut alike on both sides or, symmetric, in |x|.

    >>> evenly = Segments(np.array([-1.0, 0.0]), np.array([0.0, 3.0]), np.array([1000.0, 3000.0]))
    >>> found = percentile_range(evenly, 99.0, symmetric=False)
    >>> round(found.lo, 2), round(found.hi, 2)
    (-0.98, 2.98)
    """
    if not segments.lo.size:
        return Extent(0.0, 0.0)
    if symmetric:
        top = quantile(segments.absolute(), percentile / 100.0)
        return Extent(-top, top)
    cut = (100.0 - percentile) / 200.0
    return Extent(min(quantile(segments, cut), 0.0), max(quantile(segments, 1.0 - cut), 0.0))


def mse_range(
    segments: Segments,
    format: IntFormat,
    symmetric: bool,
    rounding: Rounding = Rounding.HALF_EVEN,
    slack: float = 0.0,
) -> Extent:
    """The widest range whose grid errs at most 1 + `slack` times the least mean squared error.

    Candidates are 1/32 octave apart. Symmetric: one search over the larger end. Asymmetric: the two ends in turn,
    twice.

    Cost: about 80 candidate grids per end and sweep, each a pass over the segments of the tensor.
    """
    full = min_max_range(segments)
    lo, hi = min(full.lo, 0.0), max(full.hi, 0.0)
    if symmetric:
        top = max(-lo, hi)
        best = _best_share(segments, (0.0, -top), (0.0, top), format, True, rounding, slack)
        return Extent(-top * best, top * best)
    best_lo, best_hi = lo, hi
    for _ in range(_SWEEPS if lo < 0.0 < hi else 1):
        best_hi = hi * _best_share(segments, (best_lo, 0.0), (0.0, hi), format, False, rounding, slack)
        best_lo = lo * _best_share(segments, (0.0, lo), (best_hi, 0.0), format, False, rounding, slack)
    return Extent(best_lo, best_hi)


def _best_share(
    segments: Segments,
    lo: tuple[float, float],
    hi: tuple[float, float],
    format: IntFormat,
    symmetric: bool,
    rounding: Rounding,
    slack: float,
) -> float:
    """The largest share f of almost least error for ranges from lo[0] + f lo[1] to hi[0] + f hi[1]."""
    best = 1.0
    if lo[1] == hi[1] == 0.0:
        return best
    for shares in (_COARSE, _FINE):
        shares = np.minimum(best * shares, 1.0)
        steps, zeros = affine_parameters(lo[0] + shares * lo[1], hi[0] + shares * hi[1], format, symmetric)
        low, high = format.qmin - zeros, format.qmax - zeros
        if rounding in DIRECTED:
            errors = squared_error(segments, steps, low, high, rounding)
        else:
            errors = nearest_squared_error(segments, steps, low, high)
        best = float(shares[first_within(errors, slack)])
    return best
