"""`dump_model`: the weights and activations of a quantized model as files, see `quantforge.frontends.onnx.dump`.

Every form of quantization is read: QDQ, QOperator, the operators of Vitis AI, with 8, 16 or 32 bits.
"""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from quantforge.calibration.data import open_data
from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import import_model, input_infos
from quantforge.frontends.onnx.absorb_qdq import absorb
from quantforge.frontends.onnx.dump import dump_values
from quantforge.graph import Array, Graph
from vai_q_onnx.random_reader import RandomDataReader


def dump_model(
    model: str | PathLike[str] | Any,
    dump_data_reader: Any = None,
    random_data_reader_input_shape: Any = None,
    dump_float: bool = False,
    output_dir: str | PathLike[str] = "./dump_results",
) -> None:
    """Run one batch through a quantized model and write every tensor.

    Args:
        model: The quantized model: a path, or a ModelProto.
        dump_data_reader: Where the batch comes from: its first ``get_next()``, or an array for the first input; None
            for random data.
        random_data_reader_input_shape: Shapes of the random data. A path here is the `output_dir`: older documents
            have it in this place.
        dump_float: Write real numbers too, also of tensors that are not quantized.
        output_dir: Where to.

    Raises:
        InputError: Q0710 when there is nothing to write, Q0711 when the reader gives nothing.
        QuantforgeError: When the model or the data cannot be read.
    """
    graph = absorb(import_model(model))
    older = isinstance(random_data_reader_input_shape, str | PathLike)
    folder = random_data_reader_input_shape if older else output_dir
    shapes = None if older else random_data_reader_input_shape
    dump_values(graph, _batch(graph, dump_data_reader, shapes), str(folder), dump_float)


def _batch(graph: Graph, reader: Any, shapes: Any) -> dict[str, Array]:
    infos = input_infos(graph)
    if reader is None:
        reader = RandomDataReader(infos, shapes)
    if isinstance(reader, np.ndarray):
        reader = [{infos[0].name: reader}]
    feeds = next(iter(open_data(reader, infos)), None)
    if feeds is None:
        raise InputError(
            "Q0711",
            "dump_data_reader",
            "no batch",
            "one batch of inputs",
            "make a new reader: it is read once",
        )
    return dict(feeds)
