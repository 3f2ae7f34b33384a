from __future__ import annotations

import numpy as np

from quantforge.ops.opspec import OpSpec, Traits, no_integer_form, no_macs
from tests.unit.ops.single_op import make_op


def test_defaults_are_float_only_and_free() -> None:
    row = OpSpec(
        "x", Traits("float"), lambda op, inputs: [(None, "float32")], lambda op, arrays: [np.zeros(1)]
    )
    assert row.integer is no_integer_form and row.macs is no_macs
    assert row.integer(make_op("x"), [np.zeros(1)]) is None
    assert row.macs(make_op("x"), [(1, 2)], [(1, 2)]) == 0
    assert row.traits.weight_axes is None
