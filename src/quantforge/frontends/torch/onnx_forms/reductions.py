"""Sums and other reductions beyond the graph's kinds, and running sums."""

from __future__ import annotations

from collections.abc import Callable

from quantforge.frontends.torch.onnx_forms.writer import Writer

Form = Callable[[Writer], None]


def _reduced(op_type: str) -> Form:
    """Over axes, in the dtype of the result."""

    def form(w: Writer) -> None:
        x, keep = w.operand(w.first_of("self", "input"), w.dtype), int(bool(w.arg("keepdim", False)))
        if op_type == "ReduceSum":
            w.result(op_type, [x, w.constant(list(w.axes()))], keepdims=keep)
        else:
            w.result(op_type, [x], axes=list(w.axes()), keepdims=keep)

    return form


def _cumulated(w: Writer) -> None:
    x = w.operand(w.arg("self"), w.dtype)
    w.result("CumSum", [x, w.constant(w.axis("dim"))])


def _variance(w: Writer) -> None:
    """Mean of squared deviations, times n / (n - correction); and the mean, where it is asked for."""
    axes = list(w.axes())
    x, keep = w.operand(w.first_of("self", "input"), w.dtype), int(bool(w.arg("keepdim", False)))
    correction = w.arg("correction", 1 if w.arg("unbiased", True) else 0)
    count = 1
    for axis in axes:
        count *= w.known_size(axis)
    mean = w.node("ReduceMean", [x], axes=axes, keepdims=1)
    off = w.node("Sub", [x, mean])
    found = w.node("ReduceSum", [w.node("Mul", [off, off]), w.constant(axes)], keepdims=keep)
    found = w.node("Div", [found, w.constant(max(count - correction, 0), w.dtype)])
    if w.called in ("std", "std_mean"):
        found = w.node("Sqrt", [found])
    w.results(found, mean if keep else w.node("Squeeze", [mean, w.constant(axes)]))


def _norm(w: Writer) -> None:
    """The 1-norm, the 2-norm, and the largest magnitude."""
    x, keep = w.operand(w.first_of("self", "x"), w.dtype), int(bool(w.arg("keepdim", False)))
    order = float(w.arg("ord", w.arg("p", 2)))
    axes = list(w.axes())
    if order in (1.0, 2.0):
        w.result(f"ReduceL{int(order)}", [x], axes=axes, keepdims=keep)
    else:
        w.require(order in (float("inf"), float("-inf")), f"a norm of order {order}")
        kind = "ReduceMax" if order > 0 else "ReduceMin"
        w.result(kind, [w.node("Abs", [x])], axes=axes, keepdims=keep)


FORMS: dict[str, Form] = {
    "sum": _reduced("ReduceSum"),
    "mean": _reduced("ReduceMean"),
    "prod": _reduced("ReduceProd"),
    "amax": _reduced("ReduceMax"),
    "amin": _reduced("ReduceMin"),
    "logsumexp": _reduced("ReduceLogSumExp"),
    "cumsum": _cumulated,
    "var": _variance,
    "std": _variance,
    "var_mean": _variance,
    "std_mean": _variance,
    "linalg_vector_norm": _norm,
    "norm": _norm,
}
