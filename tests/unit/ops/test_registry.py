from __future__ import annotations

import pytest

from quantforge.diagnostics import InternalError
from quantforge.ops.channels import WEIGHTED, input_channel_axis, output_channel_axis
from quantforge.ops.registry import KINDS, spec
from tests.unit.ops.single_op import make_op

ROLES = {
    "conv2d": "weighted",
    "transposed-depthwise-conv3d": "weighted",
    "inner-product": "weighted",
    "relu6": "activation",
    "hard-swish": "activation",
    "eltwise-div": "elementwise",
    "avgpool1d": "pool",
    "concat": "join",
    "gather": "move",
    "dropout": "move",
    "pad": "pad",
    "resize": "resize",
    "reduction-sum": "reduce",
    "batchnorm": "normalize",
    "softmax": "nonlinear",
    "opaque": "float",
    "argmax": "float",
}


@pytest.mark.parametrize("kind", ROLES)
def test_roles(kind: str) -> None:
    assert spec(kind).traits.role == ROLES[kind]


def test_every_row_is_under_its_kind() -> None:
    assert all(row.kind == kind for kind, row in KINDS.items())
    assert len(KINDS) == 84


def test_weighted_kinds_name_their_weight_axes() -> None:
    weighted = {kind for kind, row in KINDS.items() if row.traits.role == "weighted"}
    assert weighted == WEIGHTED
    assert all((KINDS[kind].traits.weight_axes is not None) == (kind in weighted) for kind in KINDS)


@pytest.mark.parametrize("kind", sorted(WEIGHTED))
def test_weight_axes_agree_with_the_channels(kind: str) -> None:
    axes, layout = KINDS[kind].traits.weight_axes, "IOHW" if "transposed" in kind else "OIHW"
    op = make_op(kind, 2, weight_layout=layout)
    assert axes is not None
    assert tuple(layout.index(letter) for letter in axes) == (output_channel_axis(op), input_channel_axis(op))


def test_an_unknown_kind_is_an_internal_error() -> None:
    with pytest.raises(InternalError) as error:
        spec("conv4d")
    assert str(error.value).startswith(
        "Q0403 conv4d: found an unknown kind of operator; expected a kind of the table"
    )
