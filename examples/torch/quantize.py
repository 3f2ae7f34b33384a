"""A small PyTorch model from float to fixed point, in the steps of a vai_q_pytorch script.

    python examples/torch/quantize.py --quant_mode float
    python examples/torch/quantize.py --quant_mode float --inspect --target KV260
    python examples/torch/quantize.py --quant_mode calib
    python examples/torch/quantize.py --quant_mode test --deploy

Weights can be tuned by a few images, without labels, in both modes:

    python examples/torch/quantize.py --quant_mode calib --fast_finetune
    python examples/torch/quantize.py --quant_mode test --fast_finetune

Other formats and methods are chosen by a configuration file, in both modes:

    python examples/torch/quantize.py --quant_mode calib --config_file examples/torch/int_config.json
    python examples/torch/quantize.py --quant_mode test --config_file examples/torch/int_config.json

The model is trained for a few seconds on the digits of examples/digits the first time, and kept beside the results.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pytorch_nndct.apis import Inspector, torch_quantizer

SEED, EPOCHS, BATCH = 0, 12, 64
DEVICE = torch.device("cpu")


class Digits(nn.Module):
    """Functional calls, a residual `+`, a view: nothing is written for the quantizer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.bn2 = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)) + x)
        x = functional.max_pool2d(x, 4)
        return self.linear(x.view(x.size(0), -1))


def images() -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Training and test images [n, 1, 8, 8] with their labels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x = torch.from_numpy((data.images / 8 - 1).astype(np.float32))[:, None]
    y = torch.from_numpy(data.target)
    return (x[:1400], y[:1400]), (x[1400:], y[1400:])


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    torch.manual_seed(SEED)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()


def evaluate(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Top-1 accuracy in percent: any evaluation loop serves for calibration too."""
    with torch.no_grad():
        answers = torch.cat([model(rows).argmax(1) for rows in x.split(BATCH)])
    return 100 * (answers == y).float().mean().item()


def trained(folder: Path, x: torch.Tensor, y: torch.Tensor) -> nn.Module:
    """The float model, from its file when there is one."""
    torch.manual_seed(SEED)
    model, file = Digits(), folder / "digits.pth"
    if file.exists():
        model.load_state_dict(torch.load(file, weights_only=True))
    else:
        train(model, x, y)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), file)
    return model.eval()


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quant_mode", choices=("float", "calib", "test"), default="calib")
    parser.add_argument(
        "--deploy", action="store_true", help="export ONNX, TorchScript and xmodel (mode test)"
    )
    parser.add_argument("--target", help="a DPU or board; what it does not have stays in float")
    parser.add_argument(
        "--inspect", action="store_true", help="say what runs on --target, KV260 when not given, and stop"
    )
    parser.add_argument(
        "--config_file", type=Path, help="a JSON quantization configuration, for calib and test"
    )
    parser.add_argument(
        "--fast_finetune", action="store_true", help="tune weights (calib), or load them (test)"
    )
    parser.add_argument("--output_dir", type=Path, default=Path("quantize_result"))
    options = parser.parse_args(arguments)
    (x, y), (test_x, test_y) = images()
    model = trained(options.output_dir, x, y)
    if options.inspect:
        inspector = Inspector(options.target or "KV260")
        found = inspector.inspect(
            model, test_x[:1], device=DEVICE, output_dir=str(options.output_dir), image_format="svg"
        )
        return 100 * (found.dpu_share or 0)
    quantizer = torch_quantizer(
        options.quant_mode,
        model,
        (test_x[:1]),
        output_dir=str(options.output_dir),
        device=DEVICE,
        target=options.target,
        quant_config_file=options.config_file,
    )
    quant_model = quantizer.quant_model
    if options.fast_finetune and options.quant_mode == "calib":
        quantizer.fast_finetune(evaluate, (quant_model, x[:256], y[:256]))
    elif options.fast_finetune and options.quant_mode == "test":
        quantizer.load_ft_param()
    if options.quant_mode == "calib":
        accuracy = evaluate(quant_model, x[:256], y[:256])
        quantizer.export_quant_config()
        print(f"calibrated on 256 images; wrote {options.output_dir}/quant_info.json")
        return accuracy
    accuracy = evaluate(quant_model, test_x, test_y)
    print(f"{options.quant_mode}: {accuracy:.2f} % of {len(test_x)} test images")
    if options.deploy:
        quantizer.export_torch_script(output_dir=options.output_dir)
        quantizer.export_onnx_model(output_dir=options.output_dir)
        quantizer.export_xmodel(output_dir=options.output_dir, deploy_check=True)
        print("wrote", ", ".join(sorted(path.name for path in options.output_dir.glob("Digits_int.*"))))
    return accuracy


if __name__ == "__main__":
    main()
