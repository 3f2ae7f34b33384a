import pytest

import vai_q_onnx
from quantforge.diagnostics import UnsupportedError


def test_dump_model_says_that_it_is_not_built() -> None:
    with pytest.raises(
        UnsupportedError, match=r"Q0703 dump_model: found a call for q.onnx; expected quantize_static"
    ):
        vai_q_onnx.dump_model("q.onnx", dump_float=True)
