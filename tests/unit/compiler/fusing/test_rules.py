from __future__ import annotations

from quantforge.compiler.fusing.rules import CONVOLUTIONS, RULES
from quantforge.xmodel.catalogue import catalogue


def test_rules_are_for_operators_that_xir_has() -> None:
    assert set(RULES) <= set(catalogue())
    assert all(f"{kind}-fix" in catalogue() for kind in CONVOLUTIONS)
