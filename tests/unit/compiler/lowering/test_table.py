from __future__ import annotations

from quantforge.compiler.lowering.table import RULES
from quantforge.ops.registry import KINDS

# XIR has no operator for these; they are kept as ONNX nodes.
NOT_IN_XIR = {
    "abs", "dpu-softmax", "eltwise-pow", "erf", "expand", "fake-quantize", "layernorm", "log", "log-softmax",
    "reciprocal", "reduction-min", "softplus", "sqrt", "tile", "where",
}  # fmt: skip


def test_every_kind_has_a_rule_or_is_known_to_have_none() -> None:
    assert set(KINDS) - set(RULES) == NOT_IN_XIR
    assert set(RULES) <= set(KINDS)
