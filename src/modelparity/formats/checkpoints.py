"""PyTorch's checkpoints, zip and legacy, and pickles such as PaddlePaddle's .pdparams."""

from typing import Any

from modelparity.errors import InputError
from modelparity.formats.archives import Archive
from modelparity.formats.leaves import Constant, Storage
from modelparity.formats.pickles import unpickled
from modelparity.formats.printing import printable
from modelparity.formats.sources import Source
from modelparity.formats.tensor import MOST_ELEMENTS, STORED, Tensor, itemsize
from modelparity.formats.tree import tensors_of

LEGACY, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # torch/serialization.py
_SIZES = {dtype: itemsize(dtype) for dtype in STORED}  # bytes


def is_torch_zip(names: list[str]) -> bool:
    """Whether an archive's members are those of a checkpoint."""
    return any(name.rpartition("/")[2] == "data.pkl" for name in names)


def read_torch_zip(archive: Archive) -> dict[str, Tensor]:
    """The tensors of a checkpoint whose storages are members of an archive."""
    members = set(archive.names())
    pickles = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise InputError(f"{archive.where}: it holds {len(pickles)} pickles, not one")
    root = pickles[0].removesuffix("data.pkl")
    order = "<"
    if f"{root}byteorder" in members and archive.head(f"{root}byteorder", 4) == b"big":
        order = ">"
    storages: dict[tuple[str, str], Storage] = {}

    def persistent(reference: Any) -> Storage:
        dtype, key, size = _reference(reference)
        if (key, dtype) not in storages:
            member = f"{root}data/{key}"
            if member not in members:
                raise ValueError(f"{member} is missing")
            source, place, held = archive.place(member)
            storages[key, dtype] = Storage(dtype, held, source, place, order)
        found = storages[key, dtype]
        if found.size < size:
            raise ValueError(f"storage {key} holds {found.size} bytes, not {size}")
        return found

    source, place, size = archive.pickle(pickles[0])
    content, _ = unpickled(source(), archive.where, (place, place + size), persistent)
    return tensors_of(content, source, archive.where)


def _reference(reference: Any) -> tuple[str, str, int]:
    """(dtype, key, bytes) of a storage. ValueError where the reference is none to a storage."""
    if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
        raise ValueError("it refers to something other than a storage")
    kind, key, count = reference[1], reference[2], reference[4]
    if not isinstance(kind, Constant) or not isinstance(key, str) or type(count) is not int:
        raise ValueError("it refers to a storage of another form")
    if kind.name not in ("", *_SIZES) or not 0 <= count < MOST_ELEMENTS or len(key) > 100:
        raise ValueError("it refers to a storage of another size")
    return kind.name, key, count * _SIZES.get(kind.name, 1)


def read_pickle(source: Source, where: str) -> dict[str, Tensor]:
    """A pickled container of arrays, or a legacy checkpoint, which begins with a number."""
    size = len(source())
    content, behind = unpickled(source(), where, (0, size))
    if type(content) is int and content == LEGACY:
        return _legacy(source, where, behind)
    if behind != size:
        raise InputError(f"{where}: {size - behind} bytes follow the pickle")
    return tensors_of(content, source, where)


def _legacy(source: Source, where: str, place: int) -> dict[str, Tensor]:
    """Protocol, system, object, keys: four pickles; then each storage's count and bytes."""
    storages: dict[str, Storage] = {}

    def persistent(reference: Any) -> Storage:
        dtype, key, size = _reference(reference)
        if len(reference) > 5 and reference[5] is not None:
            raise ValueError(f"storage {key} is a view of another one, which is not read")
        found = storages.setdefault(key, Storage(dtype, size))
        if (found.dtype, found.size) != (dtype, size):
            raise ValueError(f"storage {key} has two dtypes or sizes")
        return found

    buffer = source()
    end = len(buffer)
    protocol, place = unpickled(buffer, where, (place, end))
    system, place = unpickled(buffer, where, (place, end))
    if type(protocol) is not int or protocol != LEGACY_PROTOCOL or not isinstance(system, dict):
        raise InputError(f"{where}: its protocol is not that of a checkpoint")
    order = "<" if system.get("little_endian", True) is not False else ">"
    content, place = unpickled(buffer, where, (place, end), persistent)
    keys, place = unpickled(buffer, where, (place, end))
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise InputError(f"{where}: the list of its storages is missing")
    for key in keys:
        storage = storages.get(key)
        if storage is None:
            raise InputError(f"{where}: storage {printable(key)} belongs to no tensor")
        count = int.from_bytes(buffer[place : place + 8], "little")
        size = count * _SIZES.get(storage.dtype, 1)
        if size != storage.size or size > end - place - 8:
            raise InputError(f"{where}: storage {printable(key)} is cut off")
        storage.source, storage.place, storage.order = source, place + 8, order
        place += 8 + size
    if place != end:
        raise InputError(f"{where}: {end - place} bytes follow its storages")
    return tensors_of(content, source, where)
