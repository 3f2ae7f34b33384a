from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch.nn import functional  # noqa: E402

from tests.unit.frontends.torch.calls import random  # noqa: E402
from tests.unit.frontends.torch.onnx_calls import exported  # noqa: E402


def test_windows_of_different_sizes() -> None:
    calls = [
        lambda m, x: functional.adaptive_avg_pool2d(x, (3, 4)),
        lambda m, x: functional.adaptive_avg_pool1d(x.flatten(2), 5),
        lambda m, x: functional.adaptive_max_pool2d(x, (3, 4)),
        lambda m, x: functional.avg_pool2d(x, 3, 2, 1, divisor_override=5),
    ]
    found = exported(calls, random(2, 3, 7, 6))
    assert {"adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d"} <= found


def test_windows_as_columns() -> None:
    calls = [
        lambda m, x: functional.unfold(x, 3),
        lambda m, x: functional.unfold(x, (2, 3), dilation=(1, 2), padding=(1, 0), stride=(2, 1)),
    ]
    exported(calls, random(2, 3, 7, 8))


def test_samples_at_coordinates() -> None:
    calls = [
        lambda m, x, g: functional.grid_sample(x, g, align_corners=False),
        lambda m, x, g: functional.grid_sample(x, g, "nearest", "border", align_corners=True),
        lambda m, x, g: functional.grid_sample(x, g, "bilinear", "reflection", align_corners=False),
    ]
    assert exported(calls, random(2, 3, 5, 6), random(2, 4, 4, 2, seed=1).clamp(-1.2, 1.2)) == {
        "grid_sampler_2d"
    }
