"""A named tensor in a file: its dtype and shape, and its elements chunk by chunk."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from modelparity.formats.sources import Source

Array = np.ndarray[Any, Any]
Chunks = Callable[[int], Iterator[Array]]

# What is stored of a dtype: NumPy's code without its byte order. bfloat16 and float8 have none in
# NumPy: their bits are stored, and their chunks come as float32, which holds all of their values.
STORED = {
    "float64": "f8",
    "float32": "f4",
    "float16": "f2",
    "bfloat16": "u2",
    "float8_e4m3fn": "u1",
    "float8_e5m2": "u1",
    "int64": "i8",
    "int32": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint64": "u8",
    "uint32": "u4",
    "uint16": "u2",
    "uint8": "u1",
    "bool": "b1",
    "complex64": "c8",
    "complex128": "c16",
}
NARROW = frozenset({"bfloat16", "float8_e4m3fn", "float8_e5m2"})
# A view may repeat what is stored; one that repeats more than this is not made by training.
REPEATED = 1 << 24  # elements
MOST_AXES, MOST_ELEMENTS = 32, 1 << 60  # NumPy's limits, those of its older versions


@dataclass(frozen=True, slots=True)
class Tensor:
    """dtype by its common name, shape, and `chunks(n)`: the elements in C order, flat, at most n.

    Chunks are native arrays, views of the mapped file where it holds them so; those of bfloat16
    and float8 are float32, exactly. InputError where the data turn out broken midway.
    """

    dtype: str
    shape: tuple[int, ...]
    chunks: Chunks


def named_dtype(code: str) -> str:
    """The common name of NumPy's code without byte order (`f4`); "" for what is no number."""
    return next((n for n, stored in STORED.items() if stored == code and n not in NARROW), "")


_SIZES = {dtype: np.dtype(stored).itemsize for dtype, stored in STORED.items()}


def itemsize(dtype: str) -> int:
    """Bytes of an element as it is stored."""
    return _SIZES[dtype]


def is_shape(shape: Any) -> bool:
    """Whether it is a tuple or list of counts that an array can have."""
    if not isinstance(shape, tuple | list) or len(shape) > MOST_AXES:
        return False
    size = 1
    for n in shape:
        if not is_count(n):
            return False
        size *= n or 1  # NumPy's rule, for empty ones too
    return size < MOST_ELEMENTS


def is_count(n: Any) -> bool:
    """Whether it is an integer, not negative, that an array can be large."""
    return type(n) is int and 0 <= n < MOST_ELEMENTS


def dense(
    source: Source, dtype: str, shape: tuple[int, ...], offset: int = 0, order: str = "<"
) -> Tensor:
    """Elements that lie one behind the other in C order; `order` is their byte order."""
    # Not a function within this one: of a hundred thousand tensors those take time and memory.
    return Tensor(dtype, shape, partial(_dense, source, dtype, shape, offset, order))


def _dense(
    source: Source, dtype: str, shape: tuple[int, ...], offset: int, order: str, size: int
) -> Iterator[Array]:
    count, stored = math.prod(shape), np.dtype(order + STORED[dtype])
    buffer = source() if count else b""
    for first in range(0, count, size):
        place = offset + first * stored.itemsize
        part = np.frombuffer(buffer, stored, min(size, count - first), place)
        yield decoded(part, dtype)


def strided(
    source: Source,
    dtype: str,
    layout: tuple[tuple[int, ...], tuple[int, ...]],
    offset: int = 0,
    order: str = "<",
) -> Tensor:
    """A view of what is stored: layout  its shape and its strides, in elements, checked before."""
    shape = layout[0]
    if _is_dense(*layout):
        return dense(source, dtype, shape, offset, order)
    return Tensor(dtype, shape, partial(_strided, source, dtype, layout, offset, order))


def _strided(
    source: Source,
    dtype: str,
    layout: tuple[tuple[int, ...], tuple[int, ...]],
    offset: int,
    order: str,
    size: int,
) -> Iterator[Array]:
    axes = [(n, step) for n, step in zip(*layout, strict=True) if n != 1]
    count, stored = math.prod(layout[0]), np.dtype(order + STORED[dtype])
    span = 1 + sum((n - 1) * step for n, step in axes)
    flat = np.frombuffer(source(), stored, span, offset)
    strides = tuple(step * stored.itemsize for _, step in axes)
    lengths = tuple(n for n, _ in axes)
    view = np.lib.stride_tricks.as_strided(flat, lengths, strides, writeable=False)
    for first in range(0, count, size):
        yield decoded(view.flat[first : first + size], dtype)


def _is_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether elements lie one behind the other; any stride will do for an axis of one."""
    expected = 1
    for n, step in zip(reversed(shape), reversed(strides), strict=True):
        if n != 1 and step != expected:
            return 0 in shape
        expected *= n
    return True


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of C order."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def column_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of Fortran's order."""
    return tuple(math.prod(shape[:axis]) for axis in range(len(shape)))


def decoded(stored: Array, dtype: str) -> Array:
    """What is stored as native numbers."""
    if dtype == "bfloat16":
        wide: Array = stored.astype(np.uint32)
        return (wide << np.uint32(16)).view(np.float32)
    if dtype in NARROW:
        table: Array = _FLOAT8[dtype]
        return table[stored]
    return stored if stored.dtype.isnative else stored.astype(stored.dtype.newbyteorder("="))


def _float8(exponent_bits: int, *, finite: bool) -> Array:
    """All 256 values of an 8-bit float (Micikevicius et al. 2022, arXiv 2209.05433).

    finite  e4m3fn: no infinities, NaN only where all bits of exponent and mantissa are set
    """
    bits = np.arange(256)
    mantissa_bits = 7 - exponent_bits
    bias = 2 ** (exponent_bits - 1) - 1
    exponent = (bits >> mantissa_bits) & (2**exponent_bits - 1)
    mantissa = bits & (2**mantissa_bits - 1)
    normal = (1.0 + mantissa / 2**mantissa_bits) * 2.0 ** (exponent - bias)
    subnormal = mantissa / 2**mantissa_bits * 2.0 ** (1 - bias)
    values = np.where(exponent == 0, subnormal, normal)
    top = exponent == 2**exponent_bits - 1
    if finite:
        values[top & (mantissa == 2**mantissa_bits - 1)] = np.nan
    else:
        values[top] = np.where(mantissa[top] == 0, np.inf, np.nan)
    signed: Array = np.where(bits >= 128, -values, values).astype(np.float32)
    return signed


_FLOAT8 = {"float8_e4m3fn": _float8(4, finite=True), "float8_e5m2": _float8(5, finite=False)}
