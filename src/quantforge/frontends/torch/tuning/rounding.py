"""Weights rounded together: integers of least squared error at the output of a layer, not of each weight by itself.

What: over samples, the error of a row w of weights is  (w - v) G (w - v)'  plus a constant, with G the mean of
a' a over the layer's inputs a, and v the real-valued optimum. Two steps find multiples of the grid's step for it:
    one after the other   each weight is rounded, and the weights that are not rounded yet take over its error,
    coordinate descent    each weight moves to the best integer while the others stay, until none moves.
Cost: columns^2 per row and sweep; nothing runs through the network.
Reference: Frantar et al., GPTQ, 2022 (arXiv:2210.17323), for the first; Behdin et al., QuantEase, 2023
(arXiv:2309.01885), for the second.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from quantforge.calibration.runner import available_processors
from quantforge.numerics.compiled import compiled

Matrices = NDArray[np.float64]
_DAMPING = 1e-3  # of the mean of G's diagonal, added to it, so that unseen directions count a little
_WORK = 1_000_000  # operations that are worth a thread


@dataclass(frozen=True)
class Steps:
    """The grid of each row: step [groups, rows], and the smallest and largest number of steps.

    With `near` [groups, rows, columns] a weight is that number of steps or one more, within these.
    """

    step: Matrices
    low: float
    high: float
    near: Matrices | None = None


def around(grid: Steps, weights: Matrices) -> Steps:
    """The grid with each weight held to the multiple below or above the real `weights` [groups, rows, columns]."""
    return replace(grid, near=np.ascontiguousarray(np.floor(weights / grid.step[:, :, None])))


def damped(gram: Matrices) -> Matrices:
    """`gram` [groups, columns, columns] with a little on its diagonal."""
    size = np.maximum(np.einsum("gkk->g", gram) / gram.shape[-1], 1e-12)
    return np.ascontiguousarray(gram + np.eye(gram.shape[-1]) * (size * _DAMPING)[:, None, None])


def round_rows(wanted: Matrices, gram: Matrices, grid: Steps) -> Matrices:
    """Multiples of the steps near the optimum `wanted` [groups, rows, columns] under `gram`, which is `damped`.

    Columns with the largest entry on the diagonal go first: what follows makes up for their errors.
    """
    order = np.argsort(-np.einsum("gkk->gk", gram), axis=1, kind="stable")
    rows = np.take_along_axis(gram, order[:, :, None], 1)
    factor = inverse_factor(np.take_along_axis(rows, order[:, None, :], 2))
    rest = np.ascontiguousarray(np.take_along_axis(wanted, order[:, None, :], 2))
    out = np.empty_like(rest)
    _shared(carry_errors, rest, factor, grid, out)
    found = np.empty_like(out)
    np.put_along_axis(found, np.broadcast_to(order[:, None, :], out.shape), out, 2)
    return descend_rows(found, gram, wanted @ gram, grid)


def inverse_factor(gram: Matrices) -> Matrices:
    """The upper triangles U with  inv(gram) = U' U.

    With J that turns the order around and  J gram J = L L',  U is  J inv(L) J.
    """
    turned = torch.from_numpy(gram).flip((1, 2))
    lower = torch.linalg.cholesky(turned)
    whole = torch.eye(gram.shape[-1], dtype=lower.dtype).expand_as(lower)
    inverse = torch.linalg.solve_triangular(lower, whole, upper=False)
    return np.asarray(inverse.flip((1, 2)).contiguous().numpy())


def descend_rows(start: Matrices, gram: Matrices, pull: Matrices, grid: Steps) -> Matrices:
    """Coordinate descent from `start` on  w G w' - 2 w pull',  with `pull` [groups, rows, columns]."""
    out = np.ascontiguousarray(start.copy())
    _shared(settle, np.ascontiguousarray(out @ gram - pull), gram, grid, out)
    return out


def _shared(run: Callable[..., None], first: Matrices, metric: Matrices, grid: Steps, out: Matrices) -> None:
    """Call a compiled function on parts of all rows, in threads."""
    groups, rows, columns = out.shape
    parts = min(available_processors(), 1 + groups * rows * columns**2 // _WORK)
    bounds = np.linspace(0, groups * rows, parts + 1).astype(int).tolist()
    step = np.ascontiguousarray(grid.step.reshape(-1))
    flat, into = (array.reshape(groups * rows, columns) for array in (first, out))

    near = np.empty((0, 0)) if grid.near is None else grid.near.reshape(groups * rows, columns)

    def work(k: int) -> Any:
        run(flat, metric, step, near, grid.low, grid.high, bounds[k], bounds[k + 1], into)

    if parts == 1:
        work(0)
        return
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, range(parts)))


_ARGUMENTS = (
    "float64[2]", "float64[3] const", "float64[1] const", "float64[2] const", "float64", "float64", "int64", "int64",
    "float64[2]",
)  # fmt: skip


@compiled(*_ARGUMENTS)
def carry_errors(
    rest: Matrices,
    factor: Matrices,
    step: Matrices,
    near: Matrices,
    low: float,
    high: float,
    begin: int,
    end: int,
    out: Matrices,
) -> None:
    """Round rows of `rest` from the first column to the last; what is left of each goes to those behind it."""
    per_group = rest.shape[0] // factor.shape[0]
    for r in range(begin, end):
        g = r // per_group
        for j in range(rest.shape[1]):
            q = np.floor(rest[r, j] / step[r] + 0.5)
            if near.shape[0] > 0:
                q = near[r, j] if q < near[r, j] else q
                q = near[r, j] + 1.0 if q > near[r, j] + 1.0 else q
            q = low if q < low else q
            q = high if q > high else q
            out[r, j] = q * step[r]
            error = (rest[r, j] - out[r, j]) / factor[g, j, j]
            for k in range(j + 1, rest.shape[1]):
                rest[r, k] -= error * factor[g, j, k]


@compiled(*_ARGUMENTS)
def settle(
    slope: Matrices,
    gram: Matrices,
    step: Matrices,
    near: Matrices,
    low: float,
    high: float,
    begin: int,
    end: int,
    out: Matrices,
) -> None:
    """Move single weights to their best multiple until nothing moves; `slope` is half the gradient."""
    per_group = out.shape[0] // gram.shape[0]
    for r in range(begin, end):
        g = r // per_group
        for _ in range(12):
            moved = 0
            for j in range(out.shape[1]):
                q = np.floor((out[r, j] - slope[r, j] / gram[g, j, j]) / step[r] + 0.5)
                if near.shape[0] > 0:
                    q = near[r, j] if q < near[r, j] else q
                    q = near[r, j] + 1.0 if q > near[r, j] + 1.0 else q
                q = low if q < low else q
                q = high if q > high else q
                delta = q * step[r] - out[r, j]
                if delta != 0.0:
                    moved += 1
                    out[r, j] = q * step[r]
                    for k in range(out.shape[1]):
                        slope[r, k] += delta * gram[g, j, k]
            if moved == 0:
                break
