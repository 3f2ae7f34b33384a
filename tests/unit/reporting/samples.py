"""Reports to render: a small one with every field set, and one of any size with residual blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quantforge.diagnostics import Diagnostic
from quantforge.graph import QuantSpec
from quantforge.numerics.formats import INT8, INT32, UINT8
from quantforge.passes.result import Note
from quantforge.quantization.diagnose import channel_spread, find_culprits
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN
from quantforge.quantization.report import (
    Cause,
    Culprit,
    DataReport,
    Histogram,
    LayerReport,
    OutputReport,
    QuantizationReport,
    TensorKind,
    TensorReport,
    Timing,
)

HOSTILE = "<script>alert(1)</script> & \"[bold]'"


def histogram(values: np.ndarray, bins: int = 128) -> Histogram:
    counts, edges = np.histogram(values, bins)
    return Histogram(tuple(map(float, edges)), tuple(map(int, counts)))


def small_report() -> QuantizationReport:
    """Every field of every record is set somewhere."""
    relu = histogram(np.abs(np.random.default_rng(1).standard_normal(4000)), 16)
    conv1 = TensorReport(
        "conv1",
        TensorKind.ACTIVATION,
        QuantSpec.power_of_two(INT8, 5),
        -0.0,
        float("3.9"),
        producer="conv1",
        saturation=0.0021,
        sqnr_db=31.25,
        method="mse",
        histogram=relu,
        shares_with=("pool",),
        output_noise=0.001,
        notes=("seen in 3 batches",),
    )
    weight = TensorReport(
        "conv1.weight",
        TensorKind.WEIGHT,
        QuantSpec(INT8, (0.1, 0.25), (0, 0), 0),
        -12.0,
        30.0,
        producer="conv1",
        sqnr_db=float("inf"),
        method="min-max",
        channel_spread=2.5,
    )
    bias = TensorReport(
        HOSTILE,
        TensorKind.BIAS,
        QuantSpec(INT32, (0.003,), (0,)),
        0.0,
        0.0,
        producer="conv1",
        notes=("all zeros",),
    )
    image = TensorReport(
        "image",
        TensorKind.ACTIVATION,
        QuantSpec(UINT8, (0.004,), (3,)),
        0.0,
        1.0,
        sqnr_db=48.0,
        histogram=relu,
    )
    layers = (
        LayerReport(
            "conv1", "conv2d", "int8", (), ("relu",), ("image", "conv1.weight", HOSTILE, "conv1"),
            1_290_000, 4096, 1088, 30.5, 30.5,
        ),
        LayerReport("pool", "maxpool2d", "int8", ("conv1",), tensors=("conv1",), accumulated_db=float("inf")),
        LayerReport(
            HOSTILE, "opaque", "float32", ("pool",), macs=70_000, accumulated_db=28.75,
            float_reason=f"{HOSTILE} has no quantized form", float_code="Q0501",
        ),
    )  # fmt: skip
    return QuantizationReport(
        model="small.onnx",
        model_hash="9f86d081884c7d659a2feaa0c55ad015",
        recipe="dpu-cnn",
        recipe_text='base = "dpu-cnn"\n',
        tool_version="0.1.0",
        data=DataReport("images/train", 256, 8),
        model_bytes=(4500, 1500),
        tensors=(image, conv1, weight, bias),
        layers=layers,
        outputs=(OutputReport("logits", 28.75, 256, 0.9844, 0.8813, 0.8805),),
        culprits=(
            Culprit(
                "conv1", 0.75, Cause.SATURATED, "some values are clipped",
                '[[override]]\ntensor = "conv1"\nmethod = "non-overflow"',
            ),
            Culprit(HOSTILE, 0.25, Cause.NO_SINGLE_CAUSE, f"so is {HOSTILE}", ""),
        ),
        target="DPUCZDX8G",
        timings=(Timing("calibrate", 1.5), Timing("solve", 0.02)),
        peak_memory_bytes=380_000_000,
        notes=(
            Note("fold_batch_norm", "conv1", True, "folded bn1"),
            Note("equalize_layers", "conv1", False, f"its output {HOSTILE} is also read by another op"),
        ),
        notices=(Diagnostic("Q0501", "opaque", "an unknown op", "a known one", "nothing"),),
    )  # fmt: skip


def large_report(blocks: int = 49, seed: int = 7) -> QuantizationReport:
    """A residual network of 4 * blocks + 4 layers with random but plausible figures."""
    return _Maker(blocks, np.random.default_rng(seed)).report()


class _Maker:
    """Builds layers and tensors one after the other; noise grows on the way."""

    def __init__(self, blocks: int, random: np.random.Generator) -> None:
        self.blocks, self.random = blocks, random
        self.tensors: list[TensorReport] = []
        self.layers: list[LayerReport] = []
        self.noise = 1e-4

    def report(self) -> QuantizationReport:
        self._activation("image", None, self.random.standard_normal(5000))
        last = self._conv("stem/Conv", (), 3)
        for block in range(self.blocks):
            stem = f"/layers.{block // 6}/layers.{block // 6}.{block % 6}"
            inner = self._conv(f"{stem}/conv1/Conv", (last,), 64)
            outer = self._conv(f"{stem}/conv2/depthwise/Conv", (inner,), 64, "depthwise-conv2d")
            last = self._plain(f"{stem}/Add", "eltwise-add", (outer, last), ("relu",))
            if block % 8 == 7:
                last = self._plain(f"{stem}/MaxPool", "maxpool2d", (last,))
        last = self._plain("/avgpool/GlobalAveragePool", "avgpool2d", (last,))
        last = self._conv("/head/Gemm", (last,), 64, "inner-product")
        self.layers.append(
            LayerReport(
                "/head/Softmax", "softmax", "float32", (last,), macs=10, accumulated_db=24.0,
                float_reason="softmax is not among the kinds recipe dpu-cnn quantizes", float_code="Q0504",
            )
        )  # fmt: skip
        layers, tensors = tuple(self.layers), tuple(self.tensors)
        return QuantizationReport(
            "resnet-like.onnx", "9f86d081884c7d659a2feaa0c55ad015", "dpu-cnn",
            'base = "dpu-cnn"\nfold_batch_norm = true\n\n[activations]\nformat = "int8"\nscales = "power-of-two"\n',
            "0.1.0", DataReport("cifar10/train", 256, 8), (11_700_000, 3_020_000), tensors, layers,
            (OutputReport("logits", 24.1, 10_000, 0.9816, 0.8813, 0.8805),),
            find_culprits(tensors, layers, DPU_CNN), "DPUCZDX8G_ISA1_B4096",
            (Timing("import", 0.4), Timing("calibrate", 2.9), Timing("solve", 0.3), Timing("measure", 1.2)),
            412_000_000,
            tuple(Note("fold_batch_norm", layer.name, i % 9 != 0, "folded" if i % 9 else "read twice")
                  for i, layer in enumerate(layers[:60])),
        )  # fmt: skip

    def _activation(self, name: str, producer: str | None, values: np.ndarray) -> None:
        top = float(np.abs(values).max())
        position = int(np.floor(np.log2(127 / np.quantile(np.abs(values), 0.9997))))
        spec = QuantSpec.power_of_two(INT8, position)
        grid = 127 * spec.scale[0]
        error = np.clip(np.rint(values / spec.scale[0]), -128, 127) * spec.scale[0] - values
        sqnr = float(10 * np.log10(np.sum(values**2) / np.sum(error**2)))
        clipped = float((np.abs(values) > grid).mean()) if top > grid else 0.0
        self.tensors.append(
            TensorReport(
                name, TensorKind.ACTIVATION, spec, float(values.min()), float(values.max()), producer,
                clipped, sqnr, "mse", histogram(values),
            )
        )  # fmt: skip

    def _conv(self, name: str, reads: tuple[str, ...], channels: int, kind: str = "conv2d") -> str:
        spread = np.exp(self.random.normal(0, 1.2 if "depthwise" in kind else 0.3, (channels, 1)))
        weights = self.random.standard_normal((channels, 72)) * 0.1 * spread
        spec = QuantSpec.power_of_two(INT8, int(np.floor(np.log2(127 / np.abs(weights).max()))))
        error = np.clip(np.rint(weights / spec.scale[0]), -128, 127) * spec.scale[0] - weights
        sqnr = float(10 * np.log10(np.sum(weights**2) / np.sum(error**2)))
        self.tensors.append(
            TensorReport(
                f"{name}.weight", TensorKind.WEIGHT, spec, float(weights.min()), float(weights.max()), name, 0.0,
                sqnr, "mse", histogram(weights), channel_spread=channel_spread(weights, 0),
            )
        )  # fmt: skip
        macs = int(self.random.integers(2, 30)) * 1_000_000
        self._layer(name, kind, reads, ("relu",), macs, weights.size * 4, f"{name}.weight")
        return name

    def _plain(self, name: str, kind: str, reads: tuple[str, ...], fused: tuple[str, ...] = ()) -> str:
        self._layer(name, kind, reads, fused)
        return name

    def _layer(
        self, name: str, kind: str, reads: tuple[str, ...], fused: tuple[str, ...], macs: int = 0, size: int = 0,
        weight: str | None = None,
    ) -> None:  # fmt: skip
        values = self.random.standard_normal(4000) * np.exp(self.random.normal(0, 1))
        values = np.maximum(values, 0) if fused else values
        if self.random.random() < 0.05:
            values[:3] *= 12
        self._activation(name, name, values)
        added = float(10 ** self.random.normal(-3.3, 0.35))
        self.noise += added * 0.06
        tensors = (*(reads or ("image",)), *((weight,) if weight else ()), name)
        self.layers.append(
            LayerReport(
                name, kind, "int8", reads, fused, tensors, macs, size, size // 4,
                -10 * float(np.log10(added)), -10 * float(np.log10(self.noise)),
            )
        )  # fmt: skip


def save_pages(folder: Path) -> None:
    """Write pages to look at: ``python -c "...save_pages(Path('out'))"``."""
    from quantforge.reporting import to_html

    folder.mkdir(parents=True, exist_ok=True)
    for name, report in {"small": small_report(), "large": large_report()}.items():
        (folder / f"{name}.html").write_text(to_html(report), "utf-8")


RECIPES = {"dpu": DPU_CNN, "cpu": CPU_CNN}
