from __future__ import annotations

import numpy as np

from tests.compiled_xmodels import single
from tests.unit.runtime.lowering.graphs import lowered_nodes

X = np.zeros((1, 4, 4, 4), np.int8)


def test_nearest_copies_and_bilinear_blends() -> None:
    attrs = {"scale": (2.0, 2.0)}
    assert (
        lowered_nodes(single("upsample-fix", [X], [4], (1, 8, 8, 4), 4, mode="NEAREST", **attrs))
        == ["Gather"] * 2
    )
    nodes = lowered_nodes(single("upsample-fix", [X], [4], (1, 8, 8, 4), 4, mode="BILINEAR", **attrs))
    assert nodes.count("Gather") == 4
    assert nodes[-1] == "Cast"


def test_a_change_of_fix_point_is_a_table() -> None:
    nodes = lowered_nodes(single("downsample-fix", [X], [4], (1, 2, 2, 4), 3, scale=(0.5, 0.5)))
    assert nodes == ["Gather", "Gather", "Cast", "Gather"]
