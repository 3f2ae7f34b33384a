from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.kernels import kernel  # noqa: E402
from quantforge.frontends.torch.resize_kernels import resize  # noqa: E402
from quantforge.graph import Op  # noqa: E402
from quantforge.ops.registry import spec  # noqa: E402

NEAREST = {"mode": "nearest", "coordinate": "asymmetric", "nearest_mode": "floor"}
CASES: list[dict[str, Any]] = [
    {**NEAREST, "scales": (1.0, 1.0, 2.0, 3.0)},
    {**NEAREST, "sizes": (1, 2, 8, 15)},
    {"mode": "linear", "coordinate": "half_pixel", "scales": (1.0, 1.0, 2.0, 1.5)},
    {"mode": "linear", "coordinate": "align_corners", "sizes": (1, 2, 8, 9)},
    {"mode": "cubic", "coordinate": "half_pixel", "scales": (1.0, 1.0, 2.0, 1.5)},
    {"mode": "cubic", "coordinate": "align_corners", "sizes": (1, 2, 8, 9)},
    {"mode": "cubic", "coordinate": "half_pixel", "cubic_coeff_a": -0.5, "scales": (1.0, 1.0, 2.0, 2.0)},
    {"mode": "nearest", "coordinate": "half_pixel", "nearest_mode": "ceil", "scales": (1.0, 1.0, 2.0, 2.0)},
]


@pytest.mark.parametrize("attrs", CASES)
def test_resizing_is_that_of_the_reference_kernel(attrs: dict[str, Any]) -> None:
    data = np.random.default_rng(1).normal(size=(1, 2, 4, 6)).astype(np.float32)
    op = Op("resize", "up", ("x",), ("y",), attrs)
    (want,) = spec("resize").compute(op, [data])
    np.testing.assert_allclose(kernel(op)([torch.from_numpy(data)]).numpy(), want, atol=1e-5)


def test_forms_that_torch_does_not_have_are_left_to_the_reference_kernel() -> None:
    assert resize(Op("resize", "up", ("x",), ("y",), CASES[-1])) is None
    assert resize(Op("resize", "up", ("x",), ("y",), CASES[-2])) is None
    assert resize(Op("resize", "up", ("x",), ("y",), CASES[0])) is not None
