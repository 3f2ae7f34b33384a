"""Sketches on disk, so that a second recipe is tried without a second pass over the data.

One .npz file: `head` is JSON with the version and the key (which model, which data); `bins` and `counts` hold the
occupied bins of all tensors one after another; `sizes` says how many belong to each; `extents` and `specials` hold
the exact extremes and the numbers of NaN, infinities and empty arrays. Equal calibrations make equal bytes. Ranges
per batch are not kept: statistics over batches need a pass of their own.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quantforge.calibration.runner import Calibration
from quantforge.calibration.sketch import BINS, Extent, Sketch
from quantforge.diagnostics import InputError
from quantforge.files import atomic_path

VERSION = 1
_BROKEN = (OSError, ValueError, KeyError, TypeError, EOFError, IndexError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class SketchKey:
    """What sketches belong to.

    Attributes:
        model: A hash of the model as it was calibrated (after folding and equalization, which change tensors).
        data: A description of the data: its source, number of samples and preprocessing.
    """

    model: str
    data: str


def save_sketches(path: str | Path, calibration: Calibration, key: SketchKey) -> None:
    """Write the sketches of `calibration`.

    Raises:
        InputError: Q0601 when the file cannot be written.
    """
    names, sketches = list(calibration.sketches), list(calibration.sketches.values())
    occupied = [sketch.occupied() for sketch in sketches]
    head = {
        "version": VERSION,
        "key": asdict(key),
        "batches": calibration.batches,
        "samples": calibration.samples,
        "names": names,
    }
    specials = [(s.nans, *s.infinities, s.empty_arrays) for s in sketches]
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            head=np.frombuffer(json.dumps(head).encode(), np.uint8),
            sizes=np.array([bins.size for bins, _ in occupied], np.int64),
            bins=np.concatenate([np.zeros(0, np.int64), *(bins for bins, _ in occupied)]).astype(np.uint16),
            counts=np.concatenate([np.zeros(0, np.int64), *(counts for _, counts in occupied)]),
            extents=np.array([(s.lo, s.hi) for s in sketches], np.float64).reshape(-1, 2),
            specials=np.array(specials, np.int64).reshape(-1, 4),
        )


def load_sketches(path: str | Path, key: SketchKey | None = None) -> Calibration:
    """Read sketches back; with a `key`, only those that belong to it.

    Raises:
        InputError: Q0214 when the file is damaged, of another version or no sketches, Q0215 when they belong to
            another model or other data.
    """
    try:
        with np.load(Path(path), allow_pickle=False) as archive:
            arrays = {
                name: archive[name] for name in ("head", "sizes", "bins", "counts", "extents", "specials")
            }
        head = json.loads(arrays["head"].tobytes())
        if head["version"] != VERSION:
            raise _unreadable(path, f"version {head['version']}")
        _check_key(path, SketchKey(**head["key"]), key)
        sketches = _sketches(head["names"], arrays)
        return Calibration(sketches, int(head["batches"]), int(head["samples"]))
    except _BROKEN as error:
        raise _unreadable(path, str(error) or type(error).__name__) from error


def _sketches(names: list[str], arrays: dict[str, Any]) -> dict[str, Sketch]:
    ends = np.cumsum(arrays["sizes"])
    bins, counts = arrays["bins"].astype(np.int64), arrays["counts"]
    sound = len(names) == len(ends) and bins.size == counts.size == (ends[-1] if len(ends) else 0)
    if not sound or (counts <= 0).any() or bins.max(initial=0) >= BINS:
        raise ValueError("tables that do not fit together")
    sketches = {}
    for i, name in enumerate(names):
        at = slice(int(ends[i] - arrays["sizes"][i]), int(ends[i]))
        nans, below, above, empty = (int(number) for number in arrays["specials"][i])
        extent = Extent(*(float(end) for end in arrays["extents"][i]))
        sketches[name] = Sketch.restored(bins[at], counts[at], extent, nans, (below, above), empty)
    return sketches


def _check_key(path: str | Path, found: SketchKey, wanted: SketchKey | None) -> None:
    if wanted is None or found == wanted:
        return
    kind = "model" if found.model != wanted.model else "data"
    raise InputError(
        "Q0215",
        str(path),
        f"sketches of {kind} {getattr(found, kind)!r}",
        f"{kind} {getattr(wanted, kind)!r}",
        "calibrate again, or use the file with what it was made from",
    )


def _unreadable(path: str | Path, found: str) -> InputError:
    return InputError("Q0214", str(path), found, f"a file of sketches, version {VERSION}", "calibrate again")
