"""`GraphTemplate` and `OpTemplate`: a pattern of operators, and where a graph has it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from xir.errors import OPERATOR, refused

if TYPE_CHECKING:
    from xir.graph import Graph
    from xir.op import Op

OpFilter = Callable[["Op"], bool]
MatchFilter = Callable[[Mapping["OpTemplate", "Op"]], bool]


class OpTemplate:
    """One operator of a pattern: a name, the types it may have (none: any), and a test of one's own."""

    def __init__(self, name: str, types: Collection[str], inputs: Mapping[OpTemplate, str]) -> None:
        self._name = name
        self._types = set(types)
        self._inputs = dict(inputs)
        self._fanout: list[OpTemplate] = []
        self._filter: OpFilter | None = None
        for producer in inputs:
            producer._fanout.append(self)

    def get_name(self) -> str:
        """The name in the pattern."""
        return self._name

    def get_types(self) -> set[str]:
        """The types that match; empty for any."""
        return set(self._types)

    def set_types(self, types: Collection[str]) -> None:
        """Set the types that match."""
        self._types = set(types)

    def get_input_num(self) -> int:
        """How many operators of the pattern it reads."""
        return len(self._inputs)

    def get_input_ops(self) -> set[OpTemplate]:
        """The operators of the pattern that it reads."""
        return set(self._inputs)

    def get_fanout_num(self) -> int:
        """How many operators of the pattern read it."""
        return len(self._fanout)

    def get_fanout_ops(self) -> set[OpTemplate]:
        """The operators of the pattern that read it."""
        return set(self._fanout)

    def set_filter(self, condition: OpFilter) -> None:
        """A test that an operator must pass as well."""
        self._filter = condition

    def get_filter(self) -> OpFilter | None:
        """The test; None when there is none."""
        return self._filter

    def fits(self, op: Op, chosen: Mapping[OpTemplate, Op]) -> bool:
        """Whether `op` can stand here beside the operators `chosen` for those that this one reads."""
        if self._types and op.get_type() not in self._types:
            return False
        for producer, argument in self._inputs.items():
            names = op.record.args.get(argument, ()) if argument else op.record.producers
            if chosen[producer].get_name() not in names:
                return False
        return self._filter is None or self._filter(op)


class GraphTemplate:
    """A pattern: operators, each after those it reads, and an optional test of a whole match.

    >>> pattern = GraphTemplate("relu behind conv")
    >>> conv = pattern.add_op("conv", {"conv2d"})
    >>> relu = pattern.add_op("relu", {"relu", "relu6"}, {conv: "input"})
    >>> [op.get_name() for op in pattern.toposort()]
    ['conv', 'relu']
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._ops: dict[str, OpTemplate] = {}
        self._filter: MatchFilter | None = None

    def get_name(self) -> str:
        """The name of the pattern."""
        return self._name

    def add_op(
        self, name: str, types: Collection[str], input_ops: Mapping[OpTemplate, str] | None = None
    ) -> OpTemplate:
        """Add an operator.

        Args:
            name: A name that no operator of the pattern has.
            types: The types that match; empty for any.
            input_ops: Operators of the pattern that it reads, each with the argument it reads it by (empty: any).

        Raises:
            InputError: Q0921 for a name that is taken (XIR_MULTI_DEFINED_OP) or an operator of another pattern
                (XIR_UNDEFINED_OP).
        """
        if name in self._ops:
            raise self._refused("XIR_MULTI_DEFINED_OP", f"a second operator named {name!r}", "unique names")
        for producer in input_ops or {}:
            self._check_own(producer)
        self._ops[name] = OpTemplate(name, types, input_ops or {})
        return self._ops[name]

    def get_op(self, name: str) -> OpTemplate | None:
        """The operator of this name; None when there is none."""
        return self._ops.get(name)

    def get_ops(self) -> set[OpTemplate]:
        """All operators of the pattern."""
        return set(self._ops.values())

    def get_op_num(self) -> int:
        """How many operators the pattern has."""
        return len(self._ops)

    def remove_op(self, op: OpTemplate) -> None:
        """Take out an operator that no other reads.

        Raises:
            InputError: Q0921 when one does (XIR_REMOVE_OP_FAIL) or it is of another pattern (XIR_UNDEFINED_OP).
        """
        self._check_own(op)
        if op.get_fanout_num():
            found, expected = f"{op.get_name()!r}, which another reads", "an operator that nobody reads"
            raise self._refused("XIR_REMOVE_OP_FAIL", found, expected)
        for producer in op.get_input_ops():
            producer._fanout.remove(op)
        del self._ops[op.get_name()]

    def toposort(self) -> list[OpTemplate]:
        """The operators, each after those it reads."""
        return list(self._ops.values())

    def set_filter(self, condition: MatchFilter) -> None:
        """A test that a whole match must pass as well."""
        self._filter = condition

    def get_filter(self) -> MatchFilter | None:
        """The test; None when there is none."""
        return self._filter

    def matches(self, graph: Graph) -> list[dict[OpTemplate, Op]]:
        """Where `graph` has the pattern; no operator is in two matches. Earlier operators are matched first."""
        found: list[dict[OpTemplate, Op]] = []
        used: set[Op] = set()
        order = self.toposort()
        if not order:
            return found
        for op in graph.toposort():
            if op in used:
                continue
            match = next(self._grown(graph, order, {}, used, op), None)
            if match is not None:
                found.append(match)
                used.update(match.values())
        return found

    def _grown(
        self,
        graph: Graph,
        order: list[OpTemplate],
        chosen: dict[OpTemplate, Op],
        used: set[Op],
        first: Op | None = None,
    ) -> Iterator[dict[OpTemplate, Op]]:
        """All ways to complete `chosen`; `first` is the only candidate of the first operator."""
        if len(chosen) == len(order):
            if self._filter is None or self._filter(chosen):
                yield dict(chosen)
            return
        slot = order[len(chosen)]
        taken = set(chosen.values())
        for op in [first] if first is not None else _candidates(graph, slot, chosen):
            if op not in used and op not in taken and slot.fits(op, chosen):
                chosen[slot] = op
                yield from self._grown(graph, order, chosen, used)
                del chosen[slot]

    def _check_own(self, op: OpTemplate) -> None:
        if self._ops.get(op.get_name()) is not op:
            found = f"{op.get_name()!r} of another pattern"
            raise self._refused("XIR_UNDEFINED_OP", found, "operators of this pattern")

    def _refused(self, xir_id: str, found: str, expected: str) -> Exception:
        return refused(OPERATOR, xir_id, self._name, found, expected, "correct the pattern")


def _candidates(graph: Graph, slot: OpTemplate, chosen: Mapping[OpTemplate, Op]) -> list[Op]:
    """The readers of an operator that `slot` reads and that is chosen already; all operators when it reads none."""
    producer = next(iter(slot.get_input_ops()), None)
    return graph.toposort() if producer is None else chosen[producer].get_fanout_ops()
