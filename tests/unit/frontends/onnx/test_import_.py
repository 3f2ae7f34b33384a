"""Import: names, constants, opsets, shape subgraphs, opaque ops, and refusals."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from quantforge.diagnostics import InputError, UnsupportedError
from quantforge.frontends.onnx import OnnxExecutor, import_model, to_proto

from .text_models import DATA, kinds, model, random, round_trip, run

CONV = """g (float[N,3,8,8] x) => (y) {
  c = Conv<kernel_shape = [3,3], pads = [1,1,1,1]>(x, w, b)
  y = Relu(c)
}"""
WEIGHTS = {"w": random(4, 3, 3, 3), "b": random(4)}
IMAGE = {"x": random(2, 3, 8, 8, seed=1)}


def test_a_convolution_becomes_an_op_with_attributes() -> None:
    graph = round_trip(model(CONV, **WEIGHTS), IMAGE)
    conv = graph.ops[0]
    assert (conv.kind, conv.inputs, conv.outputs) == ("conv2d", ("x", "w", "b"), ("c",))
    assert conv.attrs["pads"] == (1, 1, 1, 1) and conv.attrs["weight_layout"] == "OIHW"
    assert graph.value("c").shape == ("N", 4, 8, 8)
    assert graph.inputs == ("x",) and graph.outputs == ("y",)


def test_initializers_listed_as_inputs_are_no_inputs() -> None:
    proto = model(CONV, opset=7, ir_version=3, **WEIGHTS)
    for name, array in WEIGHTS.items():
        proto.graph.input.append(helper.make_tensor_value_info(name, 1, array.shape))
    graph = round_trip(proto, IMAGE)
    assert graph.inputs == ("x",)
    assert graph.value("w").is_const


def test_constant_nodes_become_constants() -> None:
    text = "g (float[2,3] x) => (y) { c = Constant<value_floats = [1.0, 2.0, 3.0]>() y = Add(x, c) }"
    graph = round_trip(model(text), {"x": random(2, 3)})
    assert kinds(graph) == ["eltwise-add"]
    assert graph.value("c").const is not None


@pytest.mark.parametrize("opset", [7, 9, 11, 12, 13, 17, 18, 21])
def test_flatten_by_shape_arithmetic_is_static_with_a_free_batch(opset: int) -> None:
    unsqueeze = "Unsqueeze<axes = [0]>(n)" if opset < 13 else "Unsqueeze(n, zero1)"
    text = f"""g (float[N,2,3] x) => (y) <int64 zero = {{0}}, int64[1] zero1 = {{0}}, int64[1] rest = {{-1}}> {{
      s = Shape(x)
      n = Gather<axis = 0>(s, zero)
      u = {unsqueeze}
      t = Concat<axis = 0>(u, rest)
      y = Reshape(x, t)
    }}"""
    graph = round_trip(model(text, opset=opset), {"x": random(5, 2, 3)})
    assert kinds(graph) == ["reshape"]
    assert graph.ops[0].attrs["shape"] == (0, -1)
    assert graph.value("y").shape is not None and len(graph.value("y").shape or ()) == 2


def test_a_batch_times_groups_reshape_takes_minus_one() -> None:
    text = """g (float[N,4,3] x) => (y) <int64 i = {0}, int64 two = {2}, int64[1] at = {0}, int64[2] rest = {2, 3}> {
      s = Shape(x)
      n = Gather(s, i)
      m = Mul(n, two)
      u = Unsqueeze(m, at)
      t = Concat<axis = 0>(u, rest)
      y = Reshape(x, t)
    }"""
    graph = round_trip(model(text), {"x": random(3, 4, 3)})
    assert graph.ops[0].attrs["shape"] == (-1, 2, 3)


def test_resize_to_computed_sizes_becomes_scales() -> None:
    text = """g (float[N,2,7,5] x) => (y) <int64[1] b = {0}, int64[1] e = {2}, int64[2] hw = {10, 11}> {
      s = Shape(x)
      n = Slice(s, b, e)
      sizes = Concat<axis = 0>(n, hw)
      y = Resize<mode = "linear">(x, , , sizes)
    }"""
    graph = round_trip(model(text), {"x": random(2, 2, 7, 5)})
    assert kinds(graph) == ["resize"]
    scales = graph.ops[0].attrs["scales"]
    assert isinstance(scales, tuple) and scales[:2] == (1.0, 1.0)
    assert [
        int(np.floor(np.float32(d) * np.float32(s))) for d, s in zip((7, 5), scales[2:], strict=True)
    ] == [10, 11]


def test_an_unnamed_batch_gets_a_name() -> None:
    proto = model("g (float[N,3] x) => (y) { y = Relu(x) }")
    proto.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    assert import_model(proto).value("x").shape == ("batch", 3)


def test_constant_subgraphs_are_folded() -> None:
    text = "g (float[2,4] x) => (y) { t = Transpose<perm = [1,0]>(w) q = Sqrt(t) y = MatMul(x, q) }"
    weights = np.abs(random(3, 4))
    graph = round_trip(model(text, w=weights), {"x": random(2, 4)})
    assert kinds(graph) == ["matmul"]
    np.testing.assert_allclose(graph.const(graph.ops[0], 1), np.sqrt(weights.T), rtol=1e-6)


def test_duplicate_and_missing_node_names_become_unique() -> None:
    proto = model("g (float[2] x) => (y) { a = Relu(x) b = Relu(a) y = Sigmoid(b) }")
    proto.graph.node[0].name = proto.graph.node[1].name = "same"
    graph = import_model(proto)
    assert [op.name for op in graph.ops] == ["same", "same_1", "Sigmoid_2"]
    assert [node.name for node in to_proto(graph).graph.node] == ["same", "same_1", "Sigmoid_2"]


def test_subgraphs_are_opaque_and_keep_what_they_capture() -> None:
    text = """g (bool c, float[2] x) => (y) {
      r = Relu(x)
      y = If(c) <
        then_branch = g1 () => (float[2] a) { a = Add(r, k) },
        else_branch = g2 () => (float[2] b) { b = Neg(r) }
      >
    }"""
    proto = model(text, k=np.array([1.0, 2.0], np.float32))
    graph = round_trip(proto, {"c": np.array(True), "x": random(2)})
    branch = graph.ops[1]
    assert branch.kind == "opaque" and branch.attrs["type"] == "If"
    assert branch.inputs == ("c", "r", "k")


def test_a_captured_value_can_be_renamed() -> None:
    text = """g (bool c, float[2] x) => (y) {
      r = Relu(x)
      y = If(c) <then_branch = g1 () => (float[2] a) { a = Neg(r) },
                 else_branch = g2 () => (float[2] b) { b = Abs(r) }>
    }"""
    proto = model(text)
    graph = import_model(proto)
    relu = graph.op("Relu_0")
    graph.replace_op(relu.changed("test", outputs=("fresh",)))
    graph.set_value(type(graph.value("r"))("fresh", (2,)))
    graph.redirect("r", "fresh")
    made = to_proto(graph)
    feeds = {"c": np.array(True), "x": random(2)}
    assert np.array_equal(run(made, feeds)[0], run(proto, feeds)[0])


def test_custom_domains_are_opaque_and_come_back() -> None:
    proto = model("g (float[2] x) => (y) { a = Relu(x) y = my.domain.Twist<turns = 3>(a) }")
    proto.opset_import.append(helper.make_opsetid("my.domain", 2))
    graph = import_model(proto)
    twist = graph.ops[1]
    assert (twist.attrs["type"], twist.attrs["domain"]) == ("Twist", "my.domain")
    assert graph.value("y").dtype == "float32" or not graph.value("y").is_float
    made = to_proto(graph)
    assert made.graph.node[1].attribute[0].i == 3
    assert {o.domain: o.version for o in made.opset_import} == {"": 17, "my.domain": 2}


def test_local_functions_are_inlined() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
    g (float[2] x) => (float[2] y) { y = local.twice(x) }
    <domain: "local", opset_import: ["" : 17]>
    twice (a) => (b) { b = Add(a, a) }"""
    graph = round_trip(onnx.parser.parse_model(text), {"x": random(2)})
    assert kinds(graph) == ["eltwise-add"]


