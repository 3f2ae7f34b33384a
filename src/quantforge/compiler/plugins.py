"""Plugins for accelerators of your own: they take operators before the DPU does.

A plugin is an object (or a module) with two functions, after the C++ interface of the user guide UG1414, chapter
"Compiling for Customized Accelerator":

    def partition(model: XModel) -> Iterable[Claim]      # pick operators of the flat quantized model
    def compile(model: XModel, subgraph: Subgraph)       # add what a runtime needs to the attributes of the subgraph

A module or file that is named on the command line has these two functions, or a function `get_plugin()` that returns
such an object. Plugins are asked in order; what one has taken, the next cannot have. A claimed operator keeps its
floating-point form with the fixes around it; its subgraph is a child of the root with the device and the runner that
the claim says.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Attr, Subgraph, XModel


@dataclass(frozen=True)
class Claim:
    """Operators that a plugin takes as one subgraph.

    Attributes:
        name: Name of the subgraph, unique.
        ops: Names of operators, connected; constants that only they read come along by themselves.
        device: The device that the subgraph says; anything but DPU and USER.
        runner: Library by mode ("run", "ref", "sim"), for the runtime.
    """

    name: str
    ops: tuple[str, ...]
    device: str = "CPU"
    runner: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@runtime_checkable
class Plugin(Protocol):
    """Takes operators, and completes their subgraphs."""

    def partition(self, model: XModel) -> Iterable[Claim]:
        """Pick operators of the flat quantized model; the model is not to be changed."""

    def compile(self, model: XModel, subgraph: Subgraph) -> None:
        """Complete one of the subgraphs that `partition` asked for, in the compiled model."""


class Plugins:
    """The plugins of one compilation and what they took."""

    def __init__(self, names: Sequence[str], objects: Sequence[Plugin]) -> None:
        self.plugins = [(name, load_plugin(name)) for name in names]
        self.plugins += [(type(plugin).__name__, plugin) for plugin in objects]
        self.claims: dict[str, tuple[Claim, Plugin]] = {}
        self.taken: dict[str, str] = {}

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Operators by claim."""
        return {name: claim.ops for name, (claim, _) in self.claims.items()}

    def partition(self, model: XModel) -> None:
        """Ask every plugin.

        Raises:
            InputError: Q1106 for operators that do not exist or are taken already, and for claims without a meaning.
        """
        for label, plugin in self.plugins:
            for claim in plugin.partition(model):
                self._take(model, label, claim, plugin)

    def compile(self, model: XModel, subgraphs: Mapping[str, Subgraph]) -> None:
        """Let every plugin complete its subgraphs."""
        for name, (claim, plugin) in self.claims.items():
            subgraph = subgraphs[name]
            subgraph.attrs["device"] = Attr("string", claim.device)
            for op in subgraph.ops:
                model.ops[op].attrs["device"] = Attr("string", claim.device)
            if claim.runner:
                subgraph.attrs["runner"] = Attr("map_string_2_string", dict(claim.runner))
            plugin.compile(model, subgraph)

    def _take(self, model: XModel, label: str, claim: Claim, plugin: Plugin) -> None:
        where = f"plugin {label}, subgraph {getattr(claim, 'name', claim)!r}"
        if not isinstance(claim, Claim) or not claim.ops or claim.name in self.claims:
            raise _refused(where, f"{claim!r}", "a Claim with operators and a name of its own")
        if claim.device in ("DPU", "USER"):
            raise _refused(where, f"the device {claim.device}", "a device of the plugin's own, or CPU")
        for name in claim.ops:
            if name not in model.ops:
                raise _refused(where, f"the operator {name!r}", "operators of the model")
            if name in self.taken:
                raise _refused(where, f"{name!r}, which {self.taken[name]!r} has taken", "each operator once")
            self.taken[name] = claim.name
        self.claims[claim.name] = (claim, plugin)


def load_plugin(name: str) -> Plugin:
    """The plugin in a module, or in a Python file.

    Raises:
        InputError: Q1107 when it cannot be imported, or has not the two functions.
    """
    try:
        module = _module(name)
    except (ImportError, OSError, SyntaxError) as error:
        raise InputError(
            "Q1107",
            f"plugin {name!r}",
            f"{type(error).__name__}: {error}",
            "a Python module or file",
            "check the name",
        ) from error
    maker = getattr(module, "get_plugin", None)
    plugin = module if maker is None else maker()
    if not isinstance(plugin, Plugin):
        found = f"{type(plugin).__name__} without partition and compile"
        expected = (
            "functions partition(model) and compile(model, subgraph), or get_plugin() that returns them"
        )
        raise InputError("Q1107", f"plugin {name!r}", found, expected, "add the functions")
    return plugin


def _module(name: str) -> Any:
    path = Path(name)
    if path.suffix != ".py":
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _refused(where: str, found: str, expected: str) -> InputError:
    return InputError("Q1106", where, found, expected, "correct the plugin's partition function")
