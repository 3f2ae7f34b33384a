from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.fake_quantize import FakeQuantizer, round_tensor  # noqa: E402
from quantforge.frontends.torch.training import tqt  # noqa: E402
from quantforge.frontends.torch.training.tqt import Grid, fake_quantize, scale_of, threshold_of  # noqa: E402
from quantforge.graph import QuantSpec  # noqa: E402
from quantforge.numerics.formats import IntFormat  # noqa: E402
from quantforge.numerics.rounding import Rounding  # noqa: E402

CASES = [
    (bits, mode, relu)
    for bits in (4, 8)
    for mode in (Rounding.HALF_UP, Rounding.HALF_AWAY)
    for relu in (False, True)
]


def values(count: int) -> torch.Tensor:
    """Normal numbers and every tie of the grid at position 5."""
    x = torch.randn(count, generator=torch.Generator().manual_seed(0)) * 3
    x[: count // 2] = torch.arange(count // 2) / 64 - count / 256
    return x


@pytest.mark.parametrize("count", [400, 20_000])
@pytest.mark.parametrize(("bits", "mode", "relu"), CASES)
def test_forward_is_the_quantizer_of_the_deployed_module(
    bits: int, mode: Rounding, relu: bool, count: int
) -> None:
    x, threshold = values(count), torch.tensor([threshold_of(5, bits)])
    spec = QuantSpec.power_of_two(IntFormat(bits), 5, mode)
    want = FakeQuantizer(spec)(torch.relu(x) if relu else x)
    assert torch.equal(fake_quantize(x, threshold, Grid(bits, mode, relu)), want)


@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize(("bits", "mode", "relu"), CASES)
def test_gradients_are_those_of_the_paper(
    bits: int, mode: Rounding, relu: bool, swept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tqt, "_SMALL", 0 if swept else 1 << 60)
    x = values(3000).requires_grad_()
    threshold = torch.tensor([threshold_of(5, bits)], requires_grad=True)
    weights = torch.randn(3000, generator=torch.Generator().manual_seed(1))
    (fake_quantize(x, threshold, Grid(bits, mode, relu)) * weights).sum().backward()
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    s = (torch.relu(x) if relu else x).detach().double() * 32
    r = round_tensor(s, mode)
    inside = (r >= low) & (r <= high)
    slopes = torch.where(inside, r - s, torch.where(r < low, float(low), float(high)))
    want = (weights * slopes / 32 * math.log(2)).sum()
    assert threshold.grad is not None and x.grad is not None
    torch.testing.assert_close(threshold.grad[0].double(), want, rtol=1e-3, atol=1e-3)
    passed = inside & (x > 0) if relu else inside
    assert torch.equal(x.grad, torch.where(passed, weights, 0.0))


def test_images_in_any_memory_order_give_the_same() -> None:
    x, threshold = values(8192).reshape(2, 8, 16, 32), torch.tensor([1.0])
    grid = Grid(8, Rounding.HALF_UP)
    wanted = fake_quantize(x, threshold, grid)
    for form in (x.to(memory_format=torch.channels_last), x.transpose(2, 3).contiguous().transpose(2, 3)):
        again = form.detach().clone(memory_format=torch.preserve_format).requires_grad_()
        found = fake_quantize(again, threshold, grid)
        assert torch.equal(found, wanted) and found.stride() == again.stride()
        found.backward(wanted)
        assert again.grad is not None
        plain = x.clone().requires_grad_()
        fake_quantize(plain, threshold, grid).backward(wanted)
        assert torch.equal(again.grad, plain.grad)


def test_low_precision_is_computed_in_float32() -> None:
    x = values(5000).bfloat16()
    found = fake_quantize(x, torch.tensor([1.0]), Grid(8, Rounding.HALF_UP))
    assert found.dtype == torch.bfloat16
    assert torch.equal(
        found.float(), fake_quantize(x.float(), torch.tensor([1.0]), Grid(8, Rounding.HALF_UP))
    )


def test_other_tensors_pass_and_nan_stays() -> None:
    grid, threshold = Grid(8, Rounding.HALF_UP), torch.tensor([1.0])
    numbers = torch.arange(3)
    assert fake_quantize(numbers, threshold, grid) is numbers
    wild = torch.tensor([math.nan, math.inf, -math.inf])
    found = fake_quantize(wild, threshold, grid).tolist()
    assert math.isnan(found[0]) and found[1:] == [127 / 64, -2.0]


@pytest.mark.parametrize("place", range(-20, 30))
def test_scales_are_exact_and_thresholds_lie_between(place: int) -> None:
    threshold = torch.tensor([threshold_of(place, 8)])
    assert scale_of(threshold, 8).item() == 2.0**-place
    for nudge in (-0.4, 0.4):
        assert scale_of(threshold + nudge, 8).item() == 2.0**-place
