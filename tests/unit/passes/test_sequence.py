from quantforge.graph import Graph
from quantforge.passes.result import Note, PassResult
from quantforge.passes.sequence import in_turn


def test_each_pass_gets_the_graph_of_the_one_before_and_all_notes_are_kept() -> None:
    first, second, third = Graph("first"), Graph("second"), Graph("third")
    seen = []

    def passing(to: Graph, changed: str) -> object:
        def run(graph: Graph) -> PassResult:
            seen.append(graph.name)
            return PassResult(to, ("shared", changed), (Note("test", changed, True, ""),))

        return run

    result = in_turn(first, [passing(second, "a"), passing(third, "b")])  # type: ignore[list-item]
    assert seen == ["first", "second"] and result.graph is third
    assert result.changed == ("shared", "a", "b")
    assert [note.op for note in result.notes] == ["a", "b"]
    assert in_turn(first, []) == PassResult(first)
