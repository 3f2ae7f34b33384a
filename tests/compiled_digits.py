"""The example model of digits, quantized, lowered and compiled: once with the rounding of ONNX, once with a DPU's."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

import quantforge
from quantforge.compiler.compile import Attachments, compilation
from quantforge.compiler.lower import lower
from quantforge.compiler.settle import settle
from quantforge.debugging.vectors import record_vectors
from quantforge.frontends.onnx import absorb, import_model, single_node
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import Attr, XModel
from quantforge.xmodel.write import write_xmodel

DIGITS = Path(__file__).parents[1] / "examples" / "digits"
FLOAT = DIGITS / "digits.onnx"
DATA = DIGITS / "calibration.npy"
PREPROCESSING = '{"scale": 0.00392157, "color": "gray"}'


@cache
def folder() -> Path:
    """A folder for the files, made once per process."""
    return Path(tempfile.mkdtemp(prefix="quantforge-digits-"))


@cache
def quantized() -> Path:
    """int8.onnx, with powers of two."""
    path = folder() / "int8.onnx"
    quantforge.quantize(str(FLOAT), str(DATA), samples=64, output=path, recipe="dpu-cnn")
    return path


@cache
def flat(round_mode: str) -> XModel:
    """The quantized model in XIR, not compiled; PY3_ROUND is what ONNX does."""
    model = lower(absorb(import_model(quantized())), node_of=single_node)
    for op in model.ops.values():
        if op.kind == "fix":
            op.attrs["round_mode"] = Attr("string", round_mode)
    return model


@cache
def compiled(round_mode: str) -> Path:
    """The compiled model with test vectors, as a file."""
    model = flat(round_mode)
    devices = dict.fromkeys(settle(model).model.ops, "DPU")
    attachments = Attachments(preprocessing=PREPROCESSING, vectors=record_vectors)
    made = compilation(model, load_dpu("ZCU102"), devices=devices, attachments=attachments).model
    return write_xmodel(made, folder() / f"{round_mode}.xmodel")


def samples(count: int) -> list[dict[str, np.ndarray]]:
    """Feeds of one sample each."""
    images = np.load(DATA)[:count].astype(np.float32)
    return [{"image": images[i : i + 1]} for i in range(count)]
