"""Fast fine-tuning of an ONNX model: the digits network on its calibration images.

Needs `pip install quantforge[torch]`.

python examples/digits/fine_tune.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import quantforge
from quantforge.quantization.fine_tuning import FineTune, TuneMethod
from quantforge.quantization.recipe_file import load_recipe

HERE = Path(__file__).parent


def main() -> None:
    """Quantize without and with fine-tuning, and say what it did."""
    recipe = load_recipe("dpu-cnn")
    for tuning in (None, FineTune(), FineTune(TuneMethod.ADAROUND)):
        result = quantforge.quantize(
            HERE / "digits.onnx", HERE / "calibration.npy", recipe=replace(recipe, finetune=tuning)
        )
        print("as calibrated" if tuning is None else tuning.method.value)
        for note in result.report.notes:
            if note.made_by == "fine-tune" and note.op == "outputs":
                print(f"  {note.text}")


if __name__ == "__main__":
    main()
