from __future__ import annotations

import pytest

import xir
from quantforge.diagnostics import InputError


def test_the_three_constructors() -> None:
    assert xir.DataType().type == xir.DataType.UNKNOWN
    one, other = xir.DataType("XINT8"), xir.DataType(xir.DataType.Type.XINT, 8)
    assert one == other and hash(one) == hash(other) and one != xir.DataType("xuint8")
    assert (one.type, one.bit_width) == (xir.DataType.XINT, 8)
    assert (str(one), repr(one)) == ("'xint8'", "<xir.DataType 'xint8'>")
    one.bit_width = 16
    assert str(one) == "'xint16'"


@pytest.mark.parametrize("text", ["Float32", "float", "int-8", ""])
def test_texts_that_name_no_type(text: str) -> None:
    with pytest.raises(InputError, match="Q0923 DataType: found XIR_INVALID_DATA_TYPE"):
        xir.DataType(text)
