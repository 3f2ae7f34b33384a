"""A model of more than 2 GB: weights beside it, before and after, and no second copy of them in memory.

Made in the test run, which `-m slow` asks for; needs 5 GB of disk and 4 GB of memory.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

LAYERS, SIZE = 9, 8192  # 9 matrices of 256 MiB
WEIGHT_BYTES = LAYERS * SIZE * SIZE * 4
MOST = 1.5  # times the weights
NEEDED_BYTES = 2 * WEIGHT_BYTES
PROGRAM = """
import resource, sys
import numpy as np
from quantforge import quantize
data = [{{"x": np.random.default_rng(seed).standard_normal((4, {size})).astype(np.float32)}} for seed in range(2)]
quantize(sys.argv[1], data, recipe=sys.argv[3], output=sys.argv[2], threads=1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def make(path: Path) -> Path:
    """relu(x w) nine times, each matrix written by itself."""
    rng, nodes, tensors, last = np.random.default_rng(0), [], [], "x"
    with path.with_suffix(".data").open("wb") as file:
        for index in range(LAYERS):
            block = rng.standard_normal((64, SIZE), np.float32) * np.float32(SIZE**-0.5)
            tensor = TensorProto(name=f"w{index}", data_type=TensorProto.FLOAT, dims=(SIZE, SIZE))
            tensor.data_location = TensorProto.EXTERNAL
            place = {"location": file_name(path), "offset": file.tell(), "length": SIZE * SIZE * 4}
            for key, value in place.items():
                entry = tensor.external_data.add()
                entry.key, entry.value = key, str(value)
            for row in range(SIZE // 64):
                file.write(np.roll(block, row * 7, axis=1).tobytes())
            tensors.append(tensor)
            nodes.append(helper.make_node("MatMul", [last, f"w{index}"], [f"m{index}"], f"product{index}"))
            nodes.append(helper.make_node("Relu", [f"m{index}"], [f"r{index}"], f"relu{index}"))
            last = f"r{index}"
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", SIZE])] for name in ("x", last)]
    graph = helper.make_graph(nodes, "large", *ends, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def file_name(path: Path) -> str:
    return path.with_suffix(".data").name


@pytest.fixture(scope="module")
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The model; made only when slow tests are asked for by name."""
    if "slow" not in request.config.getoption("markexpr"):
        pytest.skip("takes minutes: run with -m slow")
    folder = tmp_path_factory.mktemp("large")
    if shutil.disk_usage(folder).free < NEEDED_BYTES:
        pytest.skip(f"less than {NEEDED_BYTES >> 30} GiB of disk")
    yield make(folder / "large.onnx")
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize("recipe", ["cpu-cnn", "dpu-cnn"])
def test_no_second_copy_of_the_weights(recipe: str, source: Path, tmp_path: Path) -> None:
    made = tmp_path / "quantized.onnx"
    program = PROGRAM.format(size=SIZE)
    run = subprocess.run(
        [sys.executable, "-c", program, str(source), str(made), recipe],
        capture_output=True,
        text=True,
        check=True,
    )
    peak = int(run.stdout)
    assert WEIGHT_BYTES > 2**31
    assert peak < MOST * WEIGHT_BYTES, f"{peak / WEIGHT_BYTES:.2f} times the weights"
    model = onnx.load(made, load_external_data=False)
    assert sum(node.op_type == "MatMul" for node in model.graph.node) == LAYERS
    session = ort.InferenceSession(str(made), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(9).standard_normal((2, SIZE)).astype(np.float32)
    assert np.isfinite(session.run(None, {"x": x})[0]).all()
