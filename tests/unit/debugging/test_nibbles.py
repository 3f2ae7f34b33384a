from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quantforge.debugging.nibbles import packed, unpacked


@given(st.lists(st.integers(-8, 7), min_size=1, max_size=33))
def test_the_first_of_a_pair_is_in_the_upper_half(numbers: list[int]) -> None:
    data = packed(np.array(numbers, np.int8))
    oracle = [
        ((first & 15) << 4) | (second & 15)
        for first, second in zip(numbers[0::2], [*numbers[1::2], 0], strict=False)
    ]
    assert data.tolist() == oracle
    assert unpacked(data, len(numbers)).tolist() == numbers
