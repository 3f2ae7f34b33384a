"""What the nodes of a lowered operator are, without running them."""

from __future__ import annotations

from typing import Any

import onnx

from quantforge.runtime.engine import lower
from quantforge.runtime.program import program_of
from quantforge.xmodel.model import XModel
from tests.compiled_xmodels import dpu_part


def lowered_nodes(model: XModel) -> list[str]:
    """ONNX types of the nodes of the model's DPU subgraph, in order."""
    low = lower(program_of(model, dpu_part(model)))
    proto: Any = onnx.ModelProto.FromString(low.builder.model({}, {}))
    return [node.op_type for node in proto.graph.node]
