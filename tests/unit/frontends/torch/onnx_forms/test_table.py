from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.onnx_forms import algebra, logic, lookup, table  # noqa: E402


def test_every_name_is_an_aten_operator_and_stands_once() -> None:
    assert [name for name in table.FORMS if not hasattr(torch.ops.aten, name)] == []
    families = (algebra.FORMS, logic.FORMS, lookup.FORMS)
    assert all(table.FORMS[name] is form for family in families for name, form in family.items())
