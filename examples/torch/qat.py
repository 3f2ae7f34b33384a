"""The PyTorch model of quantize.py with 4-bit weights: calibrated, then trained, as a vai_q_pytorch script does.

    python examples/torch/qat.py
    python examples/torch/qat.py --weight_bits 8 --epochs 1

Training begins at a calibration on its first batch. A checkpoint is a state dict like any other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from quantize import BATCH, SEED, evaluate, images, trained
from torch import nn
from torch.nn import functional

from pytorch_nndct import QatProcessor

Pair = tuple[torch.Tensor, torch.Tensor]


def train(model: nn.Module, teacher: nn.Module, data: Pair, epochs: int) -> None:
    """Thresholds learn faster than weights; the float model says what is right."""
    x, _ = data
    groups = [
        {"params": model.quantizer_parameters(), "lr": 1e-2},
        {"params": model.non_quantizer_parameters(), "lr": 1e-3},
    ]
    optimizer = torch.optim.Adam(groups)
    torch.manual_seed(SEED)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            with torch.no_grad():
                wanted = functional.softmax(teacher(x[rows]), 1)
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), wanted).backward()
            optimizer.step()
        schedule.step()


def main(arguments: list[str] | None = None) -> tuple[float, float, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--weight_bits", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--output_dir", type=Path, default=Path("qat_result"))
    options = parser.parse_args(arguments)
    data, (test_x, test_y) = images()
    model = trained(options.output_dir, *data)

    processor = QatProcessor(model, data[0][:1], bitwidth=8, weight_bits=options.weight_bits)
    quantized = processor.trainable_model()
    quantized.eval()
    quantized(data[0][:256])  # calibrates
    calibrated = evaluate(quantized, test_x, test_y)

    quantized.train()
    train(quantized, model, data, options.epochs)
    torch.save(quantized.state_dict(), options.output_dir / "checkpoint.pth")

    quantized.eval()
    deployable = processor.to_deployable(quantized, options.output_dir)
    exact, found = evaluate(model, test_x, test_y), evaluate(deployable, test_x, test_y)
    print(
        f"float {exact:.2f} %, calibrated {calibrated:.2f} %, trained {found:.2f} % of {len(test_x)} images"
    )
    processor.export_onnx_model(options.output_dir, dynamic_batch=True)
    processor.export_torch_script(options.output_dir)
    processor.export_xmodel(options.output_dir)
    print("wrote", ", ".join(sorted(path.name for path in options.output_dir.iterdir())))
    return exact, calibrated, found


if __name__ == "__main__":
    main()
