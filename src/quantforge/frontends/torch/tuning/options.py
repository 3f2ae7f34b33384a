"""The choices of fine-tuning, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log10

from quantforge.frontends.torch.tuning.kept import Budget
from quantforge.graph import Graph


@dataclass(frozen=True)
class Schedule:
    """How all layers are tuned together.

    Attributes:
        epochs: Passes over the samples; 0 leaves this stage out.
        batch: Samples per step.
        weight_rate: Largest move of a weight per step, in steps of its grid, at the start.
        bias_rate: The same for a bias, in steps of the grid behind its layer.
    """

    epochs: int = 4
    batch: int = 32
    weight_rate: float = 0.002
    bias_rate: float = 0.006


@dataclass(frozen=True)
class TuneOptions:
    """All choices of fine-tuning.

    Attributes:
        seed: Of everything drawn by chance: which samples are held out, positions, the order of samples.
        budget: Memory for samples, activations and targets, and the folder for what does not fit.
        held_out: Share of the samples that takes no part and decides what is kept.
        mirror: Whether images are seen mirrored as well, where samples are images.
        nearest: Whether a weight may only become the multiple of its step below or above what it was (AdaRound).
        positions: Whether positions of activations may move, where a search is given.
        position_samples: Samples that this is decided by, besides those held out.
        layers: Whether layers are rounded one by one first.
        layer_samples: Samples that are looked at for that.
        schedule: How the network is tuned as a whole.
    """

    seed: int = 0
    budget: Budget = field(default_factory=Budget)
    held_out: float = 0.125
    mirror: bool = False
    nearest: bool = False
    positions: bool = True
    position_samples: int = 256
    layers: bool = True
    layer_samples: int = 512
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True)
class LayerResult:
    """One layer: the share of its output's energy that is wrong on held-out samples, before and after rounding."""

    op: str
    before: float
    after: float

    @property
    def kept(self) -> bool:
        """Whether its new weights were better and stayed."""
        return self.after < self.before


@dataclass(frozen=True)
class Stage:
    """A state of the network on the way, and the share of its outputs' energy that is wrong on held-out samples."""

    name: str
    loss: float

    @property
    def sqnr_db(self) -> float:
        """The same as a ratio of signal to noise, in dB."""
        return -10 * log10(max(self.loss, 1e-30))


@dataclass(frozen=True)
class Tuned:
    """What fine-tuning made.

    Attributes:
        base: The float graph with tuned weights and biases; they lie on their grids.
        graph: The quantized graph with the same.
        constants: Names of the constants that were tuned.
        layers: What came of each layer.
        stages: The network at the start, after the layers, and after each pass; the best one stays.
        chosen: Which of the stages stayed.
        samples: How many samples there were, those held out included.
        memory_bytes: The most that was kept in memory at one time: samples, activations, targets.
        file_bytes: The same in files.
    """

    base: Graph
    graph: Graph
    constants: tuple[str, ...]
    layers: tuple[LayerResult, ...]
    stages: tuple[Stage, ...]
    chosen: str
    samples: int
    memory_bytes: int
    file_bytes: int
