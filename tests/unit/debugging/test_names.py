"""Names of tensors as names of files."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from quantforge.debugging.names import graph_runner_file, layer_file, output_file, without_affixes


@given(st.text())
def test_files_of_layers_hold_letters_digits_and_underscores_only(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_]*", layer_file(name))


@given(st.text())
def test_files_of_the_graph_runner_lie_in_their_folder(name: str) -> None:
    assert not set("/():[]{}\\?%*|\"'><;=") & set(graph_runner_file(name))


def test_what_passes_added_is_left_out() -> None:
    assert without_affixes("quant_dense(TransferMatMulToConv2d)_fix(MoveReshape)_") == "quant_dense_fix_"
    assert output_file("a/b(X)_fix", 3) == "3.a_b_fix.bin"