def test_half_precision_stays() -> None:
    proto = model(
        "g (float16[2,3] x) => (float16[2,2] y) { y = MatMul(x, w) }", w=random(3, 2).astype(np.float16)
    )
    graph = round_trip(proto, {"x": random(2, 3).astype(np.float16)})
    assert {v.dtype for v in graph.values} == {"float16"}


def test_gemm_factors_are_folded_into_constants() -> None:
    text = "g (float[2,3] x) => (y) { y = Gemm<alpha = 0.5, beta = 2.0, transB = 1>(x, w, b) }"
    graph = round_trip(model(text, w=random(4, 3), b=random(1, 4)), {"x": random(2, 3)})
    gemm = graph.ops[0]
    assert gemm.kind == "inner-product" and gemm.attrs["weight_layout"] == "OI"
    bias = graph.const(gemm, 2)
    assert bias is not None and bias.shape == (4,)


def test_the_given_proto_is_not_changed() -> None:
    proto = model(CONV, opset=9, **WEIGHTS)
    before = proto.SerializeToString()
    import_model(proto)
    assert proto.SerializeToString() == before


def test_outputs_that_are_inputs_or_constants() -> None:
    proto = model("g (float[2] x) => (float[2] y, float[2] k) { y = Relu(x) }", k=np.ones(2, np.float32))
    graph = import_model(proto)
    assert np.array_equal(OnnxExecutor().session(graph, graph.outputs).run({"x": random(2)})["k"], np.ones(2))
    assert np.array_equal(run(to_proto(graph), {"x": random(2)})[1], np.ones(2))


