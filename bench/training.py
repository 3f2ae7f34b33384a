"""Three epochs of training on CIFAR-10 with a float teacher: how `bench.ladder` trains.

The loss is half cross entropy, half distillation from the float model's logits (Hinton et al., 2015, temperature 2).
Images are flipped and cut out of a frame of 4 zeros. Weights by stochastic gradients with Nesterov's momentum,
thresholds by Adam; both rates rise over the first steps and fall to zero along a cosine. Normalizations see the
statistics of each batch at first, and towards the end those that will be folded into the weights.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from bench.data import SHARED

MEAN = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
STD = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
BORDER, SIZE, LAYOUT = 4, 32, torch.channels_last
HELD_OUT = 2000  # the last training images, for choices
WARM_UP = 100  # steps over which the rates rise


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
    weight_rate: float = 2e-2
    threshold_rate: float = 2e-3
    distilled: float = 0.5
    by_batch: float = 0.8  # the share of steps, at the start, that normalize by the statistics of the batch
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
    """Train a module that `QatProcessor.trainable_model` made; returns seconds."""
    start, seen = time.monotonic(), 0.0
    model.train()
    steps = int(how.epochs * len(images) / how.batch)
    optimizers, schedules = _optimizers(model, how, steps)
    for step, (x, labels) in enumerate(_batches(images, how, steps), 1):
        if step == int(steps * how.by_batch):
            model.freeze_bn_stats()
        loss = _loss(model(x), _logits(teacher, x), labels, how)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for turn in (*optimizers, *schedules):
            turn.step()
        seen += loss.item()
        if step % 50 == 0 or step == steps:
            rate = (time.monotonic() - start) / step
            print(
                f"  step {step} of {steps}, loss {seen / (step % 50 or 50):.4f}, {rate:.2f} s a step",
                flush=True,
            )
            seen = 0.0
    model.eval()
    return time.monotonic() - start


def _optimizers(
    model: Any, how: Training, steps: int
) -> tuple[list[torch.optim.Optimizer], list[torch.optim.lr_scheduler.LRScheduler]]:
    """Of the weights and of the thresholds, and what changes their rates."""
    weights = [parameter for parameter in model.non_quantizer_parameters() if parameter.requires_grad]
    optimizers = [
        torch.optim.SGD(weights, lr=how.weight_rate, momentum=0.9, nesterov=True, weight_decay=1e-4),
        torch.optim.Adam(model.quantizer_parameters(), lr=how.threshold_rate),
    ]

    def share(step: int) -> float:
        return min(1.0, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * step / steps)) / 2

    return optimizers, [torch.optim.lr_scheduler.LambdaLR(optimizer, share) for optimizer in optimizers]


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
