from __future__ import annotations

from dataclasses import astuple

import pytest

from quantforge.compiler.cost_constants import (
    TASKS,
    load_constants,
    load_host,
    load_totals,
    measured_families,
)


@pytest.mark.parametrize("family", ["DPUCZDX8G", "DPUCVDX8G", "DPUCVDX8H"])
def test_constants_are_positive_and_say_where_they_come_from(family: str) -> None:
    *rates, fixed, source = astuple(load_constants(family))
    assert min(rates) > 0 and fixed >= 0 and len(source) > 20
    assert family in measured_families()


def test_a_family_without_measurements_takes_those_of_the_edge() -> None:
    assert "DPUCAHX8L" not in measured_families()
    assert load_constants("DPUCAHX8L") == load_constants("DPUCZDX8G")


def test_host_and_totals_are_there_where_figures_were_published() -> None:
    for family in ("DPUCZDX8G", "DPUCVDX8G"):
        host, totals = load_host(family), load_totals(family)
        assert host is not None and host.call >= 0 and totals is not None and totals.cycles >= 1
    totals = load_totals("DPUCV2DX8G")
    assert totals is not None and len({totals.per_megapixel(task) for task in TASKS}) == 3
    assert load_host("DPUCAHX8H") is None and load_totals("DPUCAHX8H") is None
