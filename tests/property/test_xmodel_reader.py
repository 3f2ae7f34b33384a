"""The xmodel reader on bytes that nobody meant: a model or a coded error, nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.diagnostics import InputError
from quantforge.xmodel import schema
from quantforge.xmodel.encode import encode
from quantforge.xmodel.model import Attr, Subgraph, Tensor, XModel, XOp
from quantforge.xmodel.read import read_xmodel
from quantforge.xmodel.wire import bytes_field, double_field, float_field, integer_field, text_field
from quantforge.xmodel.write import to_bytes
from tests.unit.xmodel.samples import PUBLISHED, every_kind, small


def read_or_refuse(data: bytes) -> None:
    """Read; a model that is accepted can be written, or is refused with a code."""
    try:
        model = read_xmodel(data)
        again = read_xmodel(to_bytes(model))
    except InputError as error:
        assert error.diagnostic.code.startswith("Q09")
    else:
        assert repr(again) == repr(model)  # by text, because a NaN is not equal to itself


@cache
def seeds() -> tuple[bytes, ...]:
    """Whole files: one of ours, one with every kind of attribute, and the published ones where they are."""
    model = XModel("all", attrs=dict(every_kind()))
    attrs = {"shape": Attr("int32_vec", (1, 2)), "data_type": Attr("string", "FLOAT32")}
    model.add(XOp("x", "Mine", Tensor("t", (1, 2), attrs=dict(every_kind())), {"input": ()}, attrs))
    model.root = Subgraph("root", [], [Subgraph("a", ["x"], attrs=dict(every_kind()))])
    files = sorted(Path(PUBLISHED).glob("*.xmodel"), key=lambda path: path.stat().st_size)
    return to_bytes(small()), to_bytes(model), *(path.read_bytes() for path in files[:1])


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_changed_files(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from(range(len(seeds()))).map(seeds().__getitem__)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        how = data.draw(st.sampled_from(["set", "cut", "insert", "delete"]))
        if how == "set":
            whole[at] = data.draw(st.integers(0, 255))
        elif how == "cut":
            del whole[at + 1 :]
        elif how == "insert":
            whole[at:at] = data.draw(st.binary(min_size=1, max_size=12))
        else:
            del whole[at : at + data.draw(st.integers(1, 12))]
        if not whole:
            break
    read_or_refuse(bytes(whole))


def test_every_byte_of_a_small_file_set_to_telling_values() -> None:
    whole = seeds()[0]
    for at in range(len(whole)):
        for value in (0x80, whole[at] ^ 1):
            read_or_refuse(whole[:at] + bytes([value]) + whole[at + 1 :])


def test_every_truncation() -> None:
    whole = seeds()[1]
    for length in range(len(whole)):
        read_or_refuse(whole[:length])


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_random_bytes(data: bytes) -> None:
    read_or_refuse(data)


@st.composite
def messages(draw: st.DrawFn, depth: int = 4) -> bytes:
    """Well-formed protobuf whose fields have numbers that mean something and contents that need not."""
    numbers = st.sampled_from([1, 2, 3, 4, 5, 6, 10, 11, 12, 14, 20, 22, 32, 101])
    parts = []
    for _ in range(draw(st.integers(0, 4))):
        number = draw(numbers)
        kind = draw(st.sampled_from(["varint", "text", "message", "message", "float", "double"]))
        if kind == "varint":
            parts.append(integer_field(number, draw(st.integers(-3, 2**63))))
        elif kind == "text":
            parts.append(
                text_field(number, draw(st.sampled_from(["x", "y", "data", "relu", "shape", "input"])))
            )
        elif kind == "float":
            parts.append(float_field(number, 0.5))
        elif kind == "double":
            parts.append(double_field(number, 0.5))
        else:
            parts.append(bytes_field(number, draw(messages(depth - 1)) if depth else b""))
    return b"".join(parts)


@given(messages())
@settings(max_examples=300, deadline=None)
def test_well_formed_protobuf_of_any_content(data: bytes) -> None:
    read_or_refuse(data)


_NAMES = st.sampled_from(["x", "y", "z", "w"])


@st.composite
def models(draw: st.DrawFn) -> XModel:
    """Models that may break any rule: names, arguments, attributes, shapes and trees are drawn freely."""
    model = XModel("m")
    values = st.sampled_from(list(every_kind().values()))
    for name in draw(st.lists(_NAMES, unique=True)):
        kind = draw(
            st.sampled_from(["data", "relu", "conv2d", "concat", "reshape", "resize", "fix", "Mine", "const"])
        )
        args = draw(
            st.dictionaries(st.sampled_from(["input", "weights", "shape"]), st.lists(_NAMES).map(tuple))
        )
        attrs = draw(
            st.dictionaries(st.sampled_from(["shape", "axis", "kernel", "data_type", "mode"]), values)
        )
        shape = draw(st.lists(st.integers(0, 3), max_size=4).map(tuple))
        model.ops[name] = XOp(name, kind, Tensor(name, shape), args, attrs)
    model.root = draw(trees(3))
    return model


@st.composite
def trees(draw: st.DrawFn, depth: int) -> Subgraph:
    children = draw(st.lists(trees(depth - 1), max_size=2)) if depth else []
    return Subgraph(draw(_NAMES), draw(st.lists(_NAMES, max_size=3)), children)


@given(models())
@settings(max_examples=150, deadline=None)
def test_models_that_break_rules(model: XModel) -> None:
    read_or_refuse(encode(model))


def test_the_seeds_are_good() -> None:
    assert schema.MAX_DEPTH < 100
    for whole in seeds():
        assert read_xmodel(to_bytes(read_xmodel(whole))) == read_xmodel(whole)
