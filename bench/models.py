"""The models, each with its images: what `python -m bench` can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench import contestants, data, minilm, resnet

MODELS = data.SHARED / "models"


class Missing(Exception):
    """The reason why a model cannot be benched here."""


@dataclass(frozen=True)
class Case:
    """A model and its images, all files present."""

    name: str
    model: Path
    input_name: str
    calibration: Path
    images: int  # of `calibration`
    test: Path
    test_images: int
    batch_size: int
    test_batch_size: int
    labels: Path | None = None
    classifier: bool = False
    encoder: bool = False  # its output is an embedding of length 1
    contestants: tuple[str, ...] = contestants.FOR_IMAGES


@dataclass(frozen=True)
class Size:
    """How many images; `None` is the model's own number."""

    images: int | None = None
    test_images: int | None = None


Maker = Callable[[Size, Path], Case]


def _cifar10(name: str, file: str, size: Size, cache: Path) -> Case:
    model = _present(MODELS / file)
    _present(data.SHARED / "cifar10" / "train.npz")
    images = size.images or 256
    return Case(
        name=name,
        model=model,
        input_name="input",
        calibration=data.cifar10("train", images, cache),
        images=images,
        test=data.cifar10("test", None, cache),
        test_images=size.test_images or 10_000,
        batch_size=32,
        test_batch_size=100,
        labels=data.cifar10_labels("test", cache),
        classifier=True,
    )


def _detector(
    name: str,
    input_name: str,
    shape: tuple[int, int],
    prepare: Callable[[data.ImageArray], data.ImageArray],
    size: Size,
    cache: Path,
) -> Case:
    """Detectors have a fixed batch of one; of the 200 photographs one half calibrates and the other tests."""
    model = _present(MODELS / f"{name}.onnx")
    _present(data.SHARED / "images")
    return Case(
        name=name,
        model=model,
        input_name=input_name,
        calibration=data.photographs(name, shape, prepare, "calibration", cache),
        images=min(size.images or 64, 100),
        test=data.photographs(name, shape, prepare, "test", cache),
        test_images=min(size.test_images or 100, 100),
        batch_size=1,
        test_batch_size=1,
    )


def _resnet50(size: Size, cache: Path) -> Case:
    """For time and memory: random weights give every image the same class, so there is no agreement to tell."""
    images = size.images or 64
    shape = (3, 224, 224)
    return Case(
        name="resnet50",
        model=resnet.resnet50(cache),
        input_name="input",
        calibration=data.synthetic(shape, images, 1, cache),
        images=images,
        test=data.synthetic(shape, 16, 2, cache),
        test_images=min(size.test_images or 16, 16),
        batch_size=8,
        test_batch_size=8,
        contestants=tuple(
            name
            for name in contestants.HOME
            if name in contestants.FOR_IMAGES
            and not name.endswith(("per-channel", "equalized", "finetuned", "adaround", "a16w8"))
        ),
    )


def _minilm(size: Size, cache: Path) -> Case:
    """A sentence encoder; sentences take the place of images."""
    try:
        model = minilm.encoder(cache)
        sentences = size.images or 64
        calibration = minilm.as_file("calibration", sentences, cache)
        test = minilm.as_file("judged", 200, cache)
    except minilm.Absent as reason:
        raise Missing(str(reason)) from reason
    return Case(
        name="minilm",
        model=model,
        input_name="input_ids",
        calibration=calibration,
        images=sentences,
        test=test,
        test_images=min(size.test_images or 200, 200),
        batch_size=8,
        test_batch_size=8,
        encoder=True,
        contestants=contestants.FOR_SENTENCES,
    )


def for_memory(case: Case, images: int, cache: Path) -> Case:
    """`case` with so many synthetic images, for the contestants whose memory could be independent of the number."""
    return replace(
        case,
        calibration=data.synthetic((3, 224, 224), images, 1, cache),
        images=images,
        contestants=("float", "dpu-cnn", "ort-minmax"),
    )


def _present(path: Path) -> Path:
    if not path.exists():
        raise Missing(f"{path} is absent")
    return path


MAKERS: dict[str, Maker] = {
    "resnet20": partial(_cifar10, "resnet20", "resnet20_cifar10.onnx"),
    "mobilenetv2": partial(_cifar10, "mobilenetv2", "mobilenetv2_cifar10.onnx"),
    "mobilenetv2_rescaled": partial(_cifar10, "mobilenetv2_rescaled", "mobilenetv2_rescaled.onnx"),
    "ultraface_rfb_320": partial(
        _detector, "ultraface_rfb_320", "input", (240, 320), lambda x: (x - 127) / 128
    ),
    "fastestdet": partial(_detector, "fastestdet", "input.1", (352, 352), lambda x: x[::-1] / 255),
    "resnet50": _resnet50,
    "minilm": _minilm,
}
