import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import Graph, QuantSpec, Value
from quantforge.numerics.formats import BFLOAT16, UINT8, IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.quantization.plan import Plan, apply_plan, plan_of

SPECS = {
    "a/b:0": QuantSpec.power_of_two(IntFormat(8), -3),
    "w": QuantSpec(IntFormat(8), (0.1, 0.30000000000000004), (0, 0), 0),
    "x": QuantSpec(UINT8, (1 / 3,), (17,)),
    "h": QuantSpec(BFLOAT16),
    "r": QuantSpec.power_of_two(IntFormat(4), 2, Rounding.HALF_UP),
}


def test_reads_back_equal():
    plan = Plan("mine", SPECS)
    assert Plan.from_json(plan.to_json()) == plan


def test_applies_to_a_graph_and_is_found_there_again():
    graph = Graph("g", [Value(name) for name in SPECS])
    plan = Plan("mine", SPECS)
    assert plan_of(apply_plan(graph, plan), "mine") == plan
    assert plan_of(graph, "mine").tensors == {}


def test_a_foreign_plan_is_refused():
    with pytest.raises(InputError, match=r"Q0315 .*no such value"):
        apply_plan(Graph("g"), Plan("mine", SPECS))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 9, "recipe": "a", "tensors": {}}',
        '{"version": 1, "recipe": "a", "tensors": {"x": {"format": "int99"}}}',
    ],
)
def test_a_broken_plan_is_refused_with_a_code(text: str):
    with pytest.raises(InputError, match="Q03"):
        Plan.from_json(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[1", "the JSON of a plan"),
        ('{"version": 2}', "found version 2; expected version 1"),
        ('{"version": 1, "recipe": "r"}', "KeyError"),
        ('{"version": 1, "recipe": "r", "tensors": {"x": {"format": "int8"}}}', "KeyError"),
        ('{"version": 1, "recipe": "r", "tensors": [1]}', "AttributeError"),
    ],
)
def test_a_text_that_is_no_plan_is_refused(text: str, found: str):
    with pytest.raises(InputError, match=r"Q0314 mine\.json") as caught:
        Plan.from_json(text, "mine.json")
    assert found in str(caught.value)
