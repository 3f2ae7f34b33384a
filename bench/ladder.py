"""``python -m bench.ladder``: what calibration, fast fine-tuning and training give one network.

MobileNetV2 on CIFAR-10 (82.83 % in float), int8 and 4-bit weights beside 8-bit activations, powers of two, one scale
per tensor. Top-1 is of the fixed-point module on all 10,000 test images. Calibration sees 512 training images; fast
fine-tuning the same; training begins at what that found and sees 48,000 three times (`bench.training`). What it
gives is taken where it lowers the cross entropy of the last 2,000 training images, which it does not see; else the
weights stay as they were tuned. Rates were chosen on the same images (``--choose`` leaves them out of all else).
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from bench.jobs import ROOT
from bench.models import MODELS
from bench.training import HELD_OUT, LAYOUT, Images, Training, cifar10, judged, normalized, train
from pytorch_nndct import QatProcessor
from pytorch_nndct.apis import torch_quantizer
from quantforge.frontends.torch.quantizer import ModuleQuantizer
from quantforge.frontends.torch.training.widths import training_recipe

CALIBRATION, BATCH = 512, 32
EXAMPLE = torch.zeros(1, 3, 32, 32)
WIDTHS = {"int8": (8, 8), "w4a8": (4, 8)}
RUNGS = ("float", "calibrated", "tuned", "trained")
Row = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """One ladder: its name, widths, images and how it trains."""

    name: str
    learned: Images
    judged: Images
    training: Training
    work: Path

    @property
    def bits(self) -> tuple[int, int]:
        return WIDTHS[self.name]


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    cache = ROOT / "out" / "bench" / "cache"
    learned, test = cifar10("train", cache), cifar10("test", cache)
    if options.choose:
        learned, test = learned.part(slice(0, -HELD_OUT)), learned.part(slice(-HELD_OUT, None))
    out = options.out or ROOT / "out" / "bench" / ("ladder-choose" if options.choose else "ladder")
    training = Training(
        options.epochs, options.batch, options.weight_rate, options.threshold_rate, options.distilled,
        options.by_batch,
    )  # fmt: skip
    for name in options.widths:
        setting = Setting(name, learned, test, training, out / name)
        for rung in options.rungs:
            row = climb(setting, rung)
            store(out / "results.json", row)
            print(f"{name} {rung}: {row['top1']:.2f} %, cross entropy {row['loss']:.4f}", flush=True)
    print(table(json.loads((out / "results.json").read_text("utf-8"))))
    return 0


def climb(setting: Setting, rung: str) -> Row:
    """One rung of one ladder."""
    start = time.monotonic()
    made: dict[str, Callable[[Setting], Any]] = {
        "float": lambda setting: float_model(),
        "calibrated": calibrated,
        "tuned": tuned,
        "trained": trained,
    }
    module = made[rung](setting)
    seconds = time.monotonic() - start
    right, loss = judged(module, setting.judged)
    row = {"widths": setting.name, "rung": rung, "top1": right, "loss": loss, "seconds": seconds}
    return {**row, **(asdict(setting.training) if rung == "trained" else {})}


def float_model() -> Any:
    path = MODELS / "mobilenetv2_cifar10.py"
    spec = importlib.util.spec_from_file_location("mobilenetv2_cifar10", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is absent")
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    return code.load(path.with_suffix(".pth")).to(memory_format=LAYOUT)


def calibrated(setting: Setting) -> Any:
    quantizer = ModuleQuantizer(float_model(), EXAMPLE, None, training_recipe(*setting.bits))
    with torch.no_grad():
        quantizer.observed_module()(normalized(setting.learned.pixels[:CALIBRATION]))
    quantizer.solve()
    return quantizer.quantized_module()


def tuned(setting: Setting) -> Any:
    """By `torch_quantizer.fast_finetune`, weights by weights."""
    images = normalized(setting.learned.pixels[:CALIBRATION])
    weight_bits, activation_bits = setting.bits
    work = setting.work / "tuned"
    work.mkdir(parents=True, exist_ok=True)
    config = work / "widths.json"
    kinds = {"weights": weight_bits, "bias": activation_bits, "activation": activation_bits}
    rows = {kind: {"bit_width": bits} for kind, bits in {**kinds, "input": activation_bits}.items()}
    config.write_text(json.dumps({"convert_relu6_to_relu": True, "tensor_quantize_config": rows}), "utf-8")
    options = {"output_dir": work, "device": torch.device("cpu"), "quant_config_file": str(config)}

    def run(model: Any) -> None:
        with torch.no_grad():
            for rows in images.split(BATCH):
                model(rows)

    quantizer = torch_quantizer("calib", float_model(), EXAMPLE, **options)
    quantizer.fast_finetune(run, (quantizer.quant_model,))
    run(quantizer.quant_model)
    quantizer.export_quant_config()
    tested = torch_quantizer("test", float_model(), EXAMPLE, **options)
    tested.load_ft_param()
    return tested.quant_model


def trained(setting: Setting) -> Any:
    """From where fast fine-tuning ended."""
    model = float_model()
    weight_bits, activation_bits = setting.bits
    processor = QatProcessor(model, EXAMPLE, weight_bits=weight_bits, activation_bits=activation_bits)
    files = setting.work / "tuned"
    if not (files / "quant_info.json").is_file():
        tuned(setting)
    trainable = processor.trainable_model(calib_dir=files)
    trainable.to(memory_format=LAYOUT)
    seen, held = setting.learned.part(slice(0, -HELD_OUT)), setting.learned.part(slice(-HELD_OUT, None))
    start = copy.deepcopy(trainable.eval().state_dict())
    before = judged(trainable, held)[1]
    train(trainable, model, seen, setting.training)
    after = judged(trainable, held)[1]
    print(
        f"  cross entropy of {len(held)} images held out: {before:.4f} before, {after:.4f} after", flush=True
    )
    if not after <= before:  # nor where it is no number
        trainable.load_state_dict(start)
    return processor.to_deployable(trainable, setting.work / "trained")


def store(path: Path, row: Row) -> None:
    """Put `row` in place of the one of its rung."""
    rows = json.loads(path.read_text("utf-8")) if path.exists() else []
    kept = [old for old in rows if (old["widths"], old["rung"]) != (row["widths"], row["rung"])]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*kept, row], indent=1) + "\n", "utf-8")


def table(rows: list[Row]) -> str:
    found = {(row["widths"], row["rung"]): row for row in rows}
    lines = ["| widths | " + " | ".join(RUNGS) + " |", "| --- " * (1 + len(RUNGS)) + "|"]
    for widths in WIDTHS:
        cells = (found.get((widths, rung)) for rung in RUNGS)
        lines.append(f"| {widths} | " + " | ".join(f"{c['top1']:.2f} %" if c else "" for c in cells) + " |")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.ladder", description=__doc__)
    how = Training()
    parser.add_argument("--widths", nargs="+", choices=list(WIDTHS), default=list(WIDTHS))
    parser.add_argument("--rungs", nargs="+", choices=RUNGS, default=list(RUNGS))
    parser.add_argument("--epochs", type=float, default=how.epochs)
    parser.add_argument("--batch", type=int, default=how.batch)
    parser.add_argument("--weight-rate", type=float, default=how.weight_rate)
    parser.add_argument("--threshold-rate", type=float, default=how.threshold_rate)
    parser.add_argument("--distilled", type=float, default=how.distilled)
    parser.add_argument("--by-batch", type=float, default=how.by_batch)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--choose", action="store_true", help="train without the held-out images, judge on them"
    )
    parser.add_argument("--out", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
