from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.blocks.arithmetic import stored  # noqa: E402
from quantforge.numerics.block_float import parse_block_format  # noqa: E402
from quantforge.ops.fake_quantize import named_format  # noqa: E402
from quantforge.ops.fake_quantize import stored as defined  # noqa: E402
from tests.property.test_block_float import NAMES, blocks  # noqa: E402

ALL = [*NAMES, "bfloat16", "float16"]


@pytest.mark.parametrize("name", ALL)
def test_torch_equals_the_definition_bit_for_bit(name: str) -> None:
    form = named_format(name)

    @settings(deadline=None, max_examples=40)
    @given(blocks(getattr(form, "block_size", 4) + 3))
    def check(numbers: list[float]) -> None:
        x = np.array(numbers, np.float32)
        found, want = stored(torch.from_numpy(x), form, 0).numpy(), defined(x, form, 0)
        np.testing.assert_array_equal(found, want)
        real = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(found[real]), np.signbit(want[real]))

    check()


@pytest.mark.parametrize("name", ["mx6", "mx9", "bfp16", "mxint8", "mxfp8_e4m3", "mxfp4"])
def test_any_axis_layout_and_dtype(name: str) -> None:
    form = parse_block_format(name)
    x = torch.randn(3, 37, 2, 5, generator=torch.Generator().manual_seed(0))
    for axis in (-3, -2, -1, 0, 1, 2, 3):
        for tensor in (x, x.transpose(1, 3), x.half(), x.double(), x.to(memory_format=torch.channels_last)):
            want = defined(tensor.contiguous().numpy(), form, axis)
            found = stored(tensor, form, axis)
            assert found.dtype == tensor.dtype
            np.testing.assert_array_equal(found.numpy(), want)


def test_what_holds_no_reals_passes() -> None:
    form = parse_block_format("mx6")
    for tensor in (torch.arange(3), torch.zeros(0, 4)):
        assert stored(tensor, form, 0) is tensor


def test_gradients_pass_straight_through() -> None:
    x = torch.randn(4, 20, requires_grad=True)
    weights = torch.randn(4, 20)
    y = stored(x, parse_block_format("mx4"), -1)
    np.testing.assert_array_equal(y.detach(), stored(x.detach(), parse_block_format("mx4"), -1))
    (y * weights).sum().backward()
    assert torch.equal(x.grad, weights)
