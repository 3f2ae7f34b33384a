"""The cost model against published figures; skips where the file with them is absent."""

from __future__ import annotations

import numpy as np
import pytest

from bench.cost import Table, cases, leave_out, tables
from bench.cost_fit import fit_host, fit_tables
from bench.cost_networks import PUBLIC, inception_v1, moved_resnet, narrowed, public
from bench.cost_rows import PUBLISHED, whole_models
from quantforge.compiler.cost_constants import Constants, load_constants
from quantforge.compiler.cost_model import estimate_call_ms, keep_on_chip, model_cost
from quantforge.compiler.cost_work import workload
from quantforge.targets.dpu import load_dpu

needs_figures = pytest.mark.skipif(not PUBLISHED.exists(), reason=f"no published figures at {PUBLISHED}")


COUNTS = {  # giga-operations that the published names state
    "tf_vgg16_imagenet_224": 30.96,
    "tf_mobilenetv2_1.0_imagenet_224": 0.602,
    "tf_inceptionv3_imagenet_299": 11.45,
    "tf_resnetv2_152_imagenet_299": 40.47,
}


def off(predicted: np.ndarray, truth: np.ndarray) -> float:
    return float(np.median(np.abs(predicted / truth - 1)))


@pytest.fixture(scope="module")
def both() -> tuple[Table, Table]:
    return tables()


@needs_figures
def test_layers_of_both_tables_with_the_products_constants(both: tuple[Table, Table]) -> None:
    rates = load_constants("DPUCZDX8G")
    for table, bound in zip(both, (0.12, 0.07), strict=True):
        predicted = table.parts.alone(rates)
        assert off(predicted, table.cycles) < bound, table.title
        assert abs(predicted.sum() / table.cycles.sum() - 1) < 0.10
        moved = [layer.traffic.ddr / 2**20 for layer in model_cost(table.nodes, load_dpu("KV260")).layers]
        assert off(np.array(moved), table.mebibytes) < 0.01


@needs_figures
def test_the_products_constants_are_the_fit(both: tuple[Table, Table]) -> None:
    fitted = fit_tables([(table.parts, table.cycles) for table in both])
    used = load_constants("DPUCZDX8G")
    for key in ("conv", "misc", "weights", "load", "join", "save", "fixed"):
        assert getattr(used, key) == pytest.approx(getattr(fitted, key), rel=0.01)


@needs_figures
def test_arrays_and_the_product_agree(both: tuple[Table, Table]) -> None:
    rates, target = load_constants("DPUCZDX8G"), load_dpu("KV260")
    for table in both:
        cost = model_cost(table.nodes, target)
        np.testing.assert_allclose(table.parts.alone(rates), [layer.cycles for layer in cost.layers])
        assert table.parts.program(rates) / 300e3 == pytest.approx(cost.latency_ms)


@needs_figures
def test_the_whole_graph_was_not_fitted_and_fits() -> None:
    target = load_dpu("KV260")
    cost = model_cost(keep_on_chip(moved_resnet((3, 4, 6, 3)).nodes, target), target)
    assert cost.latency_ms == pytest.approx(9.798, rel=0.10)
    loaded = sum(layer.traffic.load + layer.traffic.join for layer in cost.layers)
    saved = sum(layer.traffic.save for layer in cost.layers)
    weights = sum(layer.traffic.weights for layer in cost.layers)
    assert [round(part / 2**20, 2) for part in (weights, loaded, saved)] == [24.35, 6.34, 4.02]


@needs_figures
def test_whole_models_by_layers_without_their_architecture() -> None:
    members = [row for row in whole_models() if row.target.family == "DPUCZDX8G"]
    known = cases(members)
    assert len(known) > 300
    rates = load_constants("DPUCZDX8G")

    def fit(seen):  # type: ignore[no-untyped-def]
        whole = fit_host(seen, rates)
        return lambda some: np.array([whole.ms(case) for case in some])

    predicted = leave_out(known, lambda case: case.row.architecture, fit)
    assert off(predicted, np.array([case.row.ms for case in known])) < 0.15


@needs_figures
def test_the_estimate_from_totals_is_the_one_that_was_judged() -> None:
    rows = [row for row in whole_models() if row.target.family == "DPUCZDX8G" and row.scope == "e2e"]
    predicted = [estimate_call_ms(row.gops, row.megapixels, row.target, row.task) for row in rows]
    assert off(np.array(predicted), np.array([row.ms for row in rows])) < 0.25


def test_networks_count_what_their_names_say() -> None:
    giga = {start: sum(workload(node.work) for node in make().nodes) / 1e9 for start, make in PUBLIC.items()}
    for start, count in COUNTS.items():
        assert giga[start] == pytest.approx(count, rel=0.02)
    assert all(len(make().nodes) == len({node.name for node in make().nodes}) for make in PUBLIC.values())


def test_a_pruned_network_has_fewer_channels() -> None:
    nodes = public("tf_vgg16_imagenet_224_224_0.5_15.64G", 15.64)
    assert nodes is not None
    assert sum(workload(node.work) for node in nodes) / 1e9 == pytest.approx(15.64, rel=0.02)
    assert nodes[0].work.in_c == 3 and nodes[-1].work.out_c == 1000
    assert (
        public("pt_unheard-of_224_224_1G", 1.0) is None
        and public("tf_vgg16_imagenet_224_224_99G", 99) is None
    )
    assert narrowed(inception_v1().nodes, 1.0) == inception_v1().nodes


def test_a_fit_finds_the_constants_that_made_the_figures() -> None:
    true = Constants(1.3, 1.1, 1.5, 1.2, 0.5, 0.7, 1500.0, "made up")
    made = [type(table)(**{**table.__dict__, "cycles": table.parts.alone(true)}) for table in made_tables()]
    found = fit_tables([(table.parts, table.cycles) for table in made])
    for key in ("conv", "misc", "weights", "load", "join", "save", "fixed"):
        assert getattr(found, key) == pytest.approx(getattr(true, key), rel=0.02)


def made_tables() -> list[Table]:
    from bench.cost_fit import parts

    nets = (moved_resnet((3, 4, 6, 3)).nodes, inception_v1().nodes)
    empty = np.zeros(0)
    return [Table("made", tuple(n), empty, empty, parts(n, load_dpu("KV260"))) for n in nets]
