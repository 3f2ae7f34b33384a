"""Two stages compared, as text and as JSON."""

from __future__ import annotations

import json

from quantforge.debugging.difference import ElementDifference
from quantforge.debugging.explain import Explanation
from quantforge.debugging.walk import StageComparison, TensorComparison
from quantforge.reporting.stages import SHOWN, element_words, stages_json, stages_text

FIRST = ElementDifference((0, 3), 12, 13, 1.0, 12.5)
SAME = TensorComparison("input", ("input", "input_fix"), True, 10, 0, 0.0, None, Explanation(0, 0, 0, 0))
OTHER = TensorComparison(
    "conv", ("conv", "conv_fix"), True, 40, 5, 2.0, FIRST, Explanation(3, 3, 0, 0, None, FIRST)
)
REAL = TensorComparison(
    "soft", ("soft", "soft"), False, 4, 1, float("inf"), ElementDifference((0, 1), 0.25, float("inf"), None)
)


def comparison(*tensors: TensorComparison, unmatched: tuple[str, ...] = ()) -> StageComparison:
    return StageComparison("int8.onnx", "net.xmodel@run", 2, tensors, unmatched)


def test_equal_stages_are_said_to_be() -> None:
    text = stages_text(comparison(SAME))
    assert text == "int8.onnx and net.xmodel@run: 2 samples, 1 tensors\nequal: no element differs\n"
    assert "input " in stages_text(comparison(SAME), full=True)


def test_the_first_tensor_and_why() -> None:
    text = stages_text(comparison(SAME, OTHER, REAL, unmatched=("a", "b", "c", "d", "e", "f")))
    assert "6 tensors only in int8.onnx: a, b, c, d, e, ...\n" in text
    assert "first tensor that differs: conv\n  conv in int8.onnx, conv_fix in net.xmodel@run\n" in text
    assert "element [0, 3]: 12 in int8.onnx, 13 in net.xmodel@run, 1 step apart; exactly 12.5\n" in text
    assert "5 of 40 elements differ, by at most 2 steps\n" in text
    assert (
        "3 elements differ, in 1 tensors\n  3 lie on a tie" in text
        and "0 are unexplained\n  such as: conv" in text
    )
    assert "soft" in text.split("elements differ")[-1] and "input" not in text.split("at most")[-1]


def test_what_is_unexplained_is_shown_first() -> None:
    row = TensorComparison("conv", ("c", "c"), True, 4, 1, 1.0, FIRST, Explanation(2, 1, 0, 1, FIRST, FIRST))
    assert "first of those: conv, element [0, 3]" in stages_text(comparison(row))


def test_a_long_list_is_cut() -> None:
    many = comparison(*(OTHER for _ in range(SHOWN + 2)))
    assert "and 2 more; --full lists all" in stages_text(many)
    assert "more" not in stages_text(many, full=True)


def test_json_has_everything_and_only_json_s_numbers() -> None:
    record = json.loads(stages_json(comparison(SAME, OTHER, REAL)), parse_constant=lambda text: 1 / 0)
    assert (record["equal"], record["explained"]) == (False, False)
    assert record["tensors"][1]["alone"]["ties"] == 3 and record["tensors"][2]["largest"] is None


def test_real_numbers_have_no_steps() -> None:
    words = element_words(ElementDifference((2,), 0.5, 0.25, None), ("a", "b"))
    assert words == "element [2]: 0.5 in a, 0.25 in b"
