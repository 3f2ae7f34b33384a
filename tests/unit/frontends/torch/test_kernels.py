"""Every kernel against the reference kernel of its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import UnsupportedError  # noqa: E402
from quantforge.frontends.torch.kernels import kernel  # noqa: E402
from quantforge.graph import Op  # noqa: E402
from quantforge.ops.registry import spec  # noqa: E402

WINDOW: dict[str, Any] = {"stride": (2, 1), "dilation": (1, 1), "pads": (1, 1, 1, 1), "layout": "NCHW"}
CONV = {**WINDOW, "kernel": (3, 3), "group": 1, "weight_layout": "OIHW"}
BACK = {**WINDOW, "kernel": (3, 3), "group": 1, "weight_layout": "IOHW", "output_padding": (1, 0)}
POOL = {**WINDOW, "kernel": (3, 2), "ceil_mode": False, "global": False}
IMAGE, PAIR = (2, 4, 7, 6), ((2, 4, 7, 6), (2, 4, 7, 6))
CASES: list[tuple[str, tuple[tuple[int, ...], ...], dict[str, Any]]] = [
    ("conv2d", (IMAGE, (3, 4, 3, 3), (3,)), CONV),
    ("conv2d", (IMAGE, (3, 4, 3, 3)), {**CONV, "pads": (0, 1, 2, 1)}),
    ("depthwise-conv2d", (IMAGE, (4, 1, 3, 3)), {**CONV, "group": 4}),
    ("transposed-conv2d", (IMAGE, (4, 3, 3, 3), (3,)), BACK),
    ("maxpool2d", (IMAGE,), POOL),
    ("avgpool2d", (IMAGE,), {**POOL, "count_include_pad": True}),
    ("avgpool2d", (IMAGE,), {**POOL, "count_include_pad": False}),
    ("avgpool2d", (IMAGE,), {"global": True, "kernel": (), "layout": "NCHW"}),
    ("maxpool2d", (IMAGE,), {"global": True, "kernel": (), "layout": "NCHW"}),
    ("inner-product", ((2, 5), (3, 5), (3,)), {"weight_layout": "OI"}),
    ("inner-product", ((2, 4, 5), (5, 3), (3,)), {"weight_layout": "IO"}),
    ("matmul", ((2, 4, 5), (2, 5, 3)), {}),
    *((f"eltwise-{word}", PAIR, {}) for word in ("add", "sub", "mul", "div", "min", "max")),
    *((kind, (IMAGE,), {}) for kind in ("relu", "relu6", "sigmoid", "hard-swish", "swish", "tanh", "selu")),
    *(
        (kind, (IMAGE,), {})
        for kind in ("mish", "softplus", "exp", "abs", "neg", "reciprocal", "erf", "identity")
    ),
    ("clip", (IMAGE,), {"min": -0.5}),
    ("clip", (IMAGE,), {"min": -0.5, "max": 0.25}),
    ("leaky-relu", (IMAGE,), {"alpha": 0.1}),
    ("prelu", (IMAGE, (4, 1, 1)), {}),
    ("hard-sigmoid", (IMAGE,), {"alpha": 0.2, "beta": 0.5}),
    ("hard-sigmoid", (IMAGE,), {"alpha": 1 / 6, "beta": 0.5}),
    ("gelu", (IMAGE,), {"approximate": "tanh"}),
    ("elu", (IMAGE,), {"alpha": 0.5}),
    ("softmax", (IMAGE,), {"axis": 1}),
    ("log-softmax", (IMAGE,), {"axis": -1}),
    ("layernorm", (IMAGE, (7, 6), (7, 6)), {"axis": 2, "epsilon": 1e-3}),
    ("groupnorm", (IMAGE, (4,), (4,)), {"groups": 2, "epsilon": 1e-5}),
    ("instancenorm", (IMAGE, (4,), (4,)), {"epsilon": 1e-5}),
    ("l2-normalize", (IMAGE,), {"axis": 1, "p": 2}),
    *(
        (f"reduction-{word}", (IMAGE,), {"axes": (1, 3), "keepdims": False})
        for word in ("mean", "sum", "max", "min")
    ),
    ("reduction-mean", (IMAGE,), {"axes": (), "keepdims": True}),
    ("argmax", (IMAGE,), {"axis": 1, "keepdims": False}),
]


@pytest.mark.parametrize(("kind", "shapes", "attrs"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_a_kernel_is_the_reference_kernel(kind: str, shapes: Any, attrs: Any) -> None:
    rng = np.random.default_rng(4)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    op = Op(kind, "op", tuple(f"x{i}" for i in range(len(arrays))), ("y",), attrs)
    (want,) = spec(kind).compute(op, arrays)
    found = kernel(op)([torch.from_numpy(array) for array in arrays]).numpy()
    assert found.shape == want.shape and found.dtype == want.dtype
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)


def test_attributes_that_torch_cannot_compute_are_refused() -> None:
    for attrs in ({**POOL, "pads": (0, 1, 1, 1)}, {**POOL, "layout": "NHWC"}):
        with pytest.raises(UnsupportedError, match="Q1405"):
            kernel(Op("avgpool2d", "pool", ("x",), ("y",), attrs))
