from __future__ import annotations

from quantforge.xmodel import schema
from quantforge.xmodel.model import ATTR_KINDS


def test_the_numbers_of_the_attribute_kinds() -> None:
    assert len(ATTR_KINDS) == 29 and len(schema.NUMBERS) == 29
    # spot checks at the ends of the three groups of the public schema
    expected = {"bool": 4, "bytes": 12, "bool_vec": 13, "bytes_vec": 21, "map_string_2_int32": 22}
    expected |= {"map_string_2_bytes": 27, "map_string_2_uint64_vec": 31, "map_string_2_string_vec": 32}
    assert {kind: schema.NUMBERS[kind] for kind in expected} == expected
    assert schema.KINDS[11] == "string"


def test_the_numbers_of_the_data_types() -> None:
    assert schema.LETTERS.index("XINT") == 2 and schema.LETTERS.index("UNKNOWN") == 6
