from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from quantforge.compiler.memory import Span, aligned, pack

SPANS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 12), st.integers(0, 6)), max_size=25).map(
    lambda rows: [Span(f"s{i}", size, start, start + length) for i, (size, start, length) in enumerate(rows)]
)


@given(spans=SPANS, align=st.sampled_from([1, 4, 16]), capacity=st.none() | st.integers(1, 200))
def test_what_lives_together_does_not_overlap(spans: list[Span], align: int, capacity: int | None) -> None:
    found = pack(spans, align, capacity)
    by_name = {span.name: span for span in spans}
    assert set(found.offsets) | set(found.left_out) == set(by_name)
    assert all(offset % align == 0 for offset in found.offsets.values())
    for a, b in combinations(found.offsets, 2):
        if by_name[a].meets(by_name[b]):
            low, high = sorted((a, b), key=lambda name: found.offsets[name])
            assert found.offsets[low] + by_name[low].size <= found.offsets[high]
    ends = [offset + by_name[name].size for name, offset in found.offsets.items()]
    assert found.size == max(ends, default=0)
    assert capacity is None or found.size <= capacity
    assert capacity is not None or not found.left_out


@given(spans=SPANS)
def test_packing_is_at_least_what_lives_at_once(spans: list[Span]) -> None:
    peak = max((sum(s.size for s in spans if s.start <= step <= s.end) for step in range(20)), default=0)
    assert peak <= pack(spans).size <= sum(span.size for span in spans)


def test_a_chain_reuses_its_places() -> None:
    chain = [Span(f"s{i}", 10, i, i + 1) for i in range(10)]
    assert pack(chain).size == 20
    assert aligned(0, 8) == 0
