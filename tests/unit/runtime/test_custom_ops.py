from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime import GraphRunner
from quantforge.runtime.custom_ops import file_stem, register_op, unregister_op
from quantforge.xmodel.model import XModel
from tests.compiled_xmodels import ModelBuilder


@pytest.fixture
def kind() -> Iterator[str]:
    yield "Mylayer"
    unregister_op("Mylayer")


def model_with(kind: str) -> XModel:
    b = ModelBuilder()
    x = b.data((1, 2), None, name="x")
    b.op(kind, [x, x], (1, 2), device="CPU", name="mine", factor=3.0, shape=(1, 2), data_type="FLOAT32")
    return b.finish()


X = np.array([[1, 2]], np.float32)


def test_a_registered_class_sees_its_operator(kind: str) -> None:
    seen: list[Any] = []

    @register_op(kind)
    class Mylayer:
        def __init__(self, op: Any) -> None:
            self.factor = op.get_attr("factor")
            seen.extend([op.get_name(), op.get_type(), op.get_input_num("input"), op.has_attr("gone")])
            seen.extend([op.get_output_tensor().dims, op.get_attr("shape"), len(op.get_attrs())])

        def calculate(self, output: Any, input: list[Any]) -> None:
            seen.append(input[0].get_tensor().name)
            np.array(output, copy=False)[...] = np.asarray(input[0]) * self.factor + np.asarray(input[1])

    with GraphRunner(model_with(kind)) as runner:
        assert runner.run(X)[0].tolist() == [[4, 8]]
        assert runner.run(np.concatenate([X, X + 1]))[0].tolist() == [[4, 8], [8, 12]]
    assert seen[:7] == ["mine", kind, 2, False, [1, 2], [1, 2], 3]
    assert seen[7] == "x_t"


def test_an_operator_that_raises_fails_its_job_and_nothing_else(kind: str) -> None:
    @register_op(kind)
    class Mylayer:
        def __init__(self, op: Any) -> None:
            self.op = op

        def calculate(self, output: Any, input: list[Any]) -> None:
            if np.asarray(input[0])[0, 0] < 0:
                raise ZeroDivisionError("negative")
            np.asarray(output)[...] = 1

    with GraphRunner(model_with(kind)) as runner:
        good, bad = np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32)
        jobs = [runner.execute_async([x], [out]) for x, out in ((X, good), (-X, bad))]
        assert runner.wait(jobs[0]) == 0
        with pytest.raises(
            InputError, match=r"Q1211 mine: found type 'Mylayer': .*ZeroDivisionError: negative"
        ):
            runner.wait(jobs[1])
        assert runner.wait(runner.execute_async([X], [bad])) == 0
    assert (good == 1).all()
    assert (bad == 1).all()


def test_a_constructor_that_raises(kind: str) -> None:
    @register_op(kind)
    class Mylayer:
        def __init__(self, op: Any) -> None:
            op.get_attr("gone")

        def calculate(self, output: Any, input: Any) -> None: ...

    with pytest.raises(InputError, match=r"Q1211 mine: .*__init__ raised KeyError"):
        GraphRunner(model_with(kind))


def test_a_type_is_registered_once_and_in_the_right_form(kind: str) -> None:
    class Good:
        def calculate(self, output: Any, input: Any) -> None: ...

    class Bad:
        def calculate(self, result: Any) -> None: ...

    register_op(kind)(Good)
    with pytest.raises(InputError, match=r"Q1212 Mylayer: found a second class"):
        register_op(kind)(Good)
    with pytest.raises(InputError, match=r"Q1212 Other: found Bad without calculate"):
        register_op("Other")(Bad)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "vart_op_imp"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("vart_op_imp")]:
        del sys.modules[name]


def test_the_documented_package(package: Path) -> None:
    (package / "op_add.py").write_text(
        "import numpy as np\n"
        "class op_add:\n"
        "    def __init__(self, op):\n"
        "        self.op = op\n"
        "    def calculate(self, output, input):\n"
        "        np.array(output, copy=False)[...] = sum(np.array(one, copy=False) for one in input)\n"
    )
    with GraphRunner(model_with("op_add")) as runner:
        assert runner.run(X)[0].tolist() == [[2, 4]]


def test_a_module_without_its_class(package: Path) -> None:
    (package / "op_sub.py").write_text("class Other: ...\n")
    with pytest.raises(InputError, match=r"Q1212 op_sub: .*without a class op_sub"):
        GraphRunner(model_with("op_sub"))


def test_types_in_file_names() -> None:
    assert file_stem("a:b\\c/d") == "a_b_c_d"
