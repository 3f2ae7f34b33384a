"""The bench itself: jobs, tables, targets, the big network's builder, and a smoke run. Nothing here is timed."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from bench import __main__ as program
from bench import batches, contestants, data, evaluate, jobs, models, resnet, results, table, targets
from bench.jobs import Job, Outcome
from bench.tools import ours
from quantforge.quantization.report import DataReport, QuantizationReport, Timing

TINY = ((4, 1), (8, 1))


@pytest.fixture
def case(tmp_path: Path) -> models.Case:
    """A tiny residual network with six calibration images and four to test with."""
    model = tmp_path / "tiny.onnx"
    onnx.save(resnet.build_resnet(TINY, classes=10, size=32), model)
    return models.Case(
        name="tiny",
        model=model,
        input_name="input",
        calibration=data.synthetic((3, 32, 32), 6, 1, tmp_path),
        images=6,
        test=data.synthetic((3, 32, 32), 4, 2, tmp_path),
        test_images=4,
        batch_size=4,
        test_batch_size=2,
        classifier=True,
    )


@pytest.fixture
def settings(tmp_path: Path) -> program.Settings:
    return program.Settings(
        work=tmp_path / "work", cache=tmp_path, timeout_s=120, speed_rounds=1, round_s=0.01
    )


def row(tool: str, calibrate_s: float, process_s: float, **quality: object) -> results.Row:
    cost = Outcome(
        phases={"import": 0.25, "calibrate": calibrate_s}, peak_bytes=50_000_000, process_s=process_s
    )
    return results.Row("net", tool, 64, cost, dict(quality))


@pytest.mark.parametrize("module", [jobs, table, evaluate], ids=lambda module: module.__name__)
def test_doctests(module: object) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize(
    "record",
    [
        Job("bench.evaluate", "m.onnx", "x.npy", "input", 3, 2, None, 1, {"labels": None}),
        Outcome({"load": 0.5}, {"top1": 0.25}, ["a note"], 1000, None, 2.5, None),
    ],
    ids=["job", "outcome"],
)
def test_a_record_survives_its_file(record: Job | Outcome, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    jobs.write_record(record, path)
    assert jobs.read_record(type(record), path) == record


@pytest.mark.parametrize(
    ("change", "reason"), [({"version": 2}, "version 2"), ({"speed": 1}, "unknown keys")]
)
def test_a_record_of_another_kind_is_refused(change: dict[str, int], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    jobs.write_record(Outcome(), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=reason):
        jobs.read_record(Outcome, path)


def test_a_phase_inside_itself_counts_once() -> None:
    watch = jobs.Stopwatch()
    with watch.phase("calibrate"):
        with watch.phase("calibrate"):
            pass
        inner = dict(watch.seconds)
    assert inner == {}
    assert list(watch.seconds) == ["calibrate"]


def test_batches_are_the_rows_in_order(tmp_path: Path) -> None:
    rows = np.arange(5 * 2 * 3, dtype=np.float32).reshape(5, 2, 3)
    path = data.write_images(tmp_path / "x.npy", rows.shape, iter(rows))
    assert np.array_equal(np.load(path), rows)
    found = list(batches.read_batches(path, 4, 3))
    assert [len(batch) for batch in found] == [3, 1]
    assert np.array_equal(np.concatenate(found), rows[:4])
    with pytest.raises(ValueError, match="5 rows, expected at least 6"):
        list(batches.read_batches(path, 6, 3))


def test_too_few_images_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 images, expected 2"):
        data.write_images(tmp_path / "x.npy", (2, 3), iter([np.zeros(3, np.float32)]))
    assert not (tmp_path / "x.npy").exists()


def test_the_cost_table_has_ratios_and_leaves_empty_columns_out() -> None:
    rows = [row("float", 2, 3), row("ort-minmax", 8, 10), row("dpu-cnn", 3, 5)]
    lines = table.cost_table(rows, {}).splitlines()
    assert lines[0].split("  ") and "file MB" not in lines[0] and "process/last" not in lines[0]
    cells = lines[4].split()
    assert cells == ["dpu-cnn", "0.25", "3.00", "2.00", "5.00", "1.50", "0.50", "50", "1.00"]


def test_a_failure_is_a_row_and_is_told_once() -> None:
    broken = [
        results.Row("net", tool, 64, Outcome(error="E: no"), error="E: no") for tool in ("cpu-cnn", "dpu-cnn")
    ]
    text = table.report([row("float", 2, 3), *broken], {}, {"other": "other.onnx is absent"})
    assert text.count("failed: E: no") == 1
    assert "  net, 64 images, cpu-cnn" in text
    assert "other: other.onnx is absent" in text


def test_the_run_before_is_compared_with(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results.save([row("dpu-cnn", 2, 4, sqnr_db={"y": 25.0, "z": None})], {}, {}, path)
    previous = results.load(path)
    now = row("dpu-cnn", 2, 2, sqnr_db={"y": 26.5, "z": None})
    assert table.cost_table([now], previous).splitlines()[2].split()[-2:] == ["0.50", "1.00"]
    assert table.quality_table([now], previous).splitlines()[2].split()[-1] == "+1.50"
    results.set_aside(path)
    for rows in ([now], [now, now]):  # once for each model
        results.save(rows, {}, {}, path)
    assert results.load(tmp_path / "previous.json") == previous
    document = json.loads(path.read_text())
    assert document["version"] == results.VERSION
    assert document["versions"]["onnxruntime"] == onnxruntime.__version__


def test_targets_are_judged_by_their_rows() -> None:
    rows = [replace_model(row("float", 2, 3)), replace_model(row("dpu-cnn", 2.5, 5))]
    verdicts = {target.what: (found, kept) for target, found, kept in targets.judge(rows)}
    assert verdicts["calibration / float pass"] == (1.25, True)
    assert verdicts["the rest, s"] == (2.5, False)
    assert verdicts["peak, MB"] == (50.0, True)


def replace_model(one: results.Row) -> results.Row:
    return replace(one, model="resnet50")


def test_targets_name_real_rows() -> None:
    for target in targets.TARGETS:
        assert target.model in models.MAKERS
        assert target.tool in contestants.ALL


def test_the_recipes_exist() -> None:
    files = [one.options["recipe"] for one in contestants.ALL.values() if "recipe" in one.options]
    assert all(Path(file).exists() for file in files if file.endswith(".toml"))


def test_resnet_has_the_parameters_of_resnet50() -> None:
    """25,503,912 weights of ResNet-50 (its 25,557,032 less 53,120 of batch norm) and 26,560 folded biases."""
    model = resnet.build_resnet()
    count = sum(int(np.prod(constant.dims)) for constant in model.graph.initializer)
    assert count == 25_557_032 - 53_120 + 26_560
    assert sum(node.op_type == "Conv" for node in model.graph.node) == 53


def test_resnet_is_the_same_each_time_and_runs_with_any_batch() -> None:
    model = resnet.build_resnet(TINY, classes=10, size=32)
    again = resnet.build_resnet(TINY, classes=10, size=32)
    assert model.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        (found,) = session.run(None, {"input": np.ones((batch, 3, 32, 32), np.float32)})
        assert found.shape == (batch, 10)
        assert np.isfinite(found).all()


def test_quality_says_why_there_is_no_sqnr() -> None:
    exact = {"y": np.array([[1.0, 2.0]], np.float32)}
    same = evaluate.quality(exact, exact, np.array([1], np.uint8), classifier=True)
    assert same == {
        "top1": 1.0,
        "agreement": 1.0,
        "sqnr_db": {"y": None},
        "remarks": ["y: identical to float"],
    }
    broken = {"y": np.array([[np.nan, 0]], np.float32)}
    assert evaluate.quality(exact, broken, None, classifier=False)["remarks"] == ["y: not finite"]


@pytest.mark.parametrize(
    ("timings", "seconds"),
    [
        ((Timing("load", 1.0), Timing("calibration", 1.5)), 1.5),
        ((Timing("calibrate", 1.0), Timing("calibrate ranges", 0.5)), 1.5),
        ((Timing("load", 1.0),), None),
    ],
    ids=["one stage", "two stages", "no stage"],
)
def test_calibration_time_of_our_report(timings: tuple[Timing, ...], seconds: float | None) -> None:
    report = QuantizationReport(
        "m", "", "r", "", "0", DataReport("x", 1, 1), (2, 1), (), (), (), timings=timings
    )
    assert ours.calibration_seconds(report) == seconds


def test_a_broken_contestant_is_an_outcome(tmp_path: Path) -> None:
    job = Job("bench.tools.bare_float", str(tmp_path / "absent.onnx"), "absent.npy", "input", 1, 1)
    outcome = jobs.perform(job, tmp_path, "broken")
    assert outcome.error is not None and "absent.onnx" in outcome.error
    assert outcome.phases == {}


def test_a_slow_contestant_is_ended(tmp_path: Path) -> None:
    job = Job("bench.tools.bare_float", "absent.onnx", "absent.npy", "input", 1, 1)
    assert jobs.perform(job, tmp_path, "slow", timeout_s=0.001).error == "timed out after 0.001 s"


def test_the_bare_pass_and_min_max_run_from_end_to_end(case: models.Case, settings: program.Settings) -> None:
    told: list[str] = []
    bare, ort = program.run_case(case, ["ort-minmax", "float"], settings, told.append)
    assert (bare.tool, ort.tool) == ("float", "ort-minmax")
    assert bare.error is None and ort.error is None
    assert set(bare.cost.phases) == {"import", "load", "calibrate"}
    assert set(ort.cost.phases) == {"import", "load", "calibrate", "rest"}
    assert bare.cost.peak_bytes and bare.cost.peak_bytes > 20e6
    assert bare.cost.process_s and bare.cost.process_s > sum(bare.cost.phases.values())
    assert bare.cost.output_bytes is None
    assert ort.cost.output_bytes == (settings.work / "tiny-6-ort-minmax.onnx").stat().st_size
    assert set(bare.quality) == {"float_images_per_s"}
    assert ort.quality["sqnr_db"]["output"] > 15
    assert 0 <= ort.quality["agreement"] <= 1
    assert ort.quality["images_per_s"] > 0
    assert [line for line in told if line.startswith("tiny")] == [
        "tiny 6 images: float",
        "tiny 6 images: ort-minmax",
    ]


def test_a_missing_model_is_skipped_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models, "MODELS", tmp_path / "nowhere")
    assert program.main(["--quick", "--models", "resnet20", "--out", str(tmp_path)]) == 0
    assert "resnet20_cifar10.onnx is absent" in capsys.readouterr().out
    assert json.loads((tmp_path / "results.json").read_text())["rows"] == []
