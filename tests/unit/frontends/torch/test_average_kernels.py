from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.kernels import kernel  # noqa: E402
from quantforge.graph import Op  # noqa: E402
from quantforge.ops.registry import spec  # noqa: E402

CASES: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("avgpool2d", (2, 3, 9, 8), {"kernel": (3, 3), "stride": (2, 1), "dpu_factor": (7, 6)}),
    ("avgpool2d", (2, 3, 9, 8), {"kernel": (3, 3), "pads": (1, 1, 1, 1), "dpu_factor": (7, 6)}),
    ("avgpool2d", (2, 3, 9, 8), {"kernel": (3, 3), "pads": (0, 1, 1, 0), "dpu_factor": (7, 6)}),
    (
        "avgpool2d",
        (1, 2, 8, 8),
        {"kernel": (3, 3), "stride": (2, 2), "ceil_mode": True, "dpu_factor": (7, 6)},
    ),
    ("avgpool2d", (2, 3, 7, 7), {"global": True, "dpu_factor": (21, 10)}),
    ("avgpool1d", (2, 3, 12), {"kernel": (5,), "stride": (2,), "pads": (2, 2), "dpu_factor": (51, 8)}),
    ("reduction-mean", (2, 3, 7, 7), {"axes": (2, 3), "keepdims": False, "dpu_factor": (21, 10)}),
]


@pytest.mark.parametrize(("kind", "shape", "attrs"), CASES)
def test_sums_of_stored_numbers_are_those_of_the_reference(
    kind: str, shape: tuple[int, ...], attrs: dict[str, Any]
) -> None:
    x = (np.random.default_rng(0).integers(-128, 128, shape) / 32).astype(np.float32)
    op = Op(kind, "op", ("x",), ("y",), attrs)
    (want,) = spec(kind).compute(op, [x])
    found = kernel(op)([torch.from_numpy(x)]).numpy()
    assert found.dtype == want.dtype
    np.testing.assert_array_equal(found, want)


def test_gradients_pass() -> None:
    x = torch.ones((1, 1, 3, 3), requires_grad=True)
    kernel(Op("avgpool2d", "op", ("x",), ("y",), {"kernel": (3, 3), "dpu_factor": (7, 6)}))(
        [x]
    ).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.full((1, 1, 3, 3), 7 / 64, np.float32))
