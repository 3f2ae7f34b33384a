"""The digits model in block formats: what each loses, and an ONNX file that computes in one of them.

    python examples/torch/block_formats.py
    python examples/torch/block_formats.py --dtype mx6 --onnx

Nothing is calibrated: each block of numbers scales itself. The model is trained for a few seconds the first time.
"""

from __future__ import annotations

import argparse
import runpy
from pathlib import Path

import numpy as np
import torch

from pytorch_nndct import bfp

HERE = Path(__file__).parent
DTYPES = ("mx9", "mx6", "mx4", "bfp16", "mxint8", "mxfp8_e4m3", "mxfp6_e2m3", "mxfp4_e2m1")


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--dtype", action="append", help="a block format; several may be given")
    parser.add_argument("--onnx", action="store_true", help="write the last one as ONNX and run it")
    parser.add_argument("--output_dir", type=Path, default=Path("quantize_result"))
    options = parser.parse_args(arguments)
    example = runpy.run_path(str(HERE / "quantize.py"))
    (train_x, train_y), (x, y) = example["images"]()
    model = example["trained"](options.output_dir, train_x, train_y)
    found = {"float": example["evaluate"](model, x, y)}
    for dtype in options.dtype or DTYPES:
        quantized = bfp.quantize_model(model, x[:2], dtype=dtype)
        found[dtype] = example["evaluate"](quantized, x, y)
    for name, accuracy in found.items():
        print(f"{name:12} {accuracy:6.2f} %")
    if options.onnx:
        found["onnx"] = run_onnx(
            bfp.export_onnx_model(quantized, options.output_dir, dynamic_batch=True), x, y
        )
        print(f"{'onnx':12} {found['onnx']:6.2f} %")
    return found


def run_onnx(path: Path, x: torch.Tensor, y: torch.Tensor) -> float:
    """Top-1 accuracy of the file in stock ONNX Runtime."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (answers,) = session.run(None, {"x": x.numpy()})
    return 100 * float((np.argmax(answers, 1) == y.numpy()).mean())


if __name__ == "__main__":
    main()
