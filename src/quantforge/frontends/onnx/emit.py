"""Write a graph as an ONNX file or proto.

Files are streamed: the small part of the model is serialized by protobuf, weights go from their arrays straight
to the file. Over 2 GB, which a single ONNX file cannot hold, weights go to a second file beside it. Both are
written under temporary names and renamed when complete, so a failed run leaves nothing behind.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np
from onnx import TensorProto, numpy_helper

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.build import Built, build
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.onnx.native import element_type
from quantforge.frontends.onnx.qoperator import with_integer_operators
from quantforge.frontends.onnx.wire import message_header
from quantforge.graph import Array, Graph

_LARGEST_FILE_BYTES = (1 << 31) - (1 << 24)
_SMALL_BYTES = 1024  # smaller weights stay in the model file
_ALIGNMENT_BYTES = 4096  # so that readers can map each weight
_PRODUCER = "quantforge"


def emit(
    graph: Graph,
    path: str | os.PathLike[str],
    recipe: str = "",
    external_data: bool | None = None,
    form: Form = Form.QDQ,
    finish: Callable[[Any], None] | None = None,
) -> Path:
    """Write `graph` to `path`.

    Args:
        graph: the graph; values that carry a spec become QuantizeLinear and DequantizeLinear pairs.
        path: where to; its folder must exist.
        recipe: name of the recipe, recorded in the model's metadata.
        external_data: weights in a file of their own; None means only above 2 GB.
        form: which operators stand for the specs of values.
        finish: a last change to the ModelProto, which has no initializers yet.

    Returns:
        The path.

    Raises:
        InputError: Q0601 when the folder is missing or not writable.
        UnsupportedError: Q0602 to Q0605 when ONNX cannot express something in the graph.
    """
    target = Path(path)
    built = _built(graph, recipe, form)
    if finish is not None:
        finish(built.model)
    total = sum(array.nbytes for array in built.arrays.values())
    separate = total > _LARGEST_FILE_BYTES if external_data is None else external_data
    with _replacing(target) as file:
        if separate:
            with _replacing(target.with_name(f"{target.name}.data")) as data:
                _write_external(built, file, data, f"{target.name}.data")
        else:
            _write_inline(built, file)
    return target


def to_proto(graph: Graph, recipe: str = "", form: Form = Form.QDQ) -> Any:
    """`graph` as an in-memory ModelProto with all weights inside."""
    built = _built(graph, recipe, form)
    built.model.graph.initializer.extend(tensor_proto(name, array) for name, array in built.arrays.items())
    return built.model


def _built(graph: Graph, recipe: str, form: Form) -> Built:
    if form is Form.QOPERATOR:
        built = build(with_integer_operators(graph))
    else:
        built = build(graph, form=form)
    notes: Mapping[str, str] = {"quantforge.version": _version(), "quantforge.recipe": recipe}
    metadata = dict(getattr(graph.native, "metadata", {}))
    metadata |= {key: value for key, value in notes.items() if value}
    for key, value in metadata.items():
        entry = built.model.metadata_props.add()
        entry.key, entry.value = key, value
    if not built.model.producer_name:
        built.model.producer_name, built.model.producer_version = _PRODUCER, _version()
    return built


@cache
def _version() -> str:
    return version("quantforge")


def tensor_proto(name: str, array: Array, with_data: bool = True) -> Any:
    """`array` as a TensorProto; without data, only name, type and shape."""
    if array.dtype == object or element_type(array.dtype.name) not in _RAW_TYPES:
        return numpy_helper.from_array(np.asarray(array, order="C"), name)
    tensor = TensorProto(name=name, data_type=element_type(array.dtype.name), dims=array.shape)
    if with_data:
        tensor.raw_data = array.tobytes()
    return tensor


def external_tensor(name: str, array: Array, location: str, offset: int) -> Any:
    """A TensorProto whose data lies elsewhere."""
    tensor = tensor_proto(name, array, with_data=False)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(array.nbytes))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def is_raw(array: Array) -> bool:
    """Whether the bytes of `array` are its ONNX raw data (not so for strings and packed types)."""
    return array.dtype != object and element_type(array.dtype.name) in _RAW_TYPES


_RAW_TYPES = {
    *(TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.BOOL),
    *(TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64),
    *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
}


def _write_inline(built: Built, file: IO[bytes]) -> None:
    """ModelProto with its graph (field 7) last and, in it, the initializers (field 5) last."""
    graph = built.model.graph.SerializeToString()
    tensors = []
    size = len(graph)
    for name, array in built.arrays.items():
        streamed = is_raw(array) and array.nbytes >= _SMALL_BYTES
        head = tensor_proto(name, array, with_data=not streamed).SerializeToString()
        payload_head = message_header(9, array.nbytes) if streamed else b""
        inner = len(head) + len(payload_head) + (array.nbytes if streamed else 0)
        tensor_head = message_header(5, inner)
        size += len(tensor_head) + inner
        tensors.append((tensor_head + head + payload_head, array if streamed else None))
    built.model.ClearField("graph")
    file.write(built.model.SerializeToString())
    file.write(message_header(7, size))
    file.write(graph)
    for head, payload in tensors:
        file.write(head)
        if payload is not None:
            _write_array(file, payload)


def _write_external(built: Built, file: IO[bytes], data: IO[bytes], location: str) -> None:
    for name, array in built.arrays.items():
        if not is_raw(array) or array.nbytes < _SMALL_BYTES:
            built.model.graph.initializer.append(tensor_proto(name, array))
            continue
        data.write(b"\0" * (-data.tell() % _ALIGNMENT_BYTES))
        built.model.graph.initializer.append(external_tensor(name, array, location, data.tell()))
        _write_array(data, array)
    file.write(built.model.SerializeToString())


def _write_array(file: IO[bytes], array: Array) -> None:
    whole = np.asarray(array, order="C")
    file.write(whole.reshape(-1).view(np.uint8).data)


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block ends well, and vanishes otherwise.

    Raises:
        InputError: Q0601 when it cannot be written.
    """
    name = ""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            name = file.name
            yield file
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
        name = ""
    except OSError as error:
        raise InputError(
            "Q0601",
            str(path),
            error.strerror or str(error),
            "a path that can be written",
            "create the folder, free some space, or choose another output path",
        ) from error
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
