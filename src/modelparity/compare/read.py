"""The chunks of a tensor, from any part on, as it lies or transposed, in bounded memory."""

import math
import mmap
import tempfile
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

import numpy as np

from modelparity.compare.figures import Array
from modelparity.compare.sweep import CHUNK
from modelparity.formats import Tensor

PART_CHUNKS = 64
PART = PART_CHUNKS * CHUNK  # elements; what is summed, sent to a worker and looked at again
BLOCK = 8 << 20  # bytes of a transposed tensor that are laid out at a time


def size(tensor: Tensor) -> int:
    """How many elements a tensor has."""
    return math.prod(tensor.shape)


def parts(tensor: Tensor) -> int:
    """How many parts a tensor has; an empty one has none."""
    return -(-size(tensor) // PART)


def chunks(tensor: Tensor, first: int, last: int, *, transpose: bool = False) -> Iterator[Array]:
    """The flat chunks of parts `first` to `last` (excluded), each of CHUNK elements but the last.

    transpose  in the order of the tensor with its two last axes swapped
    """
    swapped = transpose and len(tensor.shape) >= 2
    whole = mapped(tensor) if first and not swapped else None
    if whole is not None:
        return _rechunked(iter([whole[first * PART : last * PART]]))
    flat = _transposed(tensor) if swapped else tensor.chunks(CHUNK)
    return islice(flat, first * PART_CHUNKS, last * PART_CHUNKS)


def laid_shape(shape: tuple[int, ...], transpose: bool) -> tuple[int, ...]:
    """A shape, with its two last axes swapped where they are to be."""
    return (*shape[:-2], shape[-1], shape[-2]) if transpose and len(shape) >= 2 else shape


def _transposed(tensor: Tensor) -> Iterator[Array]:
    if size(tensor) <= CHUNK:
        whole = next(iter(tensor.chunks(CHUNK)))
        yield whole.reshape(tensor.shape).swapaxes(-1, -2).reshape(-1)
        return
    with tempfile.TemporaryFile() as spool:
        flat = mapped(tensor)
        if flat is None:
            flat = _spooled(tensor, spool)
        yield from _rechunked(_blocks(flat.reshape(tensor.shape)))


def mapped(tensor: Tensor) -> Array | None:
    """The whole tensor, flat, where its chunks are views of a mapped file, else None."""
    base: object = next(iter(tensor.chunks(CHUNK)))
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return next(iter(tensor.chunks(size(tensor)))) if isinstance(base, mmap.mmap) else None


def _spooled(tensor: Tensor, spool: IO[bytes]) -> Array:
    """The whole tensor in a file that goes when it is closed: memory of the file, not our own."""
    for chunk in tensor.chunks(CHUNK):
        spool.write(np.ascontiguousarray(chunk).data)
        dtype = chunk.dtype
    spool.flush()
    return np.memmap(spool, dtype, "r")


def _blocks(array: Array) -> Iterator[Array]:
    """The elements in the order of the transpose, flat, at most BLOCK bytes at a time."""
    rows, columns = array.shape[-2:]
    matrices = array.reshape(-1, rows, columns)
    together = max(1, BLOCK // max(1, rows * columns * array.itemsize))
    if together > 1 or rows * columns * array.itemsize <= BLOCK:
        for first in range(0, len(matrices), together):
            yield matrices[first : first + together].swapaxes(1, 2).reshape(-1)
        return
    wide = max(1, BLOCK // (rows * array.itemsize))
    high = max(1, BLOCK // (wide * array.itemsize))
    for matrix in matrices:
        for left in range(0, columns, wide):
            for top in range(0, rows, high if wide == 1 else rows):
                block = matrix[top : top + high if wide == 1 else rows, left : left + wide]
                yield block.T.reshape(-1)


def _rechunked(blocks: Iterator[Array]) -> Iterator[Array]:
    """The same elements in chunks of CHUNK, the last one shorter."""
    rest: Array | None = None
    for block in blocks:
        start = 0
        if rest is not None:
            start = CHUNK - rest.size
            rest = np.concatenate([rest, block[:start]])
            if rest.size < CHUNK:
                continue
            yield rest
            rest = None
        while block.size - start >= CHUNK:
            yield block[start : start + CHUNK]
            start += CHUNK
        if start < block.size:
            rest = block[start:].copy()
    if rest is not None:
        yield rest


def whole_array(tensor: Tensor) -> Array:
    """The whole tensor, mapped where its file allows it, else in memory."""
    flat = mapped(tensor) if size(tensor) else None
    if flat is None:
        held = [np.asarray(chunk) for chunk in tensor.chunks(max(1, size(tensor)))]
        flat = np.concatenate(held) if held else np.empty(0, _plain_dtype(tensor.dtype))
    return flat.reshape(tensor.shape)


def _plain_dtype(name: str) -> Any:
    """What chunks of a dtype come as: those that NumPy lacks, as float32."""
    return np.float32 if name.startswith(("bfloat16", "float8")) else np.dtype(name)
