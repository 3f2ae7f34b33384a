"""Running compiled models: the reference engine, the fast engine, runners for one subgraph and for whole graphs.

Nothing heavy is imported here: each name loads its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quantforge.runtime.custom_ops import register_op
    from quantforge.runtime.graph_runner import GraphRunner
    from quantforge.runtime.runner import Runner, create_runner

__all__ = ["GraphRunner", "Runner", "create_runner", "register_op"]

_HOMES = {
    "GraphRunner": "graph_runner",
    "Runner": "runner",
    "create_runner": "runner",
    "register_op": "custom_ops",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
