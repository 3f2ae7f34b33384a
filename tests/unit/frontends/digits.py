"""The example network and its data, for the tests that climb."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quantforge.frontends.onnx.import_ import import_model
from quantforge.frontends.rungs import Trial

FOLDER = Path(__file__).parents[3] / "examples" / "digits"
MODEL, DATA = str(FOLDER / "digits.onnx"), str(FOLDER / "calibration.npy")


def trial(folder: Path | None = None, hold_out: int = 4) -> Trial:
    return Trial(import_model(MODEL), DATA, hold_out, folder=folder)


def labels() -> np.ndarray:
    """What the float model answers."""
    import onnxruntime

    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    answers: np.ndarray = session.run(None, {"image": np.load(DATA)})[0].argmax(1)
    return answers
