"""Three epochs of training on CIFAR-10 with a float teacher: how `bench.ladder` trains.

The loss is half cross entropy, half distillation from the float model's logits (Hinton et al., 2015, temperature 2).
Images are flipped and cut out of a frame of 4 zeros. Adam; both learning rates fall to zero along a cosine, and the
weights are the mean of those of the last steps (Izmailov et al., 2018, arXiv:1803.05407).
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from bench.data import SHARED

MEAN = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
STD = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
BORDER, SIZE, LAYOUT = 4, 32, torch.channels_last
HELD_OUT = 2000  # the last training images, for choices


@dataclass(frozen=True)
class Images:
    """Pixels uint8 [n, 3, 32, 32] and labels int64 [n]."""

    pixels: torch.Tensor
    labels: torch.Tensor

    def part(self, rows: slice) -> Images:
        return Images(self.pixels[rows], self.labels[rows])

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Training:
    """How long and how fast."""

    epochs: float = 3
    batch: int = 128
    weight_rate: float = 1e-4
    threshold_rate: float = 2e-3
    distilled: float = 0.5
    averaged: float = 0.5  # the share of steps, at the end, whose weights are averaged
    temperature: float = 2.0
    seed: int = 0


def cifar10(part: str, cache: Path) -> Images:
    """All images of "train" or "test", decoded once."""
    path = cache / f"cifar10-{part}-pixels.npz"
    if not path.exists():
        with np.load(SHARED / "cifar10" / f"{part}.npz") as archive:
            jpeg, offset, labels = archive["jpeg"], archive["offset"], archive["label"]
        files = (io.BytesIO(jpeg[offset[i] : offset[i + 1]].tobytes()) for i in range(len(labels)))
        pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(
            path, pixels=np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), labels=labels.astype(np.int64)
        )
    with np.load(path) as archive:
        return Images(torch.from_numpy(archive["pixels"]), torch.from_numpy(archive["labels"]))


def normalized(pixels: torch.Tensor) -> torch.Tensor:
    return ((pixels.float() / 255 - MEAN) / STD).contiguous(memory_format=LAYOUT)


def augmented(pixels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Each image flipped or not, and cut out at a place of its own."""
    count = len(pixels)
    framed = functional.pad(pixels, (BORDER,) * 4)
    rows, columns = (
        torch.randint(0, 2 * BORDER + 1, (count, 1), generator=random) + torch.arange(SIZE) for _ in range(2)
    )
    flipped = torch.rand(count, 1, generator=random) < 0.5
    columns = torch.where(flipped, columns.flip(1), columns)
    picked = framed[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


def judged(module: Any, images: Images, batch: int = 250) -> tuple[float, float]:
    """Percent of right answers, and the mean cross entropy."""
    with torch.no_grad():
        logits = torch.cat([module(normalized(rows)) for rows in images.pixels.split(batch)])
    right = (logits.argmax(1) == images.labels).double().mean().item()
    return 100 * right, functional.cross_entropy(logits, images.labels).item()


def train(model: Any, teacher: Any, images: Images, how: Training) -> float:
    """Train a module that `QatProcessor.trainable_model` made, normalizations frozen; returns seconds."""
    start, seen = time.monotonic(), 0.0
    model.train()
    model.freeze_bn_stats()
    weights = [parameter for parameter in model.non_quantizer_parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(
        [
            {"params": model.quantizer_parameters(), "lr": how.threshold_rate},
            {"params": weights, "lr": how.weight_rate},
        ]
    )
    steps = int(how.epochs * len(images) / how.batch)
    mean = torch.optim.swa_utils.AveragedModel(nn.ParameterList(weights))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step, (x, labels) in enumerate(_batches(images, how, steps), 1):
        loss = _loss(model(x), _logits(teacher, x), labels, how)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step > steps * (1 - how.averaged):
            mean.update_parameters(nn.ParameterList(weights))
        seen += loss.item()
        if step % 50 == 0 or step == steps:
            rate = (time.monotonic() - start) / step
            print(
                f"  step {step} of {steps}, loss {seen / (step % 50 or 50):.4f}, {rate:.2f} s a step",
                flush=True,
            )
            seen = 0.0
    if how.averaged:
        with torch.no_grad():
            for parameter, found in zip(weights, mean.parameters(), strict=True):
                parameter.copy_(found)
    model.eval()
    return time.monotonic() - start


def _batches(images: Images, how: Training, steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    random = torch.Generator().manual_seed(how.seed)
    while steps > 0:
        order = torch.randperm(len(images), generator=random)
        for rows in order[: len(order) // how.batch * how.batch].split(how.batch)[:steps]:
            yield normalized(augmented(images.pixels[rows], random)), images.labels[rows]
            steps -= 1


def _logits(teacher: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = teacher(x)
    return found


def _loss(found: torch.Tensor, wanted: torch.Tensor, labels: torch.Tensor, how: Training) -> torch.Tensor:
    soft = functional.kl_div(
        functional.log_softmax(found / how.temperature, 1),
        functional.softmax(wanted / how.temperature, 1),
        reduction="batchmean",
    )
    hard = functional.cross_entropy(found, labels)
    return (1 - how.distilled) * hard + how.distilled * how.temperature**2 * soft
