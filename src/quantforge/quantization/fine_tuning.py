"""Fast fine-tuning as a choice of the recipe, and the seam to the door that does it with gradients.

The flow hands calibration data to a `Tuner` as it passes by, and the quantized graph once its biases are corrected.
What comes back has other weights, biases and perhaps positions; everything after that is as for any other graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from quantforge.diagnostics import InputError
from quantforge.graph import Graph
from quantforge.graph.execution import Feeds
from quantforge.passes.result import Note
from quantforge.progress import Listener

NAME = "fine-tune"


class TuneMethod(str, Enum):
    """What weights may become."""

    ADAQUANT = "adaquant"  # any number of steps of their grid
    ADAROUND = "adaround"  # the multiple of the step below or above what they were


@dataclass(frozen=True)
class FineTune:
    """Weights and biases tuned on calibration data, by what the float model gives for them.

    Attributes:
        method: What weights may become.
        samples: Calibration samples to keep, at most; every eighth is held out and decides what stays.
        mirror: Whether images (inputs of four axes, the last one the width) are seen mirrored as well.
        fit_grids: Whether layers are scaled before calibration so that values fill their grids, see `grid_fitting`.
        positions: Whether positions of activations may move, by what they do to the outputs.
        layers: Whether layers are rounded one by one first.
        epochs: Passes over the samples for all layers together; 0 leaves this stage out.
        batch: Samples per step of that.
        weight_rate: Largest move of a weight per step, in steps of its grid.
        bias_rate: The same for a bias, in steps of the grid behind its layer.
        seed: Of everything drawn by chance.
        memory_mib: Memory for samples and activations; what does not fit goes to temporary files.
        device: Where torch runs, such as "cpu" or "cuda".
    """

    method: TuneMethod = TuneMethod.ADAQUANT
    samples: int = 1024
    mirror: bool = False
    fit_grids: bool = True
    positions: bool = True
    layers: bool = True
    epochs: int = 1
    batch: int = 32
    weight_rate: float = 0.002
    bias_rate: float = 0.006
    seed: int = 0
    memory_mib: int = 1024
    device: str = "cpu"

    def __post_init__(self) -> None:
        least = {"samples": 1, "epochs": 0, "batch": 1, "weight_rate": 0, "bias_rate": 0, "memory_mib": 1}
        for name, low in least.items():
            found = getattr(self, name)
            if not low <= found < float("inf"):
                raise InputError(
                    "Q0521", f"finetune.{name}", repr(found), f"at least {low}", f"{name} = {low or 1}"
                )


class Realigned(Protocol):
    """See `TuneTask`."""

    def __call__(self, graph: Graph) -> Graph:
        """The copy."""


@dataclass(frozen=True)
class TuneTask:
    """What is tuned.

    Attributes:
        base: The float graph behind the passes.
        quantized: The same with specs.
        groups: Values that share a spec, whose positions may move.
        realigned: A copy of a graph with biases, and with positions where the device's shifts reach them.
        listener: Told of the progress.
    """

    base: Graph
    quantized: Graph
    groups: tuple[tuple[str, ...], ...]
    realigned: Realigned
    listener: Listener | None = None


class Tuner(Protocol):
    """Keeps samples, then tunes by them."""

    def keep(self, feeds: Feeds) -> bool:
        """Copy one batch; whether more are wanted."""

    def tune(self, reference: Graph, task: TuneTask) -> tuple[Graph, tuple[Note, ...]]:
        """The quantized graph with tuned constants, and what was done.

        `reference` is the model before any pass: its outputs are the aim.
        """


class Kept:
    """Batches on their way, which a tuner sees first; `reference` is the model before any pass."""

    def __init__(self, batches: Iterable[Feeds], tuner: Tuner, reference: Graph) -> None:
        self._batches, self._tuner, self._open = iter(batches), tuner, True
        self._reference: Graph | None = reference

    def __iter__(self) -> Iterator[Feeds]:
        return self

    def __next__(self) -> Feeds:
        feeds = next(self._batches)
        if self._open:
            self._open = self._tuner.keep(feeds)
        return feeds

    def tuned(self, task: TuneTask) -> tuple[Graph, tuple[Note, ...]]:
        """What the tuner makes of the task, once it has enough: where nothing has read the data, this does.

        The reference is given up, so this can be asked once.
        """
        while self._open and next(self, None) is not None:
            pass
        reference, self._reference = self._reference, None
        assert reference is not None  # noqa: S101  asked once
        return self._tuner.tune(reference, task)


def kept_for(
    recipe: str, options: FineTune | None, batches: Iterable[Feeds], tuner: Tuner | None, reference: Graph
) -> Kept | None:
    """`batches` with the tuner in front; None when no fine-tuning is asked for.

    Raises:
        InputError: Q0520 when it is and the door brought no tuner.
    """
    if options is None:
        return None
    if tuner is None:
        raise InputError(
            "Q0520", f"recipe {recipe}", "fine-tuning, which this door does not do here", "a recipe without finetune",
            "use quantforge.quantize or the command line, or finetune = false",
        )  # fmt: skip
    return Kept(batches, tuner, reference)
