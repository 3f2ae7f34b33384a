from __future__ import annotations

import pytest

from quantforge.xmodel.catalogue import (
    ArgDef,
    AttrDef,
    _argument,
    _attribute,
    catalogue,
    definition,
    setting,
    with_defaults,
)
from quantforge.xmodel.model import ATTR_KINDS, Attr, Tensor, XOp
from quantforge.xmodel.operator_rules import PAD_MODES


def test_the_catalogue_is_complete_and_well_formed() -> None:
    assert len(catalogue()) == 106
    for kind, defined in catalogue().items():
        assert defined.kind == kind and not defined.custom
        for attribute in defined.attrs.values():
            assert attribute.kind in ATTR_KINDS
            if attribute.default is not None and attribute.length is not None:
                assert len(attribute.default.value) == attribute.length, (kind, attribute)


def test_some_definitions_in_full() -> None:
    conv = definition("conv2d")
    assert conv.args == {
        "input": ArgDef("input", 1, 1),
        "weights": ArgDef("weights", 1, 1),
        "bias": ArgDef("bias", 0, 1),
    }
    assert conv.attrs == {
        "kernel": AttrDef("kernel", "int32_vec", 2, None),
        "stride": AttrDef("stride", "int32_vec", 2, None),
        "dilation": AttrDef("dilation", "int32_vec", 2, Attr("int32_vec", (1, 1))),
        "pad_mode": AttrDef("pad_mode", "string", None, None),
        "pad": AttrDef("pad", "int32_vec", 4, Attr("int32_vec", (0, 0, 0, 0))),
        "group": AttrDef("group", "int32", None, Attr("int32", 1)),
    }
    fixed = definition("conv3d-fix").attrs
    assert "pad_mode" not in fixed and fixed["nonlinear"].default == Attr("string", "")
    assert fixed["hsigmoid_in"].default == Attr("int32", -128) and fixed["pad"].length == 6
    assert definition("eltwise-fix").attrs["nonlinear"].default == Attr("string", "NONE")
    assert definition("l2_normalize").attrs["epsilon"].default == Attr("double", 1e-12)
    assert definition("squeeze").attrs["axis"].default == Attr("int32_vec", ())
    assert definition("pad-fix").attrs["constant_values"].default == Attr("bytes", b"")
    assert definition("add").args["input"] == ArgDef("input", 2, None)
    assert definition("cost_volume").args["input"] == ArgDef("input", 0, None)
    assert "group" not in definition("transposed-conv2d").attrs
    assert definition("avgpool2d").attrs["count_include_pad"].default == Attr("bool", True)


def test_a_custom_operator() -> None:
    mine = definition("onnx:Sin")
    assert mine.custom and mine.args == {"input": ArgDef("input", 0, None)}
    assert [(one.name, one.kind, one.default) for one in mine.attrs.values()] == [
        ("shape", "int32_vec", None),
        ("data_type", "string", None),
    ]


def test_settings_and_defaults() -> None:
    op = XOp("c", "conv2d", Tensor("c", (1,)), attrs={"pad_mode": Attr("string", PAD_MODES[0])})
    assert setting(op, "group") == 1 and setting(op, "dilation") == (1, 1)
    assert (
        setting(op, "pad_mode") == "FLOOR" and setting(op, "kernel") is None and setting(op, "other") is None
    )
    assert set(with_defaults(op)) == {"pad_mode", "dilation", "pad", "group"}


def test_words_that_are_no_definition() -> None:
    with pytest.raises(ValueError, match="the argument 'in put!'"):
        _argument("in put!")
    with pytest.raises(ValueError, match="the attribute 'kernel'"):
        _attribute("kernel")
