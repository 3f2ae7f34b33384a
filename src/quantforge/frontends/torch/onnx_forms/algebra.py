"""Matrix products that are not a layer's: with vectors, with added matrices, with scales."""

from __future__ import annotations

from collections.abc import Callable

from quantforge.frontends.torch.onnx_forms.writer import Writer

Form = Callable[[Writer], None]


def _product(w: Writer) -> None:
    w.result(
        "MatMul", [w.operand(w.arg("self"), w.dtype), w.operand(w.first_of("other", "mat2", "vec"), w.dtype)]
    )


def _added(w: Writer) -> None:
    """beta self + alpha a @ b."""
    names = ("batch1", "batch2") if w.arg("batch1") is not None else ("mat1", "mat2")
    product = w.node("MatMul", [w.operand(w.arg(name), w.dtype) for name in names])
    added = w.operand(w.arg("self"), w.dtype)
    if w.arg("alpha", 1) != 1:
        product = w.node("Mul", [product, w.constant(w.arg("alpha"), w.dtype)])
    if w.arg("beta", 1) != 1:
        added = w.node("Mul", [added, w.constant(w.arg("beta"), w.dtype)])
    w.result("Add", [product, added])


def _linear(w: Writer) -> None:
    """x @ weight.T + bias with computed weights."""
    rank = w.rank(w.record(w.arg("weight")))
    weights = w.value("weight")
    if rank == 2:
        weights = w.node("Transpose", [weights], perm=[1, 0])
    product = w.node("MatMul", [w.value("input"), weights])
    if w.arg("bias") is None:
        w.results(product)
    else:
        w.result("Add", [product, w.value("bias")])


FORMS: dict[str, Form] = {
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot"), _product),
    **dict.fromkeys(("addmm", "baddbmm"), _added),
    "linear": _linear,
}
