"""The wire format walker."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

from quantforge.frontends.onnx.wire import MalformedError, message_header, strip_payloads

from .text_models import model, random

PROTO = model("g (float[2,64] x) => (y) { a = MatMul(x, w) y = Add(a, b) }", w=random(64, 32), b=random(32))
DATA = PROTO.SerializeToString()


def test_only_large_payloads_are_taken_out() -> None:
    small, payloads = strip_payloads(memoryview(DATA), 1024)
    assert [p.index for p in payloads] == [0]
    taken = np.frombuffer(DATA[payloads[0].start : payloads[0].end], np.float32)
    assert np.array_equal(taken, random(64, 32).ravel())
    stripped = ModelProto.FromString(small)
    assert not stripped.graph.initializer[0].raw_data
    assert np.array_equal(numpy_helper.to_array(stripped.graph.initializer[1]), random(32))
    assert stripped.graph.node == PROTO.graph.node


def test_nothing_to_take_gives_the_same_message() -> None:
    small, payloads = strip_payloads(memoryview(DATA), 1 << 20)
    assert payloads == [] and ModelProto.FromString(small) == PROTO


@pytest.mark.parametrize("data", [b"\x3a\xff\x01", b"\x3a", b"\x00\x01", b"\x0b\x01", b"\xff" * 12])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError, match=r"at byte \d"):
        strip_payloads(memoryview(data), 16)


def test_headers_hold_long_lengths() -> None:
    assert message_header(9, 3 << 30).hex() == "4a808080800c"
