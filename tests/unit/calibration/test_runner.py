"""One pass: what is counted, what it costs in memory, and how it stops."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from quantforge.calibration.choose import choose_spec
from quantforge.calibration.methods import RangeMethod, ScaleKind, Statistic
from quantforge.calibration.runner import Calibration, available_processors, calibrate
from quantforge.calibration.sketch import merged, sketch_of
from quantforge.diagnostics import CalibrationError, InputError, InternalError
from quantforge.graph import Array
from quantforge.graph.execution import Feeds
from quantforge.progress import Progress, track
from quantforge.quantization.recipe import TensorRule

RNG = np.random.default_rng(19)
BATCHES = [{"x": RNG.standard_normal((2, 8, 50)).astype(np.float32) * (i + 1)} for i in range(5)]
POSITIONS = TensorRule(scales=ScaleKind.POWER_OF_TWO, method=RangeMethod.MSE, statistic=Statistic.MOST_COMMON)


class Twice:
    """A session that reuses its output, as the real one does: x, its double, and a small third value."""

    def __init__(self) -> None:
        self.runs = 0
        self.double = np.zeros((2, 8, 50), np.float32)

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        self.runs += 1
        np.multiply(feeds["x"], 2, out=self.double)
        return {"x": feeds["x"], "double": self.double, "small": feeds["x"][:, :1, :3]}


def run(**options: object) -> Calibration:
    return calibrate(Twice(), BATCHES, ["x", "double", "small"], **options)  # type: ignore[arg-type]


def test_every_value_is_counted_once() -> None:
    found = run()
    assert found.sketches["x"] == sketch_of(feeds["x"] for feeds in BATCHES)
    assert found.sketches["double"] == sketch_of(2 * feeds["x"] for feeds in BATCHES)
    assert (found.batches, found.samples, found.notices) == (5, 10, ())


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_number_of_threads_does_not_matter(threads: int) -> None:
    assert run(threads=threads).sketches == run().sketches


def test_batches_and_shards_give_the_same() -> None:
    shards = [calibrate(Twice(), part, ["x"]) for part in (BATCHES[:2], BATCHES[2:])]
    assert merged(shard.sketch("x") for shard in shards) == run().sketches["x"]


def test_specs_of_one_and_of_several_tensors() -> None:
    found, rule = run(), TensorRule(method=RangeMethod.MSE)
    assert found.spec(rule, "x") == choose_spec(found.sketches["x"], rule)
    both = merged([found.sketches["x"], found.sketches["double"]])
    assert found.spec(rule, "x", "double") == choose_spec(both, rule)
    with pytest.raises(InternalError, match="Q0219 y: found no sketch"):
        found.spec(rule, "y")


def test_statistics_over_batches() -> None:
    rule = TensorRule(statistic=Statistic.MAX)
    found = run(rules={"x": rule, "double": POSITIONS})
    assert found.histories["x"].ends[:, 1].tolist() == [float(feeds["x"].max()) for feeds in BATCHES]
    assert found.spec(rule, "x") == choose_spec(found.sketches["x"], TensorRule())
    single = [choose_spec(sketch_of([2 * feeds["x"]]), POSITIONS).position for feeds in BATCHES]
    common = min((p for p in single), key=lambda p: (-single.count(p), p or 0))
    assert found.spec(POSITIONS, "double").position == common
    assert found.sketches["double"] == run().sketches["double"]
    assert found.spec(rule, "x", "x") == found.spec(rule, "x")


def test_the_moving_average() -> None:
    rule = TensorRule(symmetric=False, moving_average=0.5)
    found = run(rules={"x": rule}).spec(rule, "x")
    lo, hi = float(BATCHES[0]["x"].min()), float(BATCHES[0]["x"].max())
    for feeds in BATCHES[1:]:
        lo, hi = lo + 0.5 * (feeds["x"].min() - lo), hi + 0.5 * (feeds["x"].max() - hi)
    assert found.scale[0] == pytest.approx((hi - lo) / 255)


def test_a_statistic_without_its_history_is_refused() -> None:
    with pytest.raises(CalibrationError) as caught:
        run().spec(POSITIONS, "x")
    assert str(caught.value) == (
        "Q0217 tensor 'x': found no ranges per batch for method 'mse'; expected a calibration that kept them; "
        "try: calibrate again with this recipe; saved sketches serve statistic 'all' only"
    )


def test_moments_and_hooks_see_every_batch() -> None:
    seen: list[float] = []
    found = run(moments={"double": 1}, hooks=[lambda values: seen.append(float(values["double"][0, 0, 0]))])
    assert seen == [2 * float(feeds["x"][0, 0, 0]) for feeds in BATCHES]
    expected = np.mean([2 * feeds["x"].astype(float) for feeds in BATCHES], axis=(0, 1, 3))
    np.testing.assert_allclose(found.moments["double"].mean, expected, rtol=1e-9)


def test_progress_is_reported() -> None:
    seen: list[Progress] = []
    calibrate(Twice(), track(BATCHES, "calibrating", listener=seen.append), ["x"])
    assert [state.done for state in seen] == [1, 2, 3, 4, 5]


def test_no_batches() -> None:
    with pytest.raises(
        CalibrationError, match=r"Q0201 calibration data: found no batch; expected at least one"
    ):
        calibrate(Twice(), [], ["x"])


def failing(error: BaseException) -> Iterator[Feeds]:
    yield BATCHES[0]
    yield BATCHES[1]
    raise error


def test_a_reader_that_raises_half_way() -> None:
    with pytest.raises(CalibrationError) as caught:
        calibrate(Twice(), failing(KeyError("image 7")), ["x"])
    assert str(caught.value) == (
        "Q0202 calibration data, batch 2: found KeyError: 'image 7'; expected a batch; "
        "try: fix the reader; its own error is shown above"
    )
    assert isinstance(caught.value.__cause__, KeyError)


def test_coded_errors_and_interrupts_pass_through() -> None:
    coded = InputError("Q0213", "a.png", "text", "an image", "remove it")
    with pytest.raises(InputError) as caught:
        calibrate(Twice(), failing(coded), ["x"])
    assert caught.value is coded
    with pytest.raises(KeyboardInterrupt):
        calibrate(Twice(), failing(KeyboardInterrupt()), ["x"])


def test_nan_stops_at_its_batch() -> None:
    bad = {"x": BATCHES[0]["x"].copy()}
    bad["x"][1, 2, 3] = np.nan
    session = Twice()
    with pytest.raises(CalibrationError, match=r"Q0203 tensor 'x', batch 1: found 1 NaN"):
        calibrate(session, [BATCHES[0], bad, BATCHES[1]], ["x", "double"])
    assert session.runs == 2


def test_odd_tensors_are_remarked_upon() -> None:
    found = calibrate(Twice(), [{"x": np.zeros((2, 8, 50), np.float32)}], ["x"])
    assert [notice.code for notice in found.notices] == ["Q0204"]


def test_there_is_a_processor() -> None:
    assert available_processors() >= 1


MEMORY = """
import sys, numpy as np
from quantforge.calibration.runner import calibrate
from quantforge.progress import peak_memory_bytes
class Session:
    def run(self, feeds):
        return {"x": feeds["x"], "y": np.maximum(feeds["x"], 0)}
rng = np.random.default_rng(0)
batches = ({"x": rng.standard_normal((1, 1 << 18), dtype=np.float32)} for _ in range(int(sys.argv[1])))
calibrate(Session(), batches, ["x", "y"])
print(peak_memory_bytes())
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_batches(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(MEMORY)
    peaks = [
        int(
            subprocess.run(
                [sys.executable, script, str(n)], check=True, capture_output=True, text=True
            ).stdout
        )
        for n in (8, 64)
    ]
    # 56 batches more are 56 MiB of data; pages that new exponents touch are far below 4 MiB
    assert peaks[1] - peaks[0] < 4 << 20
