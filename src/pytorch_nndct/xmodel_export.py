"""The xmodel of a quantized module: one file with the whole model, quantized and not compiled.

What the quantizer left in float is in the file too and runs on the CPU, so that a model of several quantized parts
is still one file. Operators that neither XIR nor a single ONNX node expresses become operators of their own type
(``aten::roll``), which run where somebody registered that type. The batch is 1 whatever the module was captured with.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from pytorch_nndct.deploy_check import deploy_check_files
from quantforge.compiler.lower import lower
from quantforge.diagnostics import Diagnostic
from quantforge.frontends.onnx import single_node
from quantforge.frontends.torch.deploy import deployable
from quantforge.graph import Array, Graph
from quantforge.hardware_aware import with_layer_origins
from quantforge.xmodel.model import XModel
from quantforge.xmodel.write import write_xmodel

logger = logging.getLogger("pytorch_nndct")


def xmodel_file(
    graph: Graph,
    folder: str | Path,
    dynamic_batch: bool,
    last_inputs: Callable[[], Mapping[str, Array]] | None,
) -> Path:
    """Write ``<Model>_int.xmodel``, and the folder ``deploy_check_data_int`` when `last_inputs` is given.

    Raises:
        QuantforgeError: Q1150 to Q1153 for what XIR cannot express, Q1466 without a forward pass.
    """
    inputs = None if last_inputs is None else last_inputs()
    if dynamic_batch:
        _notice("dynamic_batch=True", "leave it out: runners take any number of samples and cut them")
    for name in graph.inputs:
        shape = graph.value(name).shape or (1,)
        if len(shape) > 1 and isinstance(shape[0], int) and shape[0] > 1:
            _notice(f"{name!r} with {shape[0]} samples, which the module fixes", "input_args with one sample")
    model = flat_model(graph)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{graph.name}_int.xmodel"
    write_xmodel(model, path)
    if inputs is not None:
        logger.info("wrote %s", deploy_check_files(graph, model, inputs, place))
    return path


def flat_model(graph: Graph) -> XModel:
    """The flat xmodel of a quantized torch graph; its operators say which layer they come from (`origin`).

    Raises:
        QuantforgeError: Q1150 to Q1153 for what XIR cannot express.
    """
    return lower(with_layer_origins(deployable(graph)), batch=1, node_of=single_node)


def _notice(found: str, fix: str) -> None:
    where = "export_xmodel (QUANTIZER_TORCH_XMODEL_BATCHSIZE)"
    logger.warning("%s", Diagnostic("Q1467", where, found, "one sample", fix))
