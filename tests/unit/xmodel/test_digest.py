from __future__ import annotations

from collections.abc import Callable

import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.digest import Header, digest_of, read_header
from quantforge.xmodel.model import Attr, Subgraph, Tensor, XModel, XOp


def model() -> XModel:
    made = XModel("m")
    made.add(XOp("w", "const-fix", Tensor("w", (2,)), {}, {"data": Attr("bytes", b"ab")}))
    attrs = {"fix_point": Attr("int32", 3), "reg_id": Attr("int32", 1)}
    made.add(
        XOp("c", "conv2d-fix", Tensor("c", (2,), attrs=attrs), {"weights": ("w",)}, {"pad": Attr("int32", 1)})
    )
    made.root = Subgraph("root", children=[Subgraph("s", ops=["w", "c"])])
    return made


def digest(made: XModel) -> bytes:
    return digest_of(made, made.root.children[0])


CHANGES: list[Callable[[XModel], object]] = [
    lambda m: m.ops["w"].attrs.update(data=Attr("bytes", b"ac")),
    lambda m: m.ops["c"].attrs.update(pad=Attr("int32", 2)),
    lambda m: m.ops["c"].tensor.attrs.update(fix_point=Attr("int32", 4)),
    lambda m: m.ops["c"].args.clear(),
    lambda m: setattr(m.ops["c"], "kind", "pool-fix"),
    lambda m: setattr(m.ops["c"].tensor, "shape", (3,)),
    lambda m: m.root.children[0].ops.remove("w"),
]
INNOCENT: list[Callable[[XModel], object]] = [
    lambda m: m.ops["c"].attrs.update(workload=Attr("uint64", 7), device=Attr("string", "DPU")),
    lambda m: m.ops["c"].tensor.attrs.update(reg_id=Attr("int32", 9)),
    lambda m: m.root.children[0].ops.reverse(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_the_result_changes_the_digest(change: Callable[[XModel], object]) -> None:
    made = model()
    change(made)
    assert digest(made) != digest(model())


@pytest.mark.parametrize("change", INNOCENT)
def test_what_does_not_does_not(change: Callable[[XModel], object]) -> None:
    made = model()
    change(made)
    assert digest(made) == digest(model())


def test_the_header_comes_back() -> None:
    header = Header(0x0101000056010407, 2, 3, bytes(32))
    assert read_header(header.to_bytes() + b"abcdef") == (header, 56)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 80, Header(1, 2, 3, bytes(32)).to_bytes(), Header(1, 0, 3, bytes(32), 9).to_bytes()]
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="Q1108"):
        read_header(data)
