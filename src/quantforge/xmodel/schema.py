"""The numbers of the message fields of `serial_v2.Graph`, the one message that an .xmodel file is.

Field numbers are facts of the format (the public schema graph_proto_v2.proto of XIR). A map is a repeated message
with key 1 and value 2. Nothing stands before or after the message.
"""

from __future__ import annotations

from typing import Final

from quantforge.xmodel.model import ATTR_KINDS, Letters

GRAPH_NAME, GRAPH_OP, GRAPH_ROOT, GRAPH_ATTR = 1, 5, 10, 11
OP_NAME, OP_KIND, OP_ATTR, OP_ARG, OP_TENSOR = 1, 2, 3, 4, 5
ARG_NAME, ARG_OP = 1, 2
TENSOR_NAME, TENSOR_DIM, TENSOR_TYPE, TENSOR_BITS, TENSOR_ATTR = 1, 2, 5, 6, 10
SUBGRAPH_NAME, SUBGRAPH_OP, SUBGRAPH_ATTR, SUBGRAPH_CHILD = 1, 3, 5, 10
ENTRY_KEY, ENTRY_VALUE = 1, 2
VALUE: Final = 1  # the one field of Bytes, the vectors and the maps

# the members of the union AttrValue have consecutive numbers, in the order of ATTR_KINDS
FIRST_KIND: Final = 4
NUMBERS = {kind: FIRST_KIND + index for index, kind in enumerate(ATTR_KINDS)}
KINDS = {number: kind for kind, number in NUMBERS.items()}

# the data type of a tensor is the index in this list
LETTERS: tuple[Letters, ...] = ("INT", "UINT", "XINT", "XUINT", "FLOAT", "BFLOAT", "UNKNOWN")

# protobuf's own limit on messages inside messages
MAX_DEPTH: Final = 90

# bits of the integer kinds; the others are unsigned
SIGNED = {"int32": 32, "int64": 64}
UNSIGNED = {"uint32": 32, "uint64": 64}
