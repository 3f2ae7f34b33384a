"""Random calibration data, for a quick try without any: one batch, the same one every time.

Sizes that a model leaves open are 1, except for inputs of rank 2 (16 features) and rank 4 (3 channels of 32 by 32).
Floats are uniform in [0, 1), integers 0, unless `RandomDataReaderInputDataRange` says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantforge.calibration.data import InputInfo
from vai_q_onnx.options import wrong_value

SEED = 0
_OPEN_SIZES = {2: (1, 16), 4: (1, 3, 32, 32)}
_SHAPES = "random_data_reader_input_shape"
_RANGES = "extra_options['RandomDataReaderInputDataRange']"


class RandomDataReader:
    """Gives one batch of random feeds, then None.

    Args:
        inputs: What the model expects.
        shapes: A shape (models with one input), a list of shapes in the order of the inputs, or a dict by name;
            empty for the shapes of the model.
        ranges: Lowest and highest value (included, for integers) by input name; None for the defaults above.

    Raises:
        InputError: Q0702 when the shapes or ranges do not fit the inputs.
    """

    def __init__(
        self,
        inputs: Sequence[InputInfo],
        shapes: Sequence[Any] | Mapping[str, Sequence[int]] | None = None,
        ranges: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        given = _by_name(inputs, shapes or ())
        limits = _ranges(inputs, ranges)
        rng = np.random.default_rng(SEED)
        self._feeds: dict[str, NDArray[Any]] | None = {
            info.name: _draw(rng, info, _shape(info, given.get(info.name)), limits.get(info.name))
            for info in inputs
        }

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The batch, and None from then on."""
        feeds, self._feeds = self._feeds, None
        return feeds


def _by_name(inputs: Sequence[InputInfo], shapes: Any) -> dict[str, Any]:
    """The user's shapes by input name."""
    names = [info.name for info in inputs]
    if isinstance(shapes, Mapping):
        for name in shapes:
            if name not in names:
                raise wrong_value(_SHAPES, name, f"names of inputs: {', '.join(names)}", repr(names[0]))
        return dict(shapes)
    if not isinstance(shapes, Sequence) or isinstance(shapes, str):
        raise wrong_value(
            _SHAPES, shapes, "a shape, a list of shapes or a dict of shapes", "[1, 3, 224, 224]"
        )
    shapes = [shapes] if shapes and not isinstance(shapes[0], Sequence) else list(shapes)
    if shapes and len(shapes) != len(names):
        expected = f"one shape for each of the {len(names)} inputs"
        raise wrong_value(_SHAPES, shapes, expected, f"a dict such as {{{names[0]!r}: [1, 3, 224, 224]}}")
    return dict(zip(names, shapes, strict=False))


def _shape(info: InputInfo, given: Any) -> tuple[int, ...]:
    """The user's shape, else the model's with its open sizes filled in."""
    if given is not None:
        sizes = tuple(given)
        sizes = (1, *sizes[1:]) if sizes and not _is_size(sizes[0]) else sizes
        if not all(_is_size(size) for size in sizes):
            raise wrong_value(
                _SHAPES, list(given), f"positive sizes for input {info.name}", "[1, 3, 224, 224]"
            )
        return tuple(int(size) for size in sizes)
    shape = info.shape or (None,)
    filled = _OPEN_SIZES.get(len(shape), (1,) * len(shape))
    pairs = zip(shape, filled, strict=True)
    return tuple(dim if isinstance(dim, int) and dim > 0 else size for dim, size in pairs)


def _is_size(size: object) -> bool:
    return isinstance(size, (int, np.integer)) and not isinstance(size, bool) and bool(size > 0)


def _ranges(inputs: Sequence[InputInfo], ranges: Any) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    if ranges is None:
        return found
    names = [info.name for info in inputs]
    fix = f"{{{names[0]!r}: [0, 1]}}"
    if not isinstance(ranges, Mapping):
        raise wrong_value(_RANGES, ranges, "a dict from input name to [lowest, highest]", fix)
    for name, ends in ranges.items():
        if name not in names:
            raise wrong_value(_RANGES, name, f"names of inputs: {', '.join(names)}", repr(names[0]))
        if not isinstance(ends, Sequence) or len(ends) != 2 or not ends[0] <= ends[1]:
            raise wrong_value(_RANGES, ends, f"[lowest, highest] for input {name}", fix)
        found[name] = (ends[0], ends[1])
    return found


def _draw(
    rng: np.random.Generator, info: InputInfo, shape: tuple[int, ...], ends: tuple[float, float] | None
) -> NDArray[Any]:
    dtype = np.dtype(info.dtype)
    if ends is not None and dtype.kind in "iu":
        return rng.integers(int(ends[0]), int(ends[1]), shape, endpoint=True).astype(dtype)
    low, high = ends or (0.0, 1.0)
    return (low + (high - low) * rng.random(shape)).astype(dtype)
