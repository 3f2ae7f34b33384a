from __future__ import annotations

import pytest

from quantforge.graph import Graph
from quantforge.passes.result import Note, PassResult


@pytest.mark.parametrize(
    ("note", "text"),
    [
        (Note("fold", "bn", True, "folded into c"), "fold: bn: folded into c"),
        (Note("fold", "bn", False, "c has two readers"), "fold: bn: not done: c has two readers"),
    ],
)
def test_a_note_reads_as_a_sentence(note: Note, text: str) -> None:
    assert str(note) == text


def test_a_pass_that_did_nothing_says_nothing() -> None:
    result = PassResult(Graph("g"))
    assert (result.changed, result.notes) == ((), ())
