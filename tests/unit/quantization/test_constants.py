from dataclasses import replace

import numpy as np

from quantforge.calibration.runner import Calibration
from quantforge.graph import Graph, Op, Value
from quantforge.quantization.constants import with_constants
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import CPU_TRANSFORMER, NPU_TRANSFORMER


def look_up(table: np.ndarray) -> Graph:
    values = [Value("table", table.shape, const=table), Value("ids", ("n",), "int64"), Value("y", ("n", 4))]
    return Graph("g", values, [Op("gather", "look", ("table", "ids"), ("y",), {"axis": 0})], ["ids"], ["y"])


def test_a_table_shares_its_spec_with_what_is_read_from_it_and_decides_it() -> None:
    table = np.linspace(-1.0, 3.0, 40, dtype=np.float32).reshape(10, 4)
    places = place(look_up(table), CPU_TRANSFORMER)
    assert [set(group.values) for group in places.groups] == [{"table", "y"}]
    found = with_constants(Calibration({}, 1, 1), look_up(table), places)
    assert set(found.sketches) == {"table"} and found.sketches["table"].extent.hi == 3.0


def test_nothing_shared_needs_nothing() -> None:
    empty = Calibration({}, 1, 1)
    recipe = replace(NPU_TRANSFORMER, placement=replace(NPU_TRANSFORMER.placement, kinds=()))
    graph = Graph("g", [Value("x", (1,)), Value("y", (1,))], [Op("relu", "r", ("x",), ("y",))], ["x"], ["y"])
    assert with_constants(empty, graph, place(graph, recipe)) is empty


def test_a_statistic_over_batches_has_seen_the_table_in_each() -> None:
    table = np.linspace(-1.0, 3.0, 40, dtype=np.float32).reshape(10, 4)
    rule = replace(CPU_TRANSFORMER.activations, moving_average=0.1)
    places = place(look_up(table), replace(CPU_TRANSFORMER, activations=rule))
    found = with_constants(Calibration({}, 3, 3), look_up(table), places)
    spec = found.spec(rule, "table")
    assert spec == with_constants(Calibration({}, 1, 1), look_up(table), places).spec(rule, "table")
    assert abs(spec.scale[0] * 255 - 4.0) < 1e-5 and len(found.histories["table"]) == 3