def test_nan_in_weights_is_refused_by_name() -> None:
    weights = random(4, 3, 3, 3)
    weights[0, 0, 0, :2] = np.nan, np.inf
    with pytest.raises(
        InputError, match=r"Q0110 .*initializer 'w' of node 'Conv_0': found 2 of 108 numbers NaN"
    ):
        import_model(model(CONV, w=weights, b=random(4)))
    assert import_model(model(CONV, w=weights, b=random(4)), check_weights=False).ops


def test_infinity_in_a_mask_is_fine() -> None:
    mask = np.array([0.0, -np.inf], np.float32)
    import_model(model("g (float[2] x) => (y) { y = Add(x, m) }", m=mask))


def test_old_and_future_opsets_are_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"Q0105 .*found opset 6; expected opset 7"):
        import_model(model("g (float[2] x) => (y) { y = Relu(x) }", opset=6))
    with pytest.raises(UnsupportedError, match=r"Q0116 .*found opset 999"):
        import_model(model("g (float[2] x) => (y) { y = Relu(x) }", opset=999))


@pytest.mark.models
@pytest.mark.parametrize(
    "path", sorted(DATA.glob("*.onnx")) or [None], ids=lambda p: p.stem if p else "absent"
)
def test_real_models_round_trip(path: object) -> None:
    if path is None:
        pytest.skip(f"no models in {DATA}")
    proto = onnx.load(str(path))
    graph = import_model(str(path))
    weights = {t.name for t in proto.graph.initializer}
    info = next(i for i in proto.graph.input if i.name not in weights)
    shape = [d.dim_value or 2 for d in info.type.tensor_type.shape.dim]
    feeds = {info.name: np.random.default_rng(0).random(shape, np.float32)}
    made = to_proto(graph)
    onnx.checker.check_model(made, full_check=True)
    for want, got in zip(run(proto, feeds), run(made, feeds), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    assert not [op for op in graph.ops if op.kind == "opaque"]
    names = {node.name for node in proto.graph.node if node.name}
    assert not names or {op.name for op in graph.ops} <= names
    assert {o.name for o in made.graph.output} == {o.name for o in proto.graph.output}


def test_numpy_helper_agrees_on_every_inline_dtype() -> None:
    arrays = {t: np.arange(600).astype(t) for t in ("float64", "int8", "uint16", "int32", "bool")}
    body = " ".join(f"o{i} = Identity({n})" for i, n in enumerate(f"k{i}" for i in range(len(arrays))))
    outputs = ", ".join(f"o{i}" for i in range(len(arrays)))
    proto = model(f"g () => ({outputs}) {{ {body} }}", **{f"k{i}": a for i, a in enumerate(arrays.values())})
    graph = import_model(proto.SerializeToString())
    for index, array in enumerate(arrays.values()):
        assert np.array_equal(graph.value(f"k{index}").const, array)
    assert len(numpy_helper.to_array(to_proto(graph).graph.initializer[0])) == 600


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint32", "float16"])
def test_custom_operators_without_a_function_run_after_import(dtype: str) -> None:
    pair = [
        helper.make_node(
            "VitisQuantizeLinear", ["x", "s", "z"], ["q"], "Q", domain="com.vai.quantize", axis=1
        ),
        helper.make_node(
            "VitisDequantizeLinear", ["q", "s", "z"], ["d"], "D", domain="com.vai.quantize", axis=1
        ),
        helper.make_node("Relu", ["d"], ["y"]),
    ]
    proto = model("g (float[N, 3] x) => (float[N, 3] y) { y = Relu (x) }", opset=13)
    del proto.graph.node[:]
    proto.graph.node.extend(pair)
    arrays = {"s": np.asarray(0.5, np.float32), "z": np.zeros((), dtype)}
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    graph = import_model(proto)
    assert graph.value("d").shape == ("N", 3) and graph.value("q").dtype == dtype
    made = to_proto(graph)
    onnx.checker.check_model(made, full_check=True)
    assert {function.name for function in made.functions} == {"VitisQuantizeLinear", "VitisDequantizeLinear"}
    x = random(4, 3) * 9
    if dtype == "float16":
        want = x.astype(np.float16).astype(np.float32)  # whatever the scale is
    else:
        info = np.iinfo(dtype)
        want = np.float32(0.5) * np.clip(np.rint(x / np.float32(0.5)), info.min, info.max).astype(np.float32)
    np.testing.assert_array_equal(run(made, {"x": x})[0], np.maximum(want, 0))
