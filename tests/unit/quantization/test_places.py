from quantforge.numerics.formats import BFLOAT16, INT8
from quantforge.quantization.places import Places, SpecGroup
from quantforge.quantization.recipe import TensorRule


def test_calibration_sees_the_sources_of_integer_groups_once() -> None:
    integer, real = TensorRule(INT8), TensorRule(BFLOAT16)
    groups = (
        SpecGroup(("a", "b"), ("a",), integer),
        SpecGroup(("c",), ("c",), real),
        SpecGroup(("d",), ("d",), integer),
    )
    places = Places(groups, (), (), ())
    assert places.observed == ("a", "d")
    assert places.rules == {"a": integer, "d": integer}
