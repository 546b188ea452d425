"""NumPy's files: npy, and npz, a zip archive of them; reprod_log's, a pickled dictionary in npy.

The format: numpy.org, "numpy.lib.format".
"""

import ast
import math
import warnings
from typing import Any

from modelparity.errors import InputError
from modelparity.formats.archives import Archive, Place
from modelparity.formats.pickles import unpickled
from modelparity.formats.printing import printable
from modelparity.formats.tensor import (
    Tensor,
    column_major,
    is_shape,
    itemsize,
    named_dtype,
    row_major,
    strided,
)
from modelparity.formats.tree import ALONE, MOST_TENSORS, nested_of, tensors_of

MAGIC = b"\x93NUMPY"
LONGEST = 10_000  # bytes of a header, as NumPy's own limit
HEAD = 12 + LONGEST  # bytes that hold every header
OBJECTS = "|O"  # the dtype of what is pickled


def read_npy(head: bytes, place: Place, where: str) -> dict[str, Tensor]:
    """The one tensor of a file, or those of the dictionary that it holds as a pickled object.

    head  the file's first HEAD bytes, or all it has
    """
    header, length = _header(head, where)
    descr, shape = header["descr"], header["shape"]
    source, first, size = place
    if descr == OBJECTS:
        return tensors_of(_pickled(place, length, where), source, where)
    dtype = named_dtype(descr[1:]) if descr[:1] in ("<", ">", "|", "=") else ""
    if not dtype:
        raise InputError(f"{where}: dtype {printable(descr)} is not read")
    if math.prod(shape) * itemsize(dtype) != size - length:
        said = f"{printable(str(shape))} of {dtype}"
        raise InputError(f"{where}: its header says {said}, {size - length} bytes follow it")
    strides = (column_major if header["fortran_order"] else row_major)(shape)
    order = ">" if descr[0] == ">" else "<"
    return {ALONE: strided(source, dtype, (shape, strides), first + length, order)}


def read_nested(place: Place, where: str) -> dict[Any, Any] | None:
    """The dictionary that a file holds, as it was saved; None for one that holds an array."""
    source, first, size = place
    header, length = _header(bytes(source()[first : first + min(size, HEAD)]), where)
    if header["descr"] != OBJECTS:
        return None
    return nested_of(_pickled(place, length, where), source, where)


def _pickled(place: Place, length: int, where: str) -> Any:
    source, first, size = place
    content, behind = unpickled(source(), where, (first + length, first + size))
    if behind != first + size:
        raise InputError(f"{where}: {first + size - behind} bytes follow the pickle")
    return content


def _header(head: bytes, where: str) -> tuple[dict[str, Any], int]:
    """(what it says, its bytes with all that precedes it)."""
    wide = head[6:7] in (b"\x02", b"\x03")
    if head[:6] != MAGIC or head[6:7] not in (b"\x01", b"\x02", b"\x03"):
        raise InputError(f"{where}: it is no npy file of version 1 to 3")
    start = 12 if wide else 10
    length = int.from_bytes(head[8:start], "little")
    if length > min(LONGEST, len(head) - start):
        raise InputError(f"{where}: its header should have {length} bytes")
    coding = "utf-8" if head[6:7] == b"\x03" else "latin-1"
    text = head[start : start + length].decode(coding, "replace").strip()
    header = _literal(text)
    fits = isinstance(header, dict) and set(header) == {"descr", "fortran_order", "shape"}
    if not fits or not _is_plain(header):
        shown = printable(text[:80])
        raise InputError(f"{where}: its header is not that of an array of numbers: {shown}")
    return header, start + length


def _literal(text: str) -> Any:
    try:
        with warnings.catch_warnings():  # odd numbers in it would be commented on
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, LookupError, RecursionError, MemoryError):
        return None


def _is_plain(header: dict[str, Any]) -> bool:
    kinds = isinstance(header["descr"], str) and isinstance(header["fortran_order"], bool)
    return kinds and isinstance(header["shape"], tuple) and is_shape(header["shape"])


def read_npz(archive: Archive) -> dict[str, Tensor]:
    """A tensor a member, under its name without `.npy`."""
    found: dict[str, Tensor] = {}
    for member in archive.names():
        where = f"{archive.where}: {printable(member)}"
        if not member.endswith(".npy"):
            raise InputError(f"{where} is no npy file")
        name = member.removesuffix(".npy")
        head = archive.head(member, HEAD)
        pickled = _header(head, where)[0]["descr"] == OBJECTS
        tensors = read_npy(head, (archive.pickle if pickled else archive.place)(member), where)
        for inner, tensor in tensors.items():
            full = name if inner == ALONE else f"{name}.{inner}"
            if full in found:
                raise InputError(f"{where}: {printable(full)} stands there twice")
            found[full] = tensor
        if len(found) > MOST_TENSORS:
            raise InputError(f"{where}: the archive holds more than {MOST_TENSORS:,} tensors")
    return found
