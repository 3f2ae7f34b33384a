from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.kinds import _RULES, is_known, rule_of  # noqa: E402

aten = torch.ops.aten


def test_every_row_is_an_operator_of_torch() -> None:
    assert [name for name in _RULES if not hasattr(aten, name)] == []


def test_overloads_share_a_rule_and_strangers_have_none() -> None:
    assert rule_of(aten.add.Tensor) is rule_of(aten.add.Scalar) is not None
    assert is_known(aten.conv2d.default) and is_known(aten.conv2d.padding)
    assert not is_known(aten.sort.default) and not is_known(len)
    assert rule_of(torch.ops.prims.convert_element_type.default) is None
