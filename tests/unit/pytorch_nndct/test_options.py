from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.options import check_defaults, checked_mode, checked_width, not_built, refuse_name
from quantforge.diagnostics import InputError, UnsupportedError


def test_modes_by_name_and_number() -> None:
    assert [checked_mode(mode) for mode in ("float", "calib", "test", 1, 2)] == [
        "float", "calib", "test", "calib", "test"
    ]  # fmt: skip
    for mode in ("Calib", 3, None, 0):
        with pytest.raises(InputError, match="Q1421 quant_mode"):
            checked_mode(mode)


def test_widths() -> None:
    assert [checked_width(bits) for bits in (None, 4, 16)] == [8, 4, 16]
    for bits in (1, 17, "8", True, 8.0):
        with pytest.raises(InputError, match="Q1421 bitwidth"):
            checked_width(bits)


def test_options_that_are_not_built_answer_unless_they_are_at_their_default() -> None:
    check_defaults(dynamo=False, mix_bit=False, native_onnx=True)
    with pytest.raises(UnsupportedError, match="Q1420 option dynamo: found True"):
        check_defaults(dynamo=True)
    assert not_built("x", "y", "z").diagnostic.code == "Q1420"


def test_names_that_are_not_built_answer_and_others_do_not_exist() -> None:
    with pytest.raises(UnsupportedError, match=r"Q1420 pytorch_nndct\.SparsePruner"):
        refuse_name("pytorch_nndct", "SparsePruner")
    with pytest.raises(AttributeError):
        refuse_name("pytorch_nndct", "__wrapped__")
