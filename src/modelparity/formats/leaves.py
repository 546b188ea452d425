"""What stands for arrays while a pickle is read: NumPy's, and torch's views of storages."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelparity.formats.sources import Source, constant
from modelparity.formats.tensor import (
    REPEATED,
    Array,
    Chunks,
    Tensor,
    column_major,
    is_shape,
    itemsize,
    named_dtype,
    row_major,
    strided,
)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Constant:
    """A name that is only passed on: a class, or a dtype by its common name."""

    name: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that stay where they are in the buffer."""

    place: int
    size: int


@dataclass(slots=True)
class DtypeCode:
    """NumPy's dtype: its code and byte order; `O` where it holds objects."""

    code: str
    order: str = "="

    def restore(self, state: Any) -> None:
        """(version, byte order, ...) with neither fields nor a part of its own."""
        if not isinstance(state, tuple) or len(state) < 5 or any(state[2:5]):
            raise ValueError("a dtype has fields")
        self.order = str(state[1]) if state[1] in ("<", ">") else "="


@dataclass(slots=True)
class ArrayContent:
    """NumPy's array: its elements as bytes, or as a list where they are objects."""

    dtype: DtypeCode = field(default_factory=lambda: DtypeCode("u1"))
    shape: Shape = (0,)
    fortran: bool = False
    elements: bytes | Raw | list[Any] = b""

    def restore(self, state: Any) -> None:
        """(version, shape, dtype, in Fortran's order, elements)."""
        _, shape, dtype, fortran, elements = state
        if not isinstance(dtype, DtypeCode) or not isinstance(elements, bytes | Raw | list):
            raise ValueError("an array lacks its dtype or its elements")
        self.dtype, self.shape = dtype, checked_shape(shape)
        self.fortran, self.elements = bool(fortran), elements

    def held(self) -> list[Any] | None:
        """The objects of an array of objects; None for numbers."""
        return self.elements if isinstance(self.elements, list) else None

    def tensor(self, source: Source) -> Tensor:
        """The numbers as a tensor. ValueError where dtype, shape and bytes disagree."""
        dtype = named_dtype(self.dtype.code)
        if not dtype or isinstance(self.elements, list):
            raise ValueError(f"its dtype {self.dtype.code} is none of numbers")
        raw = self.elements
        place, size = (raw.place, raw.size) if isinstance(raw, Raw) else (0, len(raw))
        if size != math.prod(self.shape) * itemsize(dtype):
            raise ValueError(f"shape {self.shape} of {dtype} does not fit {size} bytes")
        strides = (column_major if self.fortran else row_major)(self.shape)
        where = source if isinstance(raw, Raw) else constant(raw)
        return strided(where, dtype, (self.shape, strides), place, self.dtype.order)


@dataclass(slots=True)
class Storage:
    """Torch's storage: where it lies is known at once, or at the end of a legacy file."""

    dtype: str  # "" where the views say it
    size: int  # bytes
    source: Source | None = None
    place: int = 0
    order: str = "<"


@dataclass(frozen=True, slots=True)
class View:
    """A tensor of torch's: a part of a storage, all counts in elements.

    conjugated, negated  it is so when it is read, not as it is stored
    """

    storage: Storage
    offset: int
    shape: Shape
    strides: Shape
    dtype: str
    conjugated: bool = False
    negated: bool = False

    def tensor(self, _: Source) -> Tensor:
        """The tensor. ValueError where it does not lie within its storage."""
        s, size = self.storage, itemsize(self.dtype)
        count = math.prod(self.shape)
        if s.source is None:
            raise ValueError("its storage is missing")
        last = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if count and (self.offset + last + 1) * size > s.size:
            raise ValueError("it reaches beyond its storage")
        if count > max(REPEATED, s.size):
            raise ValueError("it repeats its storage too often")
        place = s.place + self.offset * size
        stored = strided(s.source, self.dtype, (self.shape, self.strides), place, s.order)
        if not (self.conjugated or self.negated):
            return stored
        return Tensor(stored.dtype, stored.shape, self._turned(stored))

    def _turned(self, stored: Tensor) -> Chunks:
        def chunks(size: int) -> Iterator[Array]:
            for chunk in stored.chunks(size):
                turned = np.conj(chunk) if self.conjugated else chunk
                yield np.negative(turned) if self.negated else turned

        return chunks


Leaf = ArrayContent | View
Restored = DtypeCode | ArrayContent  # made first, given their state later


def checked_shape(value: Any) -> Shape:
    """A shape as it is; ValueError for what an array cannot have."""
    if not isinstance(value, tuple) or not is_shape(value):
        raise ValueError("a shape holds what is no count, or too much")
    return value
