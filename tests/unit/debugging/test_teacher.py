"""Each operator on another stage's numbers."""

from __future__ import annotations

import numpy as np

from quantforge.debugging.stage import Signal
from quantforge.debugging.teacher import Teacher
from quantforge.debugging.xmodel_stage import XmodelStage
from quantforge.xmodel.model import XModel
from tests.compiled_xmodels import classifier, single


def lesson(
    model: XModel, changed: dict[str, int], left_out: tuple[str, ...] = ()
) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """What a teacher that is the model itself, with one element of some tensors changed, finds."""
    stage = XmodelStage(model, "ref", "m", native=True)
    feeds = {"image": np.random.default_rng(1).uniform(-2, 2, (1, 8, 8, 3)).astype(np.float32)}
    given = {name: array.copy() for name, array in stage.run(feeds).items() if name not in left_out}
    for name, step in changed.items():
        given[name].flat[0] += step
    taught: dict[str, Signal] = {name: signal for name, signal in stage.signals.items() if name in given}
    return dict(Teacher(stage, taught).run(feeds, given)), given


def tensors(model: XModel, kind: str) -> list[str]:
    return [op.tensor.name for op in model.ops.values() if op.kind == kind]


def test_equal_numbers_have_nothing_to_explain() -> None:
    found, given = lesson(classifier(), {})
    assert set(found) == set(given)
    assert not any(row.different for row in found.values())  # type: ignore[attr-defined]


def test_a_change_is_seen_where_it_was_made_and_where_it_is_used() -> None:
    model = classifier()
    first, second = tensors(model, "conv2d-fix")[:2]
    found, _ = lesson(model, {first: 3})
    row = found[first]
    assert (row.different, row.unexplained) == (1, 1)  # type: ignore[attr-defined]
    assert row.first.index == (0, 0, 0, 0) and row.first.steps == -3  # type: ignore[attr-defined]
    assert row.first.exact is not None  # type: ignore[attr-defined]
    # what reads it now reads the teacher's number, and so differs from the teacher's own result
    assert found[second].different > 0  # type: ignore[attr-defined]
    assert found["logits_t"].different == 0  # type: ignore[attr-defined]


def test_what_the_teacher_does_not_have_is_computed() -> None:
    model = classifier()
    hidden = tuple(tensors(model, "conv2d-fix")[1:2])
    found, _ = lesson(model, {}, hidden)
    assert hidden[0] not in found and not any(row.different for row in found.values())  # type: ignore[attr-defined]


def test_a_sum_that_float32_cannot_hold() -> None:
    """The exact sum is one below 17.5 steps; the nearest float32 is 17.5 steps, which becomes 18."""
    total = 18350079
    x, w = np.full((2, 1139), 127, np.int8)
    w[1137], x[1138], w[1138] = 89, 103, 1
    assert int(x.astype(np.int64) @ w.astype(np.int64)) == total == 17.5 * 2**20 - 1
    assert np.float32(total) == 17.5 * 2**20
    shape = (1, 1, 1, 1139)
    model = single(
        "conv2d-fix", [x.reshape(shape)], [10], (1, 1, 1, 1), 0, {"weights": (w.reshape(shape), 10)},
        kernel=(1, 1), stride=(1, 1), dilation=(1, 1), pad=(0, 0, 0, 0), nonlinear="NONE",
    )  # fmt: skip
    stage = XmodelStage(model, "ref", "m", native=True)
    feeds = {"data0": np.ldexp(x.reshape(shape).astype(np.float32), -10)}
    given = stage.run(feeds)
    assert given["result_t"].item() == 17
    given["result_t"] = np.full((1, 1, 1, 1), 18, np.int8)
    row = Teacher(stage, stage.signals).run(feeds, given)["result_t"]
    assert (row.different, row.ties, row.floats, row.unexplained) == (1, 0, 1, 0)
    assert row.example is not None and row.example.exact == total / 2**20
    given["result_t"] = np.full((1, 1, 1, 1), 19, np.int8)
    assert Teacher(stage, stage.signals).run(feeds, given)["result_t"].unexplained == 1
