"""What the project promises, as data, and whether a run kept it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.results import Row

Rows = dict[tuple[str, str, int], Row]
Reader = Callable[[Row, Rows], float | None]


@dataclass(frozen=True)
class Target:
    """`read` takes the row and all rows; the bound is at least or at most."""

    model: str
    tool: str
    images: int
    what: str
    read: Reader
    at_least: float | None = None
    at_most: float | None = None


def _quality(name: str) -> Reader:
    return lambda row, rows: row.quality.get(name)


def _sqnr(row: Row, rows: Rows) -> float | None:
    return row.mean_sqnr_db


def _calibration_by_float_pass(row: Row, rows: Rows) -> float | None:
    bare = rows.get((row.model, "float", row.images))
    if bare is None or not bare.calibrate_s or row.calibrate_s is None:
        return None
    return row.calibrate_s / bare.calibrate_s


def _rest(row: Row, rows: Rows) -> float | None:
    return row.rest_s


def _rest_by_float_pass(row: Row, rows: Rows) -> float | None:
    bare = rows.get((row.model, "float", row.images))
    if bare is None or not bare.calibrate_s or row.rest_s is None:
        return None
    return row.rest_s / bare.calibrate_s


def _peak(row: Row, rows: Rows) -> float | None:
    return row.cost.peak_bytes / 1e6 if row.cost.peak_bytes else None


def _growth(row: Row, rows: Rows) -> float | None:
    small = rows.get((row.model, row.tool, 64))
    if small is None or not small.cost.peak_bytes or not row.cost.peak_bytes:
        return None
    return row.cost.peak_bytes / small.cost.peak_bytes


def _dpu_speed(row: Row, rows: Rows) -> float | None:
    dpu, onnx = row.quality.get("dpu_images_per_s"), row.quality.get("images_per_s")
    return dpu / onnx if dpu and onnx else None


def _import(row: Row, rows: Rows) -> float | None:
    return row.cost.phases.get("import")


DEPLOYED = {"resnet20": 256, "mobilenetv2": 256, "ultraface_rfb_320": 64, "fastestdet": 64, "resnet50": 64}
TARGETS = (
    Target("resnet20", "dpu-cnn", 256, "top-1", _quality("top1"), at_least=0.880),
    Target("resnet20", "dpu-cnn", 256, "agreement", _quality("agreement"), at_least=0.982),
    Target("resnet20", "dpu-cnn", 256, "SQNR dB", _sqnr, at_least=26),
    Target("resnet20", "cpu-cnn-per-channel", 256, "SQNR dB", _sqnr, at_least=28.5),
    Target("mobilenetv2", "dpu-cnn-equalized", 256, "top-1", _quality("top1"), at_least=0.825),
    Target("mobilenetv2", "dpu-cnn-equalized", 256, "SQNR dB", _sqnr, at_least=25),
    Target("mobilenetv2_rescaled", "dpu-cnn-equalized", 256, "top-1", _quality("top1"), at_least=0.825),
    Target("mobilenetv2_rescaled", "dpu-cnn-equalized", 256, "SQNR dB", _sqnr, at_least=25),
    Target("resnet50", "dpu-cnn", 64, "calibration / float pass", _calibration_by_float_pass, at_most=1.5),
    Target("resnet50", "dpu-cnn", 64, "the rest, s", _rest, at_most=2),
    # the same on any machine: 2 s were promised for one whose float pass takes 1.5 s
    Target("resnet50", "dpu-cnn", 64, "the rest / float pass", _rest_by_float_pass, at_most=2 / 1.5),
    Target("resnet50", "dpu-cnn", 64, "peak, MB", _peak, at_most=800),
    Target("resnet50", "dpu-cnn", 512, "peak, MB", _peak, at_most=800),
    Target("resnet50", "dpu-cnn", 512, "peak / peak of 64 images", _growth, at_most=1.05),
    Target("resnet50", "dpu-cnn", 64, "import, s", _import, at_most=0.3),
    Target("resnet50", "dpu-cnn", 64, "compile, s", _quality("compile_s"), at_most=20),
    *(
        Target(model, "dpu-cnn", images, "DPU engine / ONNX Runtime", _dpu_speed, at_least=1)
        for model, images in DEPLOYED.items()
    ),
)


def judge(rows: list[Row]) -> list[tuple[Target, float | None, bool]]:
    """Each target whose row was run: what was found, and whether it is kept (not when nothing was found)."""
    table = {row.key: row for row in rows}
    verdicts = []
    for target in TARGETS:
        row = table.get((target.model, target.tool, target.images))
        if row is None:
            continue
        found = target.read(row, table)
        kept = found is not None
        if found is not None and target.at_least is not None:
            kept = found >= target.at_least
        if found is not None and target.at_most is not None:
            kept = found <= target.at_most
        verdicts.append((target, found, kept))
    return verdicts
