"""What a pickle may name, and what stands for it here: nothing of it is run or imported."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelparity.formats.sources import Source, constant
from modelparity.formats.tensor import (
    REPEATED,
    STORED,
    Tensor,
    column_major,
    is_count,
    is_shape,
    itemsize,
    named_dtype,
    row_major,
    strided,
)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Made:
    """A name that is called: `make` gives what stands for its result."""

    make: Callable[..., Any]


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
        self.dtype, self.shape = dtype, _shape(shape)
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
    """A tensor of torch's: a part of a storage, all counts in elements."""

    storage: Storage
    offset: int
    shape: Shape
    strides: Shape
    dtype: str

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
        return strided(s.source, self.dtype, (self.shape, self.strides), place, s.order)


Leaf = ArrayContent | View
Restored = DtypeCode | ArrayContent  # made first, given their state later


def _shape(value: Any) -> Shape:
    if not isinstance(value, tuple) or not is_shape(value):
        raise ValueError("a shape holds what is no count, or too much")
    return value


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> View:
    if not isinstance(storage, Storage) or not storage.dtype:
        raise ValueError("a tensor has no storage of numbers")
    return _checked(storage, offset, (shape, strides), storage.dtype)


def _view_of_bytes(storage: Any, offset: Any, shape: Any, strides: Any, *more: Any) -> View:
    dtype = next((part.name for part in more if isinstance(part, Constant)), "")
    if not isinstance(storage, Storage) or dtype not in STORED:
        raise ValueError(f"a tensor of dtype {dtype} is not read")
    return _checked(storage, offset, (shape, strides), dtype)


def _checked(storage: Storage, offset: Any, layout: tuple[Any, Any], dtype: str) -> View:
    shape, strides = layout
    # Where an axis has one element, any stride of it is as good.
    if not isinstance(strides, tuple) or len(_shape(shape)) != len(strides):
        raise ValueError("a tensor has other axes than strides")
    if not is_count(offset) or not all(map(is_count, strides)):
        raise ValueError("an offset or a stride is no count")
    return View(storage, offset, shape, strides, dtype)


def _of_type(make: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    if make not in (Made(_view), Made(_view_of_bytes)) or not isinstance(kind, Constant):
        raise ValueError("a tensor of another class is not read")
    return make.make(*arguments)


def _reconstruct(*_: Any) -> ArrayContent:
    return ArrayContent()


def _scalar(dtype: Any, elements: Any) -> ArrayContent:
    content = ArrayContent()
    content.restore((1, (), dtype, False, elements))
    return content


def _from_buffer(elements: Any, dtype: Any, shape: Any, order: Any) -> ArrayContent:
    content = ArrayContent()
    content.restore((1, shape, dtype, order == "F", elements))
    return content


def _dtype(code: Any, *_: Any) -> DtypeCode:
    if not isinstance(code, str) or len(code) > 8:
        raise ValueError("a dtype has no code")
    return DtypeCode("O" if code.startswith("O") else code)


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes are written in a way that is not read")
    return text.encode("latin-1")


def _bytes(content: Any = b"", *_: Any) -> bytes | Raw:
    if isinstance(content, str):
        return _encoded(content)
    if not isinstance(content, bytes | Raw):
        raise ValueError("bytes are made of something else")
    return content


def _dictionary(items: Any = (), *_: Any) -> dict[Any, Any]:
    if isinstance(items, dict):
        return dict(items)
    if not isinstance(items, list | tuple):
        raise ValueError("a dictionary is made of something else")
    pairs = [tuple(item) for item in items if isinstance(item, list | tuple)]
    if len(pairs) != len(items) or not all(map(_is_pair, pairs)):
        raise ValueError("a dictionary is made of something else")
    return dict(pairs)


def _is_pair(pair: tuple[Any, ...]) -> bool:
    return len(pair) == 2 and isinstance(pair[0], str | int)


def _listed(items: Any = ()) -> list[Any]:
    if not isinstance(items, list | tuple):
        raise ValueError("a list is made of something else")
    return list(items)


def unordered(items: Any = ()) -> frozenset[Any]:
    """What stands for every set: nothing. ValueError where arrays would be lost by that."""
    if any(isinstance(item, Leaf) for item in _listed(items)):
        raise ValueError("a set of arrays has no order: save a list")
    return frozenset()


def _complex(real: Any = 0.0, imaginary: Any = 0.0) -> complex:
    return complex(float(real), float(imaginary))


def _table() -> Mapping[tuple[str, str], Any]:
    table: dict[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): Made(_dictionary),
        ("collections", "defaultdict"): Made(lambda *_: {}),
        ("_codecs", "encode"): Made(_encoded),
        ("numpy", "dtype"): Made(_dtype),
        ("numpy", "ndarray"): Constant("ndarray"),
        ("torch", "Size"): Made(lambda items=(): tuple(_listed(items))),
        ("torch", "device"): Made(lambda *_: None),
        ("torch", "Tensor"): Constant("Tensor"),
        ("torch.nn.parameter", "Parameter"): Constant("Parameter"),
        ("torch.storage", "UntypedStorage"): Constant(""),
        ("torch", "UntypedStorage"): Constant(""),
        ("torch._utils", "_rebuild_tensor"): Made(_view),
        ("torch._utils", "_rebuild_tensor_v2"): Made(_view),
        ("torch._utils", "_rebuild_tensor_v3"): Made(_view_of_bytes),
        ("torch._utils", "_rebuild_parameter"): Made(lambda data, *_: data),
        ("torch._utils", "_rebuild_parameter_with_state"): Made(lambda data, *_: data),
        ("torch._tensor", "_rebuild_from_type_v2"): Made(_of_type),
    }
    for module in ("builtins", "__builtin__"):
        table |= {
            (module, "complex"): Made(_complex),
            (module, "tuple"): Made(lambda items=(): tuple(_listed(items))),
            (module, "list"): Made(_listed),
            (module, "dict"): Made(_dictionary),
            (module, "set"): Made(unordered),
            (module, "frozenset"): Made(unordered),
            (module, "bytes"): Made(_bytes),
            (module, "bytearray"): Made(_bytes),
        }
    for package in ("numpy.core", "numpy._core"):
        table[f"{package}.multiarray", "_reconstruct"] = Made(_reconstruct)
        table[f"{package}.multiarray", "scalar"] = Made(_scalar)
        table[f"{package}.numeric", "_frombuffer"] = Made(_from_buffer)
    storages = {
        "Double": "float64",
        "Float": "float32",
        "Half": "float16",
        "BFloat16": "bfloat16",
        "Long": "int64",
        "Int": "int32",
        "Short": "int16",
        "Char": "int8",
        "Byte": "uint8",
        "Bool": "bool",
        "ComplexFloat": "complex64",
        "ComplexDouble": "complex128",
    }
    table |= {("torch", f"{name}Storage"): Constant(dtype) for name, dtype in storages.items()}
    table |= {("torch", dtype): Constant(dtype) for dtype in STORED}
    return table


ADMITTED = _table()
