"""Figures of two networks over the same samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.judge import judge
from tests.unit.quantization.judged_nets import DATA, classifier, source


def test_a_network_beside_itself_loses_nothing() -> None:
    figures = judge(Interpreter(), classifier(), classifier(), source())
    assert (figures.samples, figures.sqnr_db, figures.agreement, figures.drop) == (24, np.inf, 1.0, 0.0)


def test_figures_are_those_of_the_outputs() -> None:
    graph, other = classifier(), classifier()
    other.set_value(replace(other.value("l3.b"), const=other.value("l3.b").const[::-1] + 1.0))  # type: ignore[index]
    session = Interpreter().session(graph, ["l3.out"])
    y = np.array(session.run({"x": DATA})["l3.out"])
    z = np.array(Interpreter().session(other, ["l3.out"]).run({"x": DATA})["l3.out"])
    labels = y.argmax(1)
    figures = judge(Interpreter(), graph, other, source(), labels)
    assert figures.sqnr_db == pytest.approx(10 * np.log10((y**2).sum() / ((y - z) ** 2).sum()), rel=1e-5)
    assert figures.agreement == figures.quantized_accuracy == np.mean(z.argmax(1) == labels)
    assert figures.float_accuracy == 1.0


def test_labels_for_other_samples() -> None:
    with pytest.raises(InputError, match="Q0221"):
        judge(Interpreter(), classifier(), classifier(), source(), np.zeros(7, np.int64))
