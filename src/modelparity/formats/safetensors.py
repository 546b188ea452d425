"""Safetensors: a header of names, dtypes, shapes and offsets, then the elements.

The format: github.com/huggingface/safetensors, README "Format".
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelparity.errors import InputError
from modelparity.formats.printing import escaped, printable
from modelparity.formats.sources import Source
from modelparity.formats.tensor import Tensor, dense, is_count, is_shape, itemsize

LARGEST_HEADER = 100_000_000  # bytes, as the format says
MOST_PARTS = 8_000_000  # of JSON, a tensor has eight: an empty list takes two bytes, and sixty here
DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}


def is_safetensors(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a header's length and its start."""
    return len(head) >= 9 and head[8:9] == b"{" and head[4:8] == b"\0\0\0\0"


def read_safetensors(source: Source, where: str) -> dict[str, Tensor]:
    """The tensors of a file. InputError, with `where`, for what the format does not allow."""
    buffer = source()
    length = int.from_bytes(buffer[:8], "little")
    if length > min(LARGEST_HEADER, len(buffer) - 8):
        raise InputError(f"{where}: its header should have {length} bytes, the file ends before")
    start = 8 + length
    header = parsed(buffer[8:start], f"{where}: the header")
    if not isinstance(header, dict):
        raise InputError(f"{where}: the header is no JSON object")
    header.pop("__metadata__", None)
    places = {n: _place(n, entry, where) for n, entry in header.items()}
    _cover(places, len(buffer) - start, where)
    return {
        name: dense(source, dtype, shape, start + begin)
        for name, (dtype, shape, begin, _) in places.items()
    }


Place = tuple[str, tuple[int, ...], int, int]  # dtype, shape, first byte, the byte behind the last


def _place(name: str, entry: Any, where: str) -> Place:
    shown = f"{where}: {printable(name)}"
    try:
        code, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise InputError(f"{shown} lacks dtype, shape or two data_offsets") from None
    if not isinstance(code, str) or code not in DTYPES:
        raise InputError(f"{shown} has dtype {printable(str(code))}, which is not read")
    if not is_shape(shape) or not is_count(begin) or not is_count(end):
        raise InputError(f"{shown} has a shape or offsets that are no counts")
    if end - begin != math.prod(shape) * itemsize(DTYPES[code]):
        raise InputError(f"{shown} of shape {shape} and {code} has {end - begin} bytes")
    return DTYPES[code], tuple(shape), begin, end


def _cover(places: Mapping[str, Place], size: int, where: str) -> None:
    """Every byte belongs to one tensor."""
    reached = 0
    for name, (_, _, begin, end) in sorted(places.items(), key=lambda item: item[1][2:]):
        if begin != reached:
            what = "overlaps another tensor" if begin < reached else "leaves a hole before it"
            raise InputError(f"{where}: {printable(name)} {what}")
        reached = end
    if reached != size:
        raise InputError(f"{where}: the tensors have {reached} bytes, the file holds {size}")


def parsed(text: bytes, what: str) -> Any:
    """JSON whose objects name nothing twice. InputError for anything else."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands twice")
        return found

    if sum(map(text.count, (b"[", b"{", b","))) > MOST_PARTS:
        raise InputError(f"{what} has more than {MOST_PARTS:,} parts")
    try:
        return json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{what} is no JSON: {printable(reason)}") from None


def read_index(content: Mapping[str, Any], path: Path) -> dict[str, list[str]]:
    """The names of each shard that an index lists. InputError for shards outside its directory."""
    listed = content.get("weight_map")
    if not isinstance(listed, dict):
        raise InputError(f"{escaped(str(path))}: weight_map is no JSON object")
    shards: dict[str, list[str]] = {}
    for name, shard in listed.items():
        if not isinstance(shard, str) or not _is_beside(shard):
            what = f"shard {printable(str(shard))} is no name of a file beside it"
            raise InputError(f"{escaped(str(path))}: {what}")
        shards.setdefault(shard, []).append(name)
    return shards


def _is_beside(shard: str) -> bool:
    return Path(shard).name == shard and shard not in ("", ".", "..") and "\0" not in shard
