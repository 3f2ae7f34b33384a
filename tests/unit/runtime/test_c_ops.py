from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime import GraphRunner, c_ops
from quantforge.runtime.c_ops import add_library_folder, header_path
from tests.unit.runtime.test_custom_ops import model_with

SOURCE = r"""
#include "vart_op_imp.h"
#include <stdlib.h>
#include <string.h>

static int alive;

static void *init(const vart_op *op) {
    double *factor = malloc(sizeof *factor);
    const int64_t *shape; size_t count; int64_t none; const char *type;
    *factor = 0;
    op->get_float(op->context, "factor", factor);
    if (op->get_ints(op->context, "shape", &shape, &count) || count != 2 || shape[1] != 2) *factor = -1;
    if (!op->get_int(op->context, "gone", &none)) *factor = -2;
    if (op->get_string(op->context, "data_type", &type) || strcmp(type, "FLOAT32")) *factor = -3;
    alive++;
    return factor;
}

static int calculate(void *self, const vart_op *op, size_t n, const vart_tensor *in, vart_tensor *out) {
    float *y = out->data;
    if (n != 2 || in[0].type != VART_FLOAT32 || in[0].ndim != 2 || strcmp(in[0].arg, "input")) return 3;
    for (uint64_t i = 0; i < out->size_bytes / sizeof *y; i++) {
        if (((float *)in[0].data)[i] < 0) return 7;
        y[i] = ((float *)in[0].data)[i] * (float)*(double *)self + ((float *)in[1].data)[i];
    }
    return 0;
}

static void cleanup(void *self) { free(self); alive--; }

int vart_init_op_imp(vart_op_imp *imp) {
    if (imp->abi != VART_OP_IMP_ABI) return 1;
    imp->init = init; imp->calculate = calculate; imp->cleanup = cleanup;
    return 0;
}
int count_alive(void) { return alive; }
"""
X = np.array([[1, 2]], np.float32)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) on this machine")
    monkeypatch.setattr(c_ops, "_folders", [])
    add_library_folder(tmp_path)
    add_library_folder(tmp_path)

    def compiled(kind: str, source: str) -> Path:
        code, library = tmp_path / f"{kind}.c", tmp_path / f"libvart_op_imp_{kind}.so"
        code.write_text(source)
        include = f"-I{header_path().parent}"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-Wall", "-Werror", include, "-o", library, code], check=True
        )
        return library

    return compiled


def test_a_library_computes_an_operator_and_is_cleaned_up(build) -> None:  # type: ignore[no-untyped-def]
    import ctypes
    import gc

    library = ctypes.CDLL(str(build("c_scale", SOURCE)))
    model = model_with("c_scale")
    with GraphRunner(model) as runner:
        assert runner.run(X)[0].tolist() == [[4, 8]]
        assert library.count_alive() == 1
        with pytest.raises(InputError, match=r"Q1211 mine: found type 'c_scale': calculate returned 7"):
            runner.run(-X)
        assert runner.run(X + 1)[0].tolist() == [[8, 12]]
    del model, runner
    gc.collect()
    assert library.count_alive() == 0


@pytest.mark.parametrize(
    ("kind", "source", "found"),
    [
        ("c_empty", "int nothing;", "without vart_init_op_imp"),
        ("c_old", '#include "vart_op_imp.h"\nint vart_init_op_imp(vart_op_imp *imp) { return 1; }', "gave 1"),
        (
            "c_none",
            '#include "vart_op_imp.h"\nint vart_init_op_imp(vart_op_imp *imp) { return 0; }',
            "without calculate",
        ),
    ],
)
def test_libraries_of_another_form(build, kind: str, source: str, found: str) -> None:  # type: ignore[no-untyped-def]
    build(kind, source)
    with pytest.raises(InputError, match=f"Q1213 mine: .*{found}"):
        GraphRunner(model_with(kind))


def test_a_file_that_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_ops, "_folders", [tmp_path.resolve()])
    (tmp_path / "libvart_op_imp_c_text.so").write_text("text")
    with pytest.raises(InputError, match=r"Q1213 mine: .*libvart_op_imp_c_text.so"):
        GraphRunner(model_with("c_text"))
