from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.options import (
    check_training,
    checked_mode,
    checked_width,
    is_recurrent,
    not_built,
    refuse_name,
)
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


def test_arguments_of_training_name_the_class_that_trains() -> None:
    check_training(False, False)
    with pytest.raises(
        UnsupportedError, match=r"Q1420 option mix_bit .*QatProcessor\(model, inputs, mix_bit=True\)"
    ):
        check_training(True, False)
    with pytest.raises(UnsupportedError, match=r"Q1420 option qat_proc .*QatProcessor\(model, inputs\)"):
        check_training(False, True)
    assert not_built("x", "y", "z").diagnostic.code == "Q1420"


def test_deployments() -> None:
    asked = [is_recurrent(*pair) for pair in ((False, "CV"), (True, "CV"), (False, "NLP"), (True, "NLP"))]
    assert asked == [False, True, True, True]
    with pytest.raises(InputError, match="Q1421 app_deploy: found 'RNN'"):
        is_recurrent(False, "RNN")


def test_names_that_are_not_built_answer_and_others_do_not_exist() -> None:
    with pytest.raises(UnsupportedError, match=r"Q1420 pytorch_nndct\.SparsePruner"):
        refuse_name("pytorch_nndct", "SparsePruner")
    with pytest.raises(AttributeError):
        refuse_name("pytorch_nndct", "__wrapped__")
