"""NumPy's files: npy, and npz, a zip archive of them; reprod_log's, a pickled dictionary in npy.

The format: numpy.org, "numpy.lib.format".
"""

import ast
import math
from typing import Any

from modelparity.errors import InputError
from modelparity.formats.archives import Archive
from modelparity.formats.pickles import unpickled
from modelparity.formats.printing import printable
from modelparity.formats.tensor import (
    Buffer,
    Tensor,
    column_major,
    itemsize,
    named_dtype,
    row_major,
    strided,
)
from modelparity.formats.tree import ALONE, tensors_of

MAGIC = b"\x93NUMPY"
LONGEST = 10_000  # bytes of a header, as NumPy's own limit


def read_npy(buffer: Buffer, where: str, place: int = 0, size: int = -1) -> dict[str, Tensor]:
    """The one tensor of a file, or those of the dictionary that it holds as a pickled object."""
    end = len(buffer) if size < 0 else place + size
    header, start = _header(buffer, place, end, where)
    descr, shape = header["descr"], header["shape"]
    if descr == "|O":
        content, behind = unpickled(buffer, where, start)
        if behind != end:
            raise InputError(f"{where}: {end - behind} bytes follow the pickle")
        return tensors_of(content, buffer, where)
    dtype = named_dtype(descr[1:]) if descr[:1] in "<>|=" else ""
    if not dtype:
        raise InputError(f"{where}: dtype {printable(descr)} is not read")
    if math.prod(shape) * itemsize(dtype) != end - start:
        said = f"{printable(str(shape))} of {dtype}"
        raise InputError(f"{where}: its header says {said}, {end - start} bytes follow it")
    strides = (column_major if header["fortran_order"] else row_major)(shape)
    order = ">" if descr[0] == ">" else "<"
    return {ALONE: strided(buffer, dtype, (shape, strides), start, order)}


def _header(buffer: Buffer, place: int, end: int, where: str) -> tuple[dict[str, Any], int]:
    head = buffer[place : place + 12]
    wide = head[6:7] in (b"\x02", b"\x03")
    if head[:6] != MAGIC or head[6:7] not in (b"\x01", b"\x02", b"\x03"):
        raise InputError(f"{where}: it is no npy file of version 1 to 3")
    length = int.from_bytes(head[8:12] if wide else head[8:10], "little")
    start = place + (12 if wide else 10)
    if length > min(LONGEST, end - start):
        raise InputError(f"{where}: its header should have {length} bytes")
    text = buffer[start : start + length].decode(
        "utf-8" if head[6:7] == b"\x03" else "latin-1", "replace"
    )
    try:
        header = ast.literal_eval(text.strip())
        known = set(header) == {"descr", "fortran_order", "shape"}
        counts = all(type(n) is int and 0 <= n < 1 << 62 for n in header["shape"])
        plain = isinstance(header["descr"], str) and isinstance(header["shape"], tuple)
        fits = known and counts and plain and isinstance(header["fortran_order"], bool)
    except (ValueError, TypeError, SyntaxError, LookupError, RecursionError, MemoryError):
        fits = False
    if not fits or len(header["shape"]) > 64:
        shown = printable(text.strip()[:80])
        raise InputError(f"{where}: its header is not that of an array of numbers: {shown}")
    return header, start + length


def read_npz(archive: Archive) -> dict[str, Tensor]:
    """A tensor a member, under its name without `.npy`."""
    found: dict[str, Tensor] = {}
    for member in archive.names():
        where = f"{archive.path}: {printable(member)}"
        if not member.endswith(".npy"):
            raise InputError(f"{where} is no npy file")
        buffer, start, size = archive.place(member)
        name = member.removesuffix(".npy")
        for inner, tensor in read_npy(buffer, where, start, size).items():
            found[name if inner == ALONE else f"{name}.{inner}"] = tensor
    return found
