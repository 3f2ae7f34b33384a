from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.fake_quantize import FakeQuantizer  # noqa: E402
from quantforge.frontends.torch.program import Program  # noqa: E402
from quantforge.frontends.torch.tuning.network import constants_of  # noqa: E402
from quantforge.frontends.torch.tuning.straight import (  # noqa: E402
    StraightProgram,
    StraightQuantizer,
    tunable,
    with_constants,
)
from quantforge.graph import QuantSpec  # noqa: E402
from quantforge.numerics.formats import BFLOAT16, INT8, UINT8, IntFormat  # noqa: E402
from quantforge.numerics.rounding import Rounding  # noqa: E402
from tests.unit.frontends.torch.tuning.nets import CPU, images, mixed  # noqa: E402

SPECS = [
    QuantSpec.power_of_two(INT8, 4, Rounding.HALF_UP),
    QuantSpec.power_of_two(IntFormat(4), 1, Rounding.HALF_AWAY),
    QuantSpec.power_of_two(INT8, 4, Rounding.HALF_EVEN),
    QuantSpec(UINT8, (0.07,), (12,)),
    QuantSpec(INT8, (0.02, 0.1, 0.3), (0, 0, 0), 1),
    QuantSpec(IntFormat(8, narrow=True), (0.0625,), (0,)),
    QuantSpec(BFLOAT16),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("rows", [3, 3000])
def test_the_forward_pass_is_that_of_the_module(spec: QuantSpec, rows: int) -> None:
    x = torch.randn(rows, 3, generator=torch.Generator().manual_seed(0)) * 8
    found = StraightQuantizer(spec)(x.clone().requires_grad_())
    assert torch.equal(found.detach(), FakeQuantizer(spec)(x))
    assert torch.equal(StraightQuantizer(spec)(x), FakeQuantizer(spec)(x))


@pytest.mark.parametrize("spec", SPECS[:-1], ids=str)
def test_gradients_pass_where_nothing_saturates(spec: QuantSpec) -> None:
    x = (torch.randn(400, 3, generator=torch.Generator().manual_seed(0)) * 20).requires_grad_()
    y = StraightQuantizer(spec)(x)
    y.sum().backward()
    form: Any = spec.format
    scale, zero = np.float32(spec.scale), np.float32(spec.zero_point)
    steps = x.detach().numpy() / scale
    inside = (steps > form.qmin - zero - 0.5) & (steps < form.qmax - zero + 0.5)
    np.testing.assert_array_equal(x.grad.numpy(), inside.astype(np.float32))
    assert 0 < inside.mean() < 1


def test_the_program_is_the_program() -> None:
    graph = mixed(8).graph
    assert graph is not None
    plain, straight = Program(graph, graph.outputs), StraightProgram(graph, graph.outputs)
    constants = constants_of(plain, CPU)
    want, found = (p.run({"x": images()}, constants)[graph.outputs[0]] for p in (plain, straight))
    assert torch.equal(found, want)


def test_a_tunable_constant_begins_as_it_is_stored() -> None:
    graph = mixed().graph
    assert graph is not None
    for name, unit in (("stem.weight", None), ("linear.bias", 0.5)):
        item, value = tunable(graph, name, unit, CPU), graph.value(name)
        assert value.const is not None and value.quant is not None
        np.testing.assert_array_equal(item.array(), FakeQuantizer(value.quant)(torch.from_numpy(value.const)))
        scale = value.quant.scale[0] if unit is None else unit
        np.testing.assert_allclose(item.latent.detach() * scale, value.const, rtol=1e-6)
        item.stored().sum().backward()
        np.testing.assert_allclose(item.latent.grad, np.full(value.const.shape, scale))
        other = with_constants(graph, {name: item.array()})
        assert other.value(name).quant == value.quant
        assert other.value(name).const is not value.const
