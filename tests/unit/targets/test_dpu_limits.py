from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.diagnostics import InputError
from quantforge.targets.dpu_limits import allows, limits_text, parse_limits

RANGES = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 40)).map(lambda p: (p[0], p[0] + p[1])), min_size=1
)


@given(RANGES.map(tuple), st.integers(0, 350))
def test_text_and_ranges_say_the_same(ranges: tuple[tuple[int, int], ...], value: int) -> None:
    read = parse_limits(limits_text(ranges))
    assert read == ranges
    assert allows(read, value) == (value in {n for low, high in ranges for n in range(low, high + 1)})


def test_spaces_do_not_matter() -> None:
    assert parse_limits(" 1-3 , 7") == ((1, 3), (7, 7))


@pytest.mark.parametrize("text", ["", "1-", "-3", "1;2", "a", "3-1", "1,,2", "1.5", "1-2-3"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="Q1006") as caught:
        parse_limits(text, "conv.kernel")
    assert caught.value.diagnostic.where == "conv.kernel"
