"""`DataType`: what an element is, and of how many bits."""

from __future__ import annotations

from enum import IntEnum

from quantforge.xmodel.model import DataType as Record
from xir.errors import DATA_TYPE, refused


class Letters(IntEnum):
    """The letters of a data type, with the numbers that files have."""

    INT = 0
    UINT = 1
    XINT = 2
    XUINT = 3
    FLOAT = 4
    BFLOAT = 5
    UNKNOWN = 6


class DataType:
    """Letters and bits: `DataType()` is unknown, `DataType("XINT8")` and `DataType(DataType.XINT, 8)` are the same.

    >>> DataType("xint8").bit_width, str(DataType(DataType.FLOAT, 32))
    (8, "'float32'")
    """

    Type = Letters
    INT, UINT, XINT, XUINT, FLOAT, BFLOAT, UNKNOWN = Letters

    def __init__(self, kind: str | Letters | None = None, bit_width: int = 32) -> None:
        """From a text such as "FLOAT32", or from letters and bits.

        Raises:
            InputError: Q0923 (XIR_INVALID_DATA_TYPE) for a text that names no type.
        """
        if isinstance(kind, str):
            try:
                record = Record.parse(kind)
            except ValueError as error:
                expected, fix = "a type such as FLOAT32 or xint8", "write it all in upper or lower case"
                raise refused(
                    DATA_TYPE, "XIR_INVALID_DATA_TYPE", "DataType", repr(kind), expected, fix
                ) from error
            kind, bit_width = Letters[record.letters], record.bits
        self.type = Letters.UNKNOWN if kind is None else Letters(kind)
        self.bit_width = bit_width

    @property
    def record(self) -> Record:
        """The same as a record of quantforge."""
        return Record(self.type.name, self.bit_width)  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataType) and self.record == other.record

    def __hash__(self) -> int:
        return hash(self.record)

    def __str__(self) -> str:
        return f"'{str(self.record).lower()}'"

    def __repr__(self) -> str:
        return f"<xir.DataType {self}>"
