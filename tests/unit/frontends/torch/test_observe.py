from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.calibration.methods import RangeMethod, ScaleKind, Statistic  # noqa: E402
from quantforge.calibration.runner import calibrate  # noqa: E402
from quantforge.calibration.sketch import sketch_of  # noqa: E402
from quantforge.diagnostics import CalibrationError  # noqa: E402
from quantforge.frontends.torch.observe import LoopObserver  # noqa: E402
from quantforge.graph import Graph, Op, Value  # noqa: E402
from quantforge.quantization.recipe import TensorRule  # noqa: E402

RULES = {
    "all": TensorRule(method=RangeMethod.MSE, scales=ScaleKind.POWER_OF_TWO),
    "median": TensorRule(method=RangeMethod.MSE, statistic=Statistic.MEDIAN),
    "extent": TensorRule(statistic=Statistic.MEAN),
}


class Recorded:
    """A session that answers with given values."""

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return feeds


def batches() -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(2)
    return [
        {name: rng.normal(size=(2, 3, 5)).astype(np.float32) * (i + 1) for name in RULES} for i in range(4)
    ]


def observer(samples: int = 3) -> LoopObserver:
    graph = Graph("g", [Value(name, ("batch", 3, 5)) for name in RULES], inputs=list(RULES))
    return LoopObserver(graph, RULES, samples)


def test_a_loop_finds_what_a_pass_over_the_data_finds() -> None:
    watch = observer()
    for batch in batches():
        tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
        watch.add({"all": tensors["all"]}, tensors)
    found = watch.calibration()
    want = calibrate(Recorded(), batches(), list(RULES), rules=RULES)
    assert (found.batches, found.samples) == (want.batches, want.samples) == (4, 8)
    for name, rule in RULES.items():
        assert found.sketch(name) == want.sketch(name)
        assert found.spec(rule, name) == want.spec(rule, name)


def test_the_first_samples_are_kept_as_copies_and_no_more() -> None:
    watch = observer(3)
    for batch in batches():
        tensors = {name: torch.from_numpy(array.copy()) for name, array in batch.items()}
        watch.add({"all": tensors["all"]}, tensors)
        tensors["all"].zero_()
    assert [list(kept) for kept in watch.kept] == [["all"], ["all"]]
    np.testing.assert_array_equal(watch.kept[0]["all"], batches()[0]["all"])


def test_the_first_samples_are_looked_at_then_counted_on_the_equalized_graph() -> None:
    graph = Graph("g", [Value("x", ("batch", 3, 5)), Value("y", ("batch", 3, 5))], inputs=["x"])
    graph.add_op(Op("neg", "n", ("x",), ("y",)))
    other, told = graph.copy(), []

    def equalized(ranges: Mapping[str, np.ndarray]) -> Graph:
        told.append(ranges)
        return other

    watch = LoopObserver(graph, {"y": RULES["all"]}, 3, {"x": 1}, equalized)
    data = [batch["all"] for batch in batches()]
    for i, array in enumerate(data):
        x = torch.from_numpy(array)
        assert watch.names == (("x",) if i < 2 else ("y",))
        watch.add({"x": x}, {"x": x} if i < 2 else {"y": -x})
        assert watch.graph is (graph if i < 1 else other)
    np.testing.assert_array_equal(told[0]["x"], np.abs(np.concatenate(data[:2])).max((0, 2)))
    found = watch.calibration()
    assert (found.batches, found.samples) == (4, 8)
    assert found.sketch("y") == sketch_of([-array for array in data])
    short = LoopObserver(graph, {"y": RULES["all"]}, 30, {"x": -2}, equalized)
    short.add({"x": torch.from_numpy(data[0])}, {"x": torch.from_numpy(data[0])})
    assert short.calibration().samples == 2


def test_no_batch_and_bad_numbers_are_refused() -> None:
    with pytest.raises(CalibrationError, match="Q0201"):
        observer().calibration()
    bad = torch.full((2, 3, 5), float("nan"))
    with pytest.raises(CalibrationError, match="Q0203"):
        observer().add({"all": bad}, dict.fromkeys(RULES, bad))
