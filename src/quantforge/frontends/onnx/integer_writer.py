"""A graph under construction in which some values are integers: the borders between them and real numbers.

    real -> QuantizeLinear -> integers -> operators on integers -> integers -> DequantizeLinear -> real

Each border is written when somebody first needs it. A value that no operator on integers touches keeps its spec, and
the emitter writes that as QDQ.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from onnx import helper

from quantforge.diagnostics import InternalError
from quantforge.frontends.onnx.native import NativeNode
from quantforge.frontends.onnx.qdq import activation_names, spec_of
from quantforge.graph import Array, Graph, Op, Origin, QuantSpec, Shape, Value
from quantforge.graph.quantize import quantize_value
from quantforge.numerics.formats import IntFormat

MADE_BY = "integer-operators"
MICROSOFT = "com.microsoft"


@dataclass
class IntegerWriter:
    """Writes `made` from `source`; `touched` are the values that operators on integers read or make."""

    source: Graph
    touched: Collection[str]
    made: Graph
    integers: dict[str, str] = field(default_factory=dict)  # value -> tensor of its integers
    reals: dict[str, str] = field(default_factory=dict)  # value -> tensor of what the integers stand for
    raw: dict[str, str] = field(default_factory=dict)  # value -> tensor before it was rounded
    parameters: dict[str, tuple[str, str]] = field(default_factory=dict)
    domains: set[str] = field(default_factory=set)

    @classmethod
    def start(cls, source: Graph, touched: Collection[str]) -> IntegerWriter:
        """A graph with the values of `source` and no operators; touched ones are plain float numbers."""
        values = (
            replace(value, quant=None) if value.name in touched and not value.is_const else value
            for value in source.values
        )
        return cls(
            source, touched, Graph(source.name, values, (), source.inputs, source.outputs, source.native)
        )

    def keep(self, op: Op) -> None:
        """Add an operator that computes on real numbers."""
        outputs = tuple(self._made_real(name) for name in op.outputs)
        inputs = tuple(self.real(name) for name in op.inputs)
        self.made.add_op(replace(op, inputs=inputs, outputs=outputs))

    def _made_real(self, name: str) -> str:
        if name not in self.touched:
            return name
        made = activation_names(name, False, name in self.source.outputs).made
        self.raw[name] = made if made == name else self.value(made, self.source.value(name))
        return self.raw[name]

    def real(self, name: str) -> str:
        """The tensor that an operator on real numbers reads for `name`."""
        if name not in self.touched or self.source.value(name).is_const:
            return name
        if name not in self.reals:
            value, integers = self.source.value(name), self.integer(name)
            read = activation_names(name, name in self.source.inputs, name in self.source.outputs).read
            self.reals[name] = name if read == name else self.value(read, value)
            inputs = [integers, *self.scale_and_zero(name)]
            self.node("DequantizeLinear", inputs, self.reals[name], f"{name}_DequantizeLinear")
        return self.reals[name]

    def integer(self, name: str) -> str:
        """The tensor of the integers of `name`."""
        if name not in self.integers:
            value = self.source.value(name)
            spec = spec_of(value)
            if value.const is not None:
                stored = np.asarray(quantize_value(value.const, spec, name))
                self.integers[name] = self.constant(f"{name}_quantized", stored)
            else:
                self.integers[name] = self.value(f"{name}_QuantizeLinear_Output", value, _storage(spec))
                inputs = [self.raw.get(name, name), *self.scale_and_zero(name)]
                self.node("QuantizeLinear", inputs, self.integers[name], f"{name}_QuantizeLinear")
        return self.integers[name]

    def quantized(self, name: str) -> list[str]:
        """Integers, scale and zero point, as operators on integers take them."""
        return [self.integer(name), *self.scale_and_zero(name)]

    def scale_and_zero(self, name: str) -> tuple[str, str]:
        """Names of the scale and the zero point of a value."""
        if name not in self.parameters:
            spec = spec_of(self.source.value(name))
            self.parameters[name] = (
                self.constant(f"{name}_scale", np.asarray(spec.scale[0], np.float32)),
                self.constant(f"{name}_zero_point", np.asarray(spec.zero_point[0], _storage(spec))),
            )
        return self.parameters[name]

    def result(self, name: str, stem: str | None = None) -> str:
        """A new tensor for the integers of `name`."""
        value = self.source.value(name)
        tensor = self.value(stem or f"{name}_quantized", value, _storage(spec_of(value)))
        if stem is None:
            self.integers[name] = tensor
        return tensor

    def value(self, stem: str, like: Value, dtype: str | None = None) -> str:
        """A new computed value in the shape of another."""
        return self._add(stem, like.shape, dtype or like.dtype)

    def constant(self, stem: str, array: Array) -> str:
        """A new constant."""
        name = self.made.fresh_name(stem) if self.made.has_value(stem) else stem
        self.made.set_value(Value(name, array.shape, array.dtype.name, array))
        return name

    def _add(self, stem: str, shape: Shape | None, dtype: str) -> str:
        name = self.made.fresh_name(stem) if self.made.has_value(stem) else stem
        self.made.set_value(Value(name, shape, dtype))
        return name

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        output: str,
        name: str,
        domain: str = "",
        attributes: Sequence[Any] = (),
        names: tuple[str, ...] = (),
    ) -> None:
        """Add one ONNX node; `attributes` are AttributeProtos."""
        proto = helper.make_node(kind, list(inputs), [output], name, domain=domain)
        proto.attribute.extend(attributes)
        record = NativeNode(proto, tuple(range(len(inputs))))
        label = self.made.fresh_name(name) if self.made.has_op(name) else name
        said = {"type": kind, "domain": domain}
        origin = Origin(names, MADE_BY, record)
        self.made.add_op(Op("opaque", label, tuple(inputs), (output,), said, origin))
        self.domains.add(domain)


def _storage(spec: QuantSpec) -> str:
    if not isinstance(spec.format, IntFormat):
        raise InternalError("Q0606", "spec", f"format {spec.format}", "an integer format", "report this bug")
    return spec.format.storage.name
