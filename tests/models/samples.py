"""What real models are calibrated on and judged on: images of CIFAR-10 and photographs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from PIL import Image

from quantforge.graph import Array
from tests.unit.frontends.onnx.text_models import DATA

CALIBRATION, TEST, PHOTOS = 256, 10_000, 32
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
DETECTORS: dict[str, tuple[tuple[int, int], Callable[[Array], Array]]] = {
    "ultraface_rfb_320": ((320, 240), lambda pixels: (pixels - 127) / 128),
    "fastestdet": ((352, 352), lambda pixels: pixels[:, :, ::-1] / 255),
}


@dataclass(frozen=True)
class Samples:
    """What a model is calibrated on, what it is judged on, and the labels of that, where there are any."""

    calibration: Array
    test: Array
    labels: Array | None = None

    def batches(self, pixels: Array, size: int) -> Iterator[Array]:
        """Model inputs, `size` at a time; images are kept as bytes and normalized here."""
        for start in range(0, len(pixels), size):
            rows = pixels[start : start + size]
            if rows.dtype == np.uint8:
                rows = ((rows.astype(np.float32) / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
            yield np.ascontiguousarray(rows, np.float32)


def cifar_samples(folder: Path) -> Samples:
    """Images of cifar10; decoded once into `folder`."""

    def decoded(part: str, count: int) -> tuple[Array, Array]:
        path = folder / f"cifar10-{part}.npy"
        with np.load(DATA.parent / "cifar10" / f"{part}.npz") as archive:
            jpeg, offset, labels = archive["jpeg"], archive["offset"], archive["label"][:count]
        if not path.exists():
            files = (io.BytesIO(jpeg[offset[i] : offset[i + 1]].tobytes()) for i in range(count))
            np.save(path, np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files]))
        return np.load(path, mmap_mode="r"), labels

    return Samples(decoded("train", CALIBRATION)[0], *decoded("test", TEST))


def photographs(model: str) -> Samples:
    size, prepare = DETECTORS[model]
    files = sorted((DATA.parent / "images").glob("*.jpg"))[: 2 * PHOTOS]
    pixels = [np.asarray(Image.open(file).convert("RGB").resize(size), np.float32) for file in files]
    rows = np.stack([prepare(image).transpose(2, 0, 1) for image in pixels])
    return Samples(rows[0::2], rows[1::2])


def opened(path: Path, integer_kernels: bool = True) -> Any:
    options = ort.SessionOptions()
    if not integer_kernels:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def answers(session: Any, batches: Iterator[Array]) -> dict[str, Array]:
    name = session.get_inputs()[0].name
    rows = [session.run(None, {name: batch}) for batch in batches]
    names = [output.name for output in session.get_outputs()]
    return {name: np.concatenate([row[i] for row in rows]) for i, name in enumerate(names)}
