"""Every sample is in one part, whatever the batches, and too few are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.calibration.data import DataSource, open_data
from quantforge.calibration.samples import InputInfo
from quantforge.calibration.split import DataPart, held_out_samples, ordinal, split
from quantforge.diagnostics import InputError


def source(samples: int, batch: int, fixed: bool = False) -> DataSource:
    info = InputInfo("x", "float32", (batch if fixed else "n", 1))
    return open_data(np.arange(samples, dtype=np.float32)[:, None], [info], batch_size=batch)


def seen(part: DataPart) -> list[int]:
    return [int(row[0]) for feeds in part for row in feeds["x"]]


@given(samples=st.integers(4, 40), batch=st.integers(1, 9), every=st.integers(2, 4))
def test_each_sample_is_in_one_part(samples: int, batch: int, every: int) -> None:
    kept, judged = split(source(samples, batch), every)
    assert seen(judged) == [i for i in range(samples) if i % every == every - 1]
    assert sorted(seen(kept) + seen(judged)) == list(range(samples))
    assert (kept.samples, judged.samples) == (len(seen(kept)), len(seen(judged)))


def test_whole_batches_are_held_out_where_their_size_is_fixed() -> None:
    whole = source(12, 2, fixed=True)
    kept, judged = split(whole, 3)
    assert seen(judged) == [4, 5, 10, 11] and seen(kept) == [0, 1, 2, 3, 6, 7, 8, 9]
    assert held_out_samples(whole, 3, 12).sum() == 4 and not kept.divisible
    assert kept.batches is None and kept.notices == ()


def test_parts_say_what_they_are() -> None:
    kept, judged = split(source(8, 4), 4)
    assert judged.description.endswith("every 4th sample held out") and judged.batches == 2
    assert "without" in kept.description and kept.divisible and kept.batch_size == 4


@pytest.mark.parametrize(("samples", "every"), [(3, 4), (9, 1)])
def test_too_few_to_hold_out(samples: int, every: int) -> None:
    with pytest.raises(InputError, match="Q0525"):
        split(source(samples, 2), every)


def test_ordinals() -> None:
    assert [ordinal(i) for i in (1, 2, 3, 4, 12, 21)] == ["1st", "2nd", "3rd", "4th", "12th", "21st"]
