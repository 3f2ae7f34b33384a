"""Changes of the float model in front of quantization: `convert_fp16_to_fp32` and `convert_nchw_to_nhwc`.

Readers may go on giving what the model took before: float16 becomes float32, and images with their channels first are
turned. (The original leaves that to the reader.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantforge.frontends.onnx.channels_last import FIRST_TO_LAST, channels_last
from quantforge.frontends.onnx.emit import tensor_proto
from quantforge.frontends.onnx.load import load_model
from quantforge.frontends.onnx.to_float32 import to_float32
from quantforge.graph import Array

Change = Callable[[str, Array], Array]


@dataclass(frozen=True)
class ChangedReader:
    """A data reader whose arrays go through `change`."""

    reader: Any
    change: Change

    def get_next(self) -> dict[str, Array] | None:
        """The next batch, changed; None at the end."""
        feeds = self.reader.get_next()
        return None if feeds is None else {name: self.change(name, array) for name, array in feeds.items()}


def changed_model(model: Any, reader: Any, *, to_fp32: bool, to_nhwc: bool) -> tuple[Any, Any]:
    """The model and the reader (or None) with the changes that are asked for; themselves without any.

    Raises:
        InputError: Q0101 to Q0110 when the model cannot be read, Q0607, Q0716: see `channels_last`.
    """
    if not (to_fp32 or to_nhwc):
        return model, reader
    proto, images = _whole(model), dict[str, tuple[int, ...]]()
    if to_fp32:
        proto = to_float32(proto)
    if to_nhwc:
        proto, names = channels_last(proto)
        images = {value.name: _sizes(value) for value in proto.graph.input if value.name in names}

    def change(name: str, array: Array) -> Array:
        array = np.asarray(array)
        if to_fp32 and array.dtype == np.float16:
            array = array.astype(np.float32)
        first = name in images and array.ndim == 4 and array.shape[1:] == images[name]
        return array.transpose(FIRST_TO_LAST) if first else array

    return proto, None if reader is None else ChangedReader(reader, change)


def _whole(model: Any) -> Any:
    """The model as one ModelProto, weights inside."""
    loaded = load_model(model)
    loaded.model.graph.initializer.extend(tensor_proto(name, array) for name, array in loaded.arrays.items())
    return loaded.model


def _sizes(value: Any) -> tuple[int, ...]:
    """[C, H, W] of an input whose channels are last."""
    height, width, channels = (dim.dim_value for dim in value.type.tensor_type.shape.dim[1:])
    return channels, height, width
