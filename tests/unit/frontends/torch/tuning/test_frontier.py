from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.fake_quantize import FakeQuantizer  # noqa: E402
from quantforge.frontends.torch.program import Program  # noqa: E402
from quantforge.frontends.torch.tuning.frontier import Frontier  # noqa: E402
from quantforge.frontends.torch.tuning.kept import Samples, Vault  # noqa: E402
from quantforge.frontends.torch.tuning.network import constants_of  # noqa: E402
from quantforge.frontends.torch.tuning.straight import with_constants  # noqa: E402
from tests.unit.frontends.torch.tuning.nets import CPU, images, mixed  # noqa: E402

CHUNKS = [[5, 0, 1], [7, 2]]


def frontier(vault: Vault) -> Frontier:
    graph = mixed().graph
    assert graph is not None
    samples = Samples(vault, True)
    samples.add({"x": images(8)})
    return Frontier(graph, samples, CHUNKS, vault, CPU)


def test_values_are_those_of_the_whole_graph() -> None:
    with Vault() as vault:
        run = frontier(vault)
        names = [name for op in run.graph.ops for name in op.outputs]
        program = Program(run.graph, names)
        for name in names[::2]:
            run.advance([name])
            for index, units in enumerate(CHUNKS):
                want = program.run({"x": images(8)[units]}, constants_of(program, CPU))[name]
                assert torch.equal(run.read(name, index), want)


def test_chunks_are_given_up_while_those_that_follow_are_computed() -> None:
    with Vault() as vault:
        run = frontier(vault)
        (total,) = (op.outputs[0] for op in run.graph.ops if op.kind == "eltwise-add")
        run.advance([total])
        vault.peak_memory = held = vault.in_memory
        run.advance(["relu_2"])  # smaller than the sum, which nothing else reads
        assert vault.in_memory < vault.peak_memory == held
        run.close()


def test_only_what_is_read_later_is_kept() -> None:
    with Vault() as vault:
        run = frontier(vault)
        run.advance(["relu"])
        both = vault.in_memory
        run.advance(["relu_1"])
        run.release()
        inputs = images(8).numel() * 4
        assert vault.in_memory - inputs == 2 * (both - inputs)  # the sum reads the first relu again
        run.advance([run.graph.outputs[0]])
        run.release()
        assert vault.in_memory == inputs
        run.close()


def test_an_input_is_read_as_it_is_stored() -> None:
    with Vault() as vault:
        run = frontier(vault)
        run.advance(["x"])
        spec = run.graph.value("x").quant
        assert spec is not None
        assert torch.equal(run.read("x", 1), FakeQuantizer(spec)(images(8)[[7, 2]]))


def test_what_stands_behind_an_op_cannot_be_computed_before_it() -> None:
    with Vault() as vault:
        run = frontier(vault)
        assert run.reaches("relu", "point")
        assert not run.reaches("relu_1", "depth")


def test_constants_may_change_in_front() -> None:
    with Vault() as vault:
        run = frontier(vault)
        run.advance(["relu"])
        name = "linear.bias"
        for value in with_constants(run.graph, {name: run.graph.value(name).const + 1}).values:
            run.graph.set_value(value)
        run.advance([run.graph.outputs[0]])
        program = Program(run.graph, run.graph.outputs)
        want = program.run({"x": images(8)[CHUNKS[0]]}, constants_of(program, CPU))[run.graph.outputs[0]]
        assert torch.equal(run.read(run.graph.outputs[0], 0), want)
