"""Read an ONNX model: a small `ModelProto` without weights, and the weights as (mapped) arrays.

Inline weights of a file become views of the mapped file when they are aligned there, and one copy otherwise.
External data is mapped. Nothing is ever read twice, and the caller's own proto is never changed.
"""

from __future__ import annotations

import math
import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import wire
from quantforge.graph import Array

Source = str | os.PathLike[str] | bytes | Any  # Any: an onnx.ModelProto

_MAPPED_BYTES = 1024  # smaller weights are not worth leaving in the file
# Types whose bytes are not one NumPy item per element.
_PACKED = {
    code
    for name, code in TensorProto.DataType.items()
    if name in ("STRING", "INT2", "UINT2", "INT4", "UINT4", "FLOAT4E2M1")
}
_LOOKS_LIKE = {
    b"version https://git-lfs": "a Git LFS pointer (the weights were never fetched)",
    b"\x89HDF": "an HDF5 file (Keras weights?)",
    b"PK\x03\x04": "a zip archive (a torch or Keras checkpoint?)",
    b"\x80\x02": "a Python pickle",
    b"{": "JSON text",
    b"<": "markup text",
}


@dataclass
class LoadedModel:
    """`model` without any initializer, the weights in `arrays`, and a `name` for messages."""

    model: Any
    arrays: dict[str, Array]
    name: str
    folder: Path | None = None


@dataclass
class _Reader:
    """Turns TensorProtos into arrays; keeps one mapping per external file."""

    name: str
    path: Path | None = None
    files: dict[Path, memoryview] = field(default_factory=dict)

    def array(self, tensor: Any) -> Array:
        """The data of `tensor`, which is inline or external."""
        if tensor.data_location == TensorProto.EXTERNAL:
            return self._external(tensor)
        try:
            return np.asarray(numpy_helper.to_array(tensor))
        except (ValueError, TypeError, KeyError, OverflowError, NotImplementedError) as error:
            return bad_tensor(self.name, tensor.name, str(error))

    def payload(self, tensor: Any, data: memoryview, offset: int | None = None) -> Array:
        """`tensor`, whose raw data is `data`, at `offset` of the model file when it comes from one."""
        if tensor.data_type in _PACKED:
            whole = TensorProto()
            whole.CopyFrom(tensor)
            whole.raw_data = bytes(data)
            return self.array(whole)
        return self._view(tensor, data, offset)

    def _view(self, tensor: Any, data: memoryview, offset: int | None) -> Array:
        shape = tuple(int(d) for d in tensor.dims)
        try:
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
            array = np.frombuffer(data, dtype).reshape(shape)
            if array.flags.aligned:
                return array
            if offset is None or self.path is None:
                return array.copy()
            # Read rather than copy: pages of a mapping count as this process's memory once touched.
            return np.fromfile(self.path, dtype, array.size, offset=offset).reshape(shape)
        except (ValueError, TypeError, KeyError) as error:
            return bad_tensor(self.name, tensor.name, str(error))

    def _external(self, tensor: Any) -> Array:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        data = self._file(tensor.name, entries.get("location", ""))
        try:
            offset = int(entries.get("offset", 0))
            length = int(entries.get("length", len(data) - offset))
        except ValueError:
            return bad_tensor(
                self.name, tensor.name, f"an external offset or length that is no number: {entries}"
            )
        if tensor.data_type not in _PACKED and "length" not in entries:
            length = _tensor_bytes(tensor, length)
        if offset < 0 or length < 0 or offset + length > len(data):
            raise InputError(
                "Q0106",
                f"{self.name}: initializer {tensor.name!r}",
                f"{len(data)} bytes in {entries['location']!r}",
                f"bytes {offset} to {offset + length}",
                "copy the external data file again: this one is truncated or of another model",
            )
        return self.payload(tensor, data[offset : offset + length])

    def _file(self, tensor: str, location: str) -> memoryview:
        where = f"{self.name}: initializer {tensor!r}"
        if self.path is None:
            raise InputError(
                "Q0106",
                where,
                f"external data {location!r} of a model given without its file",
                "weights inside the model, or a path",
                "pass the path of the model file instead of the loaded proto",
            )
        path = self.path.parent / location
        _refuse_escape(where, self.path, location)
        if path not in self.files:
            try:
                self.files[path] = _map(path)
            except OSError as error:
                raise InputError(
                    "Q0106",
                    where,
                    f"no readable file {str(path)!r} ({error.strerror or error})",
                    "the external data file that the model names",
                    f"put {location!r} beside the model",
                ) from error
        return self.files[path]


def bad_tensor(model: str, tensor: str, found: str) -> NoReturn:
    """Raise Q0108: the data of a tensor does not fit its declared shape and type."""
    raise InputError(
        "Q0108",
        f"{model}: tensor {tensor!r}",
        found or "unreadable data",
        "data that fits the declared shape and type",
        "export the model again: this file is damaged",
    )


def load_model(source: Source) -> LoadedModel:
    """Read `source`: a path, serialized bytes or a ModelProto.

    Raises:
        InputError: Q0101 (not ONNX), Q0102 (no such file), Q0103 (not a file), Q0104 (unreadable), Q0106 and
            Q0107 (external data), Q0108 (a damaged tensor).
    """
    if isinstance(source, ModelProto):
        reader = _Reader("the given model")
        return _finish(*_split_proto(source, reader), reader)
    if isinstance(source, bytes):
        reader, buffer = _Reader("the given bytes"), memoryview(source)
    else:
        path = Path(source)
        reader, buffer = _Reader(str(path), path), _open(path)
    return _finish(*_split_bytes(buffer, reader), reader)


