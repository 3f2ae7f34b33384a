from quantforge.passes.pipeline import Preparation, prepare
from tests.networks import Net


def graph():
    net = Net()
    y = net.add("dropout", "d", (net.batchnorm("bn", net.conv("c", "x", 4)),))
    return net.done(net.conv("c2", net.add("relu6", "r", (y,)), 2))


def test_runs_the_chosen_passes_in_order_and_collects_what_they_did():
    result = prepare(graph(), Preparation(replace_relu6=True))
    assert [op.kind for op in result.graph.ops] == ["conv2d", "relu", "conv2d"]
    assert {note.made_by for note in result.notes} >= {
        "remove-identity",
        "fold-batch-norm",
        "replace-relu6",
    }
    assert set(result.changed) >= {"d", "c", "r"}


def test_what_is_switched_off_does_not_run():
    result = prepare(graph(), Preparation(remove_identity=False, fold_batch_norm=False))
    assert [op.kind for op in result.graph.ops] == ["conv2d", "batchnorm", "dropout", "relu6", "conv2d"]


def test_a_swish_made_of_its_parts_is_found_before_sigmoids_are_replaced():
    net = Net()
    gate = net.add("sigmoid", "s", ("x",))
    graph = net.done(net.add("sigmoid", "out", (net.add("eltwise-mul", "m", ("x", gate)),)))
    result = prepare(graph, Preparation(replace_swish=True, replace_sigmoid=True))
    assert [op.kind for op in result.graph.ops] == ["hard-swish", "hard-sigmoid"]
