"""The seam between the shared graph and whatever runs it: ONNX Runtime, torch, or the reference interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from quantforge.graph.graph import Array, Graph

Feeds = Mapping[str, Array]


class Shaped(Protocol):
    """An array of any library."""

    @property
    def shape(self) -> Sequence[int]:
        """Sizes of the axes."""


def sample_count(feeds: Mapping[str, Shaped]) -> int:
    """Samples in a batch: the first axis of its first array that has axes; 1 where none has.

    >>> import numpy as np
    >>> sample_count({"scale": np.float32(2.0), "x": np.zeros((8, 3))})
    8
    """
    return next((array.shape[0] for array in feeds.values() if array.shape), 1)


class Session(Protocol):
    """A graph made ready to run."""

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """Run one batch; returns the observed values by name.

        The arrays belong to the session: they are valid until the next call, which may reuse their memory.
        """


class Executor(Protocol):
    """Makes sessions. Values that carry a `QuantSpec` are fake-quantized where the graph says so."""

    def session(self, graph: Graph, observe: Sequence[str], brief: bool = False) -> Session:
        """Prepare `graph`; each run returns the values named in `observe` (any values, not just outputs).

        A `brief` session will run a few batches only: it starts quickly and lean rather than runs quickly.
        """