def _open(path: Path) -> memoryview:
    name = str(path)
    try:
        if path.is_dir():
            raise InputError("Q0103", name, "a folder", "a model file", "name the .onnx file inside it")
        if path.stat().st_size == 0:
            raise InputError(
                "Q0101", name, "an empty file", "an ONNX model", "export or download the model again"
            )
        return _map(path)
    except FileNotFoundError as error:
        near = [p.name for p in sorted(path.parent.glob("*.onnx"))[:3]] if path.parent.is_dir() else []
        hint = f"one of {', '.join(near)}" if near else "check the path"
        raise InputError("Q0102", name, "no such file", "a model file", hint) from error
    except OSError as error:
        raise InputError(
            "Q0104", name, error.strerror or str(error), "a readable file", "check its permissions"
        ) from error


def _map(path: Path) -> memoryview:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _split_bytes(buffer: memoryview, reader: _Reader) -> tuple[Any, dict[str, Array]]:
    try:
        small, payloads = wire.strip_payloads(buffer, _MAPPED_BYTES)
        model = ModelProto.FromString(small)
    except (wire.MalformedError, DecodeError, ValueError) as error:
        raise _not_onnx(reader.name, _describe(buffer, str(error))) from error
    if not model.HasField("graph") or not (model.opset_import or model.ir_version):
        raise _not_onnx(reader.name, _describe(buffer, "no graph inside"))
    _check_text(model, reader.name)
    ranges = {payload.index: payload for payload in payloads}
    arrays: dict[str, Array] = {}
    for index, tensor in enumerate(model.graph.initializer):
        at = ranges.get(index)
        if at is None:
            arrays[tensor.name] = reader.array(tensor)
        else:
            arrays[tensor.name] = reader.payload(tensor, buffer[at.start : at.end], at.start)
    return model, arrays


def _check_text(message: Any, name: str) -> None:
    """Names must be text; protobuf hands out ill-formed UTF-8 as bytes."""
    for descriptor, value in message.ListFields():
        repeated = descriptor.is_repeated
        if descriptor.type == descriptor.TYPE_STRING:
            if not all(isinstance(text, str) for text in (value if repeated else (value,))):
                raise _not_onnx(name, f"text that is not UTF-8 in field {descriptor.name!r}")
        elif descriptor.type == descriptor.TYPE_MESSAGE:
            for inner in value if repeated else (value,):
                _check_text(inner, name)


def _split_proto(source: Any, reader: _Reader) -> tuple[Any, dict[str, Array]]:
    if not source.HasField("graph"):
        raise _not_onnx(reader.name, "a ModelProto without a graph")
    model, graph = ModelProto(), GraphProto()
    for descriptor, value in source.ListFields():
        if descriptor.name != "graph":
            _assign(model, descriptor, value)
    for descriptor, value in source.graph.ListFields():
        if descriptor.name != "initializer":
            _assign(graph, descriptor, value)
    model.graph.CopyFrom(graph)
    return model, {tensor.name: reader.array(tensor) for tensor in source.graph.initializer}


def _assign(message: Any, descriptor: Any, value: Any) -> None:
    field_value = getattr(message, descriptor.name)
    if hasattr(field_value, "MergeFrom"):
        field_value.MergeFrom(value)
    else:
        setattr(message, descriptor.name, value)


def _finish(model: Any, arrays: dict[str, Array], reader: _Reader) -> LoadedModel:
    model.graph.ClearField("initializer")
    for sparse in model.graph.sparse_initializer:
        arrays[sparse.values.name] = dense_array(sparse, reader.name)
    model.graph.ClearField("sparse_initializer")
    return LoadedModel(model, arrays, reader.name, reader.path.parent if reader.path else None)


def dense_array(sparse: Any, model: str) -> Array:
    """The full tensor of a SparseTensorProto: `values` at flat or per-axis `indices`, zero elsewhere."""
    values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    try:
        where = indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), dense.shape)
        dense.reshape(-1)[where] = values
    except (ValueError, IndexError) as error:
        return bad_tensor(model, sparse.values.name, str(error))
    return dense


def inline_array(tensor: Any, model: str) -> Array:
    """The data of a TensorProto that is no initializer (an attribute): never external."""
    return _Reader(model).array(tensor)


def _refuse_escape(where: str, model: Path, location: str) -> None:
    """External data must lie in the model's folder, or beside the file a link to the model leads to."""
    target = Path(os.path.realpath(model.parent / location))
    allowed = {Path(os.path.realpath(model.parent)), Path(os.path.realpath(model)).parent}
    lexical = Path(os.path.normpath(location))
    inside = not lexical.is_absolute() and ".." not in lexical.parts
    if not location or not inside or not any(target.is_relative_to(folder) for folder in allowed):
        raise InputError(
            "Q0107",
            where,
            f"external data at {location!r}",
            "a path inside the model's own folder",
            "do not use this model unless you trust it; then move the data beside it and fix the location",
        )


def _tensor_bytes(tensor: Any, otherwise: int) -> int:
    try:
        item = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    except (KeyError, TypeError):
        return otherwise
    return math.prod((item, *(int(dim) for dim in tensor.dims)))


def _describe(buffer: memoryview, otherwise: str) -> str:
    head = bytes(buffer[:64])
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    for magic, description in _LOOKS_LIKE.items():
        if head.startswith(magic):
            return description
    return f"{len(buffer)} bytes that do not parse ({otherwise})"


def _not_onnx(name: str, found: str) -> InputError:
    return InputError("Q0101", name, found, "an ONNX model", "export or download the model again")
