"""`Tensor`: the one result of an operator."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from quantforge.xmodel.model import Attrs
from quantforge.xmodel.model import Tensor as Record
from xir.attributes import HasAttrs

if TYPE_CHECKING:
    from xir.op import Op


class Tensor(HasAttrs):
    """Name, shape, element type and attributes of what an operator gives; the elements are not in it."""

    def __init__(self, record: Record, producer: Op | None = None) -> None:
        self.record = record
        self._producer = producer

    @property
    def _attrs(self) -> Attrs:
        return self.record.attrs

    def _label(self) -> str:
        return self.record.name

    @property
    def name(self) -> str:
        """The name, which may be set."""
        return self.record.name

    @name.setter
    def name(self, name: str) -> None:
        self.record.name = name

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.record.shape)

    @property
    def dims(self) -> list[int]:
        """The sizes of the axes."""
        return list(self.record.shape)

    @property
    def dtype(self) -> str:
        """The element type in lower case, such as "xint8"."""
        return str(self.record.dtype).lower()

    @property
    def producer(self) -> Op | None:
        """The operator whose result it is; None for a clone."""
        return self._producer

    def get_element_num(self) -> int:
        """How many elements it has."""
        return math.prod(self.record.shape)

    def get_data_size(self) -> int:
        """How many bytes its elements take."""
        return -(-self.get_element_num() * self.record.dtype.bits // 8)

    def clone(self) -> Tensor:
        """A tensor like this one that no operator produces."""
        return Tensor(replace(self.record, attrs=dict(self.record.attrs)))

    def __repr__(self) -> str:
        return f"<xir.Tensor named '{self.name}'>"

    def __str__(self) -> str:
        return f"{{name: '{self.name}', shape: {self.dims}, type: '{self.dtype}', attrs: {self.get_attrs()}}}"
